"""NativeExecutor: an Agent at work on a task. Checkout, loop, publish; or, without a model, the tool the Agent names.

It only puts together: what the parts need of the outside (Agents, keys, endpoints, workspaces) is handed in, so that the same
composition runs in production, from `foreman run-task`, and in the simulator with a scripted model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from foreman.api import Agent, AgentRole, FailureReason, ModelProfileSpec, Result
from foreman.executors.address import Address, deterministic, runs_as_job
from foreman.executors.jobmode import JobMode
from foreman.executors.loop import (
    Check,
    Chorus,
    End,
    Ending,
    Judgement,
    Leash,
    Limits,
    Listener,
    Loop,
    Model,
    OutOfTime,
    Patient,
    Stopped,
    gate_failed,
    judge,
    limits_of,
)
from foreman.executors.loop import submission as submissions
from foreman.executors.loop.pictures import Picture
from foreman.executors.loop.transcript import entries
from foreman.executors.outcome import KIND, Published, precondition_failed, result_of
from foreman.executors.precondition import Precondition
from foreman.executors.prompt import system_prompt, task_prompt
from foreman.executors.protocol import Cancelled, Execution, Executor
from foreman.executors.rails.protocol import Rails
from foreman.executors.tools.protocol import Tool
from foreman.executors.transcripts import Attempt, Transcripts
from foreman.runtime import Runtime, Signal

T = TypeVar("T")
CHECKOUT_SECONDS = 900.0
PUBLISH_SECONDS = 300.0


class Desk(Protocol):
    """Where one run works: its workspace, tools, and way to publish. All but its methods are there once it is prepared: `check`
    looks at a coder's GO before the loop ends, `rails` at every result after it (None: unheld), `pictures` the task shows."""

    @property
    def tools(self) -> Mapping[str, Tool]: ...

    @property
    def check(self) -> Check | None: ...

    @property
    def rails(self) -> Rails | None: ...

    @property
    def pictures(self) -> Sequence[Picture]: ...

    async def prepare(self) -> None:
        """Clone and lay out the tools, whatever an earlier attempt has left. Raises Precondition."""
        ...

    async def publish(self, message: str) -> Published | None:
        """Commit and push what was changed; None: there is no repository to push to."""
        ...

    async def close(self) -> None: ...


class Recipes(Protocol):
    """Where Agents, and what they refer to, come from. Raises Precondition for what is not there."""

    async def agent(self, namespace: str, name: str) -> Agent: ...

    async def profile(self, name: str) -> ModelProfileSpec | None: ...

    async def address(self, agent: Agent, namespace: str) -> Address: ...


@dataclass(frozen=True)
class Parts:
    """What the executor is given. `draw` is for the jitter of backoffs; `deterministic`: executors of Agents without a model,
    by the name of their tool; `job_mode`: what runs Agents as Jobs, None: they run in this process, too."""

    recipes: Recipes
    desk: Callable[[Execution, Agent], Desk]
    model: Callable[[Address, Agent], Model]
    leash: Callable[[Signal, float], Leash]
    transcripts: Transcripts
    draw: Callable[[int], int]
    deterministic: Mapping[str, Executor] = field(default_factory=dict)
    close: Callable[[Model], Awaitable[None]] | None = None
    listener: Listener | None = None
    job_mode: JobMode | None = None


class NativeExecutor:
    """`patient`: what tries a model again; `limits`: the budgets of an Agent."""

    kind = KIND
    patient: type[Patient] = Patient
    limits = staticmethod(limits_of)

    def __init__(self, runtime: Runtime, parts: Parts) -> None:
        self.runtime = runtime
        self.parts = parts

    async def execute(self, execution: Execution) -> Result | None:
        """A result for whatever becomes of the work. Raises Cancelled, and ValueError for a task that names no Agent."""
        began = self.runtime.now()
        task = execution.task
        if task.spec.agent_ref is None or not task.spec.agent_ref.name:
            raise ValueError(f"task {task.key} names no Agent: set spec.agentRef")
        try:
            agent = await self.parts.recipes.agent(task.metadata.namespace or "default", task.spec.agent_ref.name)
            if deterministic(agent.spec):
                return await self._without_model(execution, agent)
            if self.parts.job_mode is not None and runs_as_job(agent.spec):
                where = await self.parts.recipes.address(agent, task.metadata.namespace or "default")
                return await self.parts.job_mode.execute(execution, agent, where)
            result = await self._with_model(execution, agent)
        except Precondition as missing:
            result = precondition_failed(missing, task.spec.agent_ref.name)
        except Stopped:
            raise Cancelled(f"{KIND} was cancelled") from None
        return result.evolve(elapsed_sec=round(self.runtime.now() - began, 6))

    async def _without_model(self, execution: Execution, agent: Agent) -> Result | None:
        """The Agent's first tool besides submit_result does the whole work."""
        tool = next((name for name in agent.spec.tools if name != submissions.NAME), "")
        executor = self.parts.deterministic.get(tool)
        if executor is None:
            known = ", ".join(sorted(self.parts.deterministic)) or "none"
            said = f"Agent {agent.key} has no systemPrompt, so no model, and {tool or 'none'} is no tool that works by itself "
            said += f"(there are: {known}): give it a systemPrompt, or such a tool"
            raise Precondition(FailureReason.TOOL_FAILED, said)
        return await executor.execute(execution)

    async def _with_model(self, execution: Execution, agent: Agent) -> Result:
        namespace = execution.task.metadata.namespace or "default"
        reference = agent.spec.model_profile_ref
        profile = await self.parts.recipes.profile(reference.name) if reference is not None else None
        address = await self.parts.recipes.address(agent, namespace)
        desk = self.parts.desk(execution, agent)
        try:
            await self._prepare(desk, execution)
            return await self._work(execution, agent, profile, address, desk)
        finally:
            await desk.close()

    async def _prepare(self, desk: Desk, execution: Execution) -> None:
        try:
            await self.parts.leash(execution.cancelled, CHECKOUT_SECONDS).hold(desk.prepare())
        except OutOfTime:
            said = f"the checkout was not ready within {CHECKOUT_SECONDS:g}s"
            raise Precondition(FailureReason.CLONE_FAILED, said) from None

    async def _work(
        self, execution: Execution, agent: Agent, profile: ModelProfileSpec | None, address: Address, desk: Desk
    ) -> Result:
        limits = self.limits(agent.spec, profile)
        run = _Run(self, execution, agent)
        model = self.parts.model(address, agent)
        loop = Loop(
            self.runtime,
            self.patient(model, self.runtime, limits.max_retries, self.parts.draw, run.listener.retried),
            desk.tools,
            limits,
            system=system_prompt(agent.spec, profile),
            task=task_prompt(execution.task, agent.spec),
            pictures=desk.pictures,
            listener=run.listener,
            check=desk.check if agent.spec.role is AgentRole.CODER else None,
        )
        run.loop = loop
        try:
            ending = await run.to_its_end(loop.run(self.parts.leash(execution.cancelled, limits.seconds)))
            judged, published = await self._judged(run, desk, ending, limits)
        finally:
            if self.parts.close is not None:
                await self.parts.close(model)
        extra: dict[str, Any] = {
            "transcriptRef": run.reference,
            "model": address.model,
            "agentName": agent.metadata.name,
        }
        if desk.rails is not None:
            if published is None or not published.outcome:
                judged = await self._held(execution, desk.rails.weigh(judged), judged)
            told: Mapping[str, Any] = {"gateAdvisories": [{"check": "deliver", "detail": "there was no time for it"}]}
            ended = judged if published is None or not published.outcome else judged._replace(verdict="NO-GO")
            extra |= await self._held(execution, desk.rails.deliver(ended), told)
        assert run.ending is not None
        return result_of(run.ending, judged, published, extra)

    async def _held(self, execution: Execution, work: Coroutine[Any, Any, T], otherwise: T) -> T:
        try:
            return await self.parts.leash(execution.cancelled, PUBLISH_SECONDS).hold(work)
        except OutOfTime:
            return otherwise

    async def _judged(
        self, run: _Run, desk: Desk, ending: Ending, limits: Limits
    ) -> tuple[Judgement, Published | None]:
        """What the loop came to, and what was pushed. A branch that fails the gate goes back to its coder, so often."""
        judged, published = judge(ending), await self._publish(run, desk, ending)
        for left in range(limits.gate_iterations, -1, -1):
            if desk.rails is None or judged.verdict != "GO" or published is None or published.outcome:
                break
            wrong = await desk.rails.verify()
            if run.execution.cancelled.is_set():
                raise Stopped
            if not wrong:
                break
            if not left:
                return gate_failed(ending, wrong), published
            leash = self.parts.leash(run.execution.cancelled, limits.seconds)
            assert run.loop is not None
            ending = await run.to_its_end(run.loop.resume(leash, wrong))
            judged, published = judge(ending), await self._publish(run, desk, ending) or published
        return judged, published

    async def _publish(self, run: _Run, desk: Desk, ending: Ending) -> Published | None:
        """Commit and push a coder's GO; also a GO that the checks have refused to the end, marked as unfinished."""
        submitted = ending.submission
        if run.agent.spec.role is not AgentRole.CODER or submitted is None:
            return None
        if ending.end is End.SUBMITTED and submitted.verdict != "GO":
            return None
        message = submitted.commit_message or submitted.summary
        if ending.end is End.CHECK_FAILED:
            message = f"WIP: {message}"
        try:
            return await self.parts.leash(run.execution.cancelled, PUBLISH_SECONDS).hold(desk.publish(message))
        except OutOfTime:
            return Published(outcome="PUSH-FAILED", detail=f"not published within {PUBLISH_SECONDS:g}s")


class _Run(Listener):
    """The transcript of one run: journaled turn by turn, stored at the end."""

    def __init__(self, executor: NativeExecutor, execution: Execution, agent: Agent) -> None:
        self.transcripts = executor.parts.transcripts
        self.execution = execution
        self.attempt = Attempt(execution.task, execution.attempt)
        self.agent = agent
        self.reference = ""
        self.ending: Ending | None = None
        self.loop: Loop | None = None
        self.noted = 0
        given = executor.parts.listener
        self.listener: Listener = self if given is None else Chorus(self, given)

    def said(self, turn: int) -> None:
        self.turned(turn)

    def turned(self, turn: int) -> None:
        if self.loop is not None:
            fresh: Sequence[Mapping[str, Any]] = entries(self.loop.conversation, self.noted)
            self.noted += len(fresh)
            self.transcripts.note(self.attempt, fresh)

    async def to_its_end(self, looping: Awaitable[Ending]) -> Ending:
        """How the loop ended, once what was said is stored. Raises Cancelled."""
        try:
            self.ending = ending = await looping
        except BaseException:
            # This very process is ending: what has been said must outlive it.
            await self.save("INTERRUPTED")
            raise
        self.reference = await self.save(ending.end.name)
        if ending.end is End.STOPPED:
            where = f"; transcript: {self.reference}" if self.reference else ""
            raise Cancelled(f"{KIND} was cancelled in turn {ending.turns}{where}")
        return ending

    async def save(self, end: str) -> str:
        """Where it is stored; '' if it could not be, or nothing was said."""
        loop = self.loop
        if loop is None:
            return ""
        task = self.attempt.task
        meta = {
            "task": task.key,
            "taskUID": task.metadata.uid,
            "attempt": self.attempt.number,
            "agent": self.agent.metadata.name,
            "end": end,
            "turns": loop.turns,
            "retries": loop.retries,
            "usage": loop.usage._asdict(),
        }
        return await self.transcripts.save(self.attempt, entries(loop.conversation), meta)
