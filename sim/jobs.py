"""Kubernetes Jobs in the simulated cluster: they run where no host of a scenario is, and outlive the agent that made them.

An Agent with `jobMode: true` has its tasks run so: the agent looks after them by the product's own code (`JobMode`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from foreman.api import Agent, AgenticTask, Result
from foreman.cluster import AlreadyExists, NotFound, Unavailable
from foreman.decide.requirement import agent_key, requirement_of
from foreman.executors import Execution
from foreman.executors.address import Address
from foreman.executors.jobmode import CoderJobSettings, JobMode
from foreman.executors.jobmode.contract import ending, note
from foreman.executors.jobmode.job import ATTEMPT, TASK_NAME, TASK_NAMESPACE, UID
from foreman.executors.transcripts import Attempt
from sim.clock import Clock
from sim.cluster import REQUEST_TIMEOUT
from sim.executor import Plan
from sim.garbage import DELAY, JANITOR
from sim.host import SECOND, Process
from sim.network import Link
from sim.scenario import Scenario

T = TypeVar("T")
SETTINGS = CoderJobSettings(namespace="foreman-jobs", image="coder:1")
MODEL = Address("http://model.invalid/v1", "model", "")
SAID = "".join(f"{note({'role': 'assistant', 'content': 'x' * 1000})}\n" for _ in range(40))
"""What a Job prints before its result: more than the first 32 KiB of a log."""


class SimJob(NamedTuple):
    """A Job of an attempt of a task; it `ends` at this microsecond, if nobody deletes it before, with `verdict`."""

    task: str
    attempt: int
    meta: Mapping[str, Any]
    ends: int
    verdict: str


class Yard:
    """All Jobs there are, by name; `plans` says how the Job of a task goes, `agents` which task is to run as one."""

    def __init__(self, env: Clock, plans: Mapping[str, Plan], scenario: Scenario, agents: Mapping[str, Agent]) -> None:
        self.env = env
        self.plans = plans
        self.agents = agents
        self.used = any(each.job_mode for each in scenario.agents.values())
        self.jobs: dict[str, SimJob] = {}
        self.on_kill: Callable[[SimJob, str], None] = lambda job, host: None

    def supervision(self, mode: type[JobMode], link: Link, process: Process) -> Supervision | None:
        """For an agent process of a scenario that has Jobs."""
        return Supervision(mode, self, link, process) if self.used else None

    def create(self, manifest: Mapping[str, Any]) -> None:
        meta = manifest["metadata"]
        name, notes = meta["name"], meta["annotations"]
        if name in self.jobs:
            raise AlreadyExists(f"job {name} exists")
        task = f"{notes[TASK_NAMESPACE]}/{notes[TASK_NAME]}"
        plan = self.plans.get(task)
        duration, verdict = (plan.duration, plan.verdict.partition(":")[0]) if plan is not None else (0, "INCOMPLETE")
        self.jobs[name] = SimJob(task, int(notes[ATTEMPT]), meta, self.env.now + duration, verdict)
        if meta.get("ownerReferences") and notes[TASK_NAMESPACE] != meta["namespace"]:
            # As for all else: an owner in another namespace counts as absent.
            self.env.at(DELAY, lambda _: self._collect(name))

    def _collect(self, name: str) -> None:
        if name in self.jobs:
            self.delete(name, JANITOR)

    def get(self, name: str) -> dict[str, Any]:
        return self._document(self._job(name))

    def list(self, labels: str) -> list[dict[str, Any]]:
        wanted = {tuple(each.split("=", 1)) for each in labels.split(",")}
        return [self._document(job) for job in self.jobs.values() if wanted <= job.meta["labels"].items()]

    def log(self, name: str) -> str:
        job = self._job(name)
        return SAID + ending(Result(kind="native-agent-loop", verdict=job.verdict, summary="done in a Job"))

    def delete(self, name: str, host: str) -> None:
        job = self._job(name)
        del self.jobs[name]
        if job.ends > self.env.now:
            self.on_kill(job, host)

    def printed(self, task: str, attempt: int) -> str:
        """The verdict of the Job of this attempt; '' if it has not ended."""
        jobs = (job for job in self.jobs.values() if job.task == task and job.attempt == attempt)
        return next((job.verdict for job in jobs if job.ends <= self.env.now), "")

    def doubled(self) -> Iterator[str]:
        """The tasks of which more than one Job runs."""
        running: set[str] = set()
        for job in self.jobs.values():
            if job.ends > self.env.now:
                uid = job.meta["labels"][UID]
                if uid in running:
                    yield job.task
                running.add(uid)

    def _job(self, name: str) -> SimJob:
        if name not in self.jobs:
            raise NotFound(f"no job {name}")
        return self.jobs[name]

    def _document(self, job: SimJob) -> dict[str, Any]:
        ended = [{"type": "Complete", "status": "True"}] if job.ends <= self.env.now else []
        return {"metadata": job.meta, "status": {"conditions": ended}}


class SimJobs:
    """The Jobs API as a process reaches it over its host's network. Implements `foreman.executors.jobs.Jobs`."""

    def __init__(self, yard: Yard, link: Link, process: Process) -> None:
        self.yard = yard
        self.link = link
        self.process = process

    async def create(self, namespace: str, manifest: dict[str, Any]) -> None:
        await self._asked(lambda: self.yard.create(manifest))

    async def get(self, namespace: str, name: str) -> dict[str, Any]:
        return await self._asked(lambda: self.yard.get(name))

    async def list(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        return await self._asked(lambda: self.yard.list(labels))

    async def delete(self, namespace: str, name: str) -> None:
        await self._asked(lambda: self.yard.delete(name, self.process.host.name))

    async def log_tail(self, namespace: str, name: str, limit: int) -> str:
        return await self._asked(lambda: self.yard.log(name)[-limit:])

    async def _asked(self, serve: Callable[[], T]) -> T:
        if self.link.cut_out:
            await self._lost()
        await self.process.sleep((self.link.up() + self.link.slow) / SECOND)
        answer = serve()
        if self.link.cut_in:
            await self._lost()
        await self.process.sleep((self.link.down() + self.link.slow) / SECOND)
        return answer

    async def _lost(self) -> None:
        await self.process.sleep(REQUEST_TIMEOUT / SECOND)
        raise Unavailable("jobs: no answer")


class Untold:
    """Keeps no transcripts."""

    def note(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]]) -> None:
        return

    async def save(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> str:
        return ""


class Supervision:
    """Runs a task as a Job and looks after it, as the agent `process` does."""

    def __init__(self, mode: type[JobMode], yard: Yard, link: Link, process: Process) -> None:
        self.yard = yard
        self.mode = mode(SimJobs(yard, link, process), process, Untold(), SETTINGS)

    def takes(self, task: AgenticTask) -> bool:
        return not requirement_of(task, self._agent(task)).slot

    async def run(self, execution: Execution) -> Result:
        agent = self._agent(execution.task)
        assert agent is not None
        return await self.mode.execute(execution, agent, MODEL)

    def _agent(self, task: AgenticTask) -> Agent | None:
        return self.yard.agents.get(agent_key(task))
