"""Looking after an Agent's Job: earlier attempts' are ended, this one's is started or found, and read when it has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from foreman.api import Agent, FailureReason, Result
from foreman.cluster import AlreadyExists, ClusterError, NotFound, Unavailable
from foreman.executors.address import Address
from foreman.executors.gate.verdict import Seen
from foreman.executors.jobmode.contract import Heard, concluded, heard
from foreman.executors.jobmode.job import (
    CoderJobSettings,
    attempt_of,
    belongs,
    labels_of,
    manifest,
    name_of,
)
from foreman.executors.jobs import Jobs, Vigil, removed, watched
from foreman.executors.precondition import Precondition
from foreman.executors.protocol import Cancelled, Execution
from foreman.executors.transcripts import Attempt, Transcripts
from foreman.runtime import Runtime

T = TypeVar("T")
LOG_BYTES = 4 << 20
TRIES = 5
PAUSE_SECONDS = 1.0


class JobMode:
    def __init__(self, jobs: Jobs, runtime: Runtime, transcripts: Transcripts, settings: CoderJobSettings) -> None:
        self.jobs = jobs
        self.runtime = runtime
        self.transcripts = transcripts
        self.settings = settings

    async def execute(self, execution: Execution, agent: Agent, address: Address) -> Result:
        """Raises Cancelled, Precondition."""
        task, attempt, namespace = execution.task, execution.attempt, self.settings.namespace
        body = manifest(task, attempt, agent, address, self.settings)
        name = name_of(task, attempt)
        await self._only_this(execution)
        await self._started(execution, body, name)
        if execution.stamp is not None:
            await execution.stamp(name)
        deadline = body["spec"]["activeDeadlineSeconds"]
        try:
            seen, said = await watched(
                *(self.jobs, self.runtime, namespace, name),
                Vigil(self.settings.poll, 2 * deadline),
                execution.cancelled,
            )
        except BaseException:
            # The process is ending, and the next attempt has a Job of its own.
            await removed(self.jobs, namespace, name)
            raise
        told, lost = await self._read(namespace, name)
        reference = await self._kept(execution, agent, told, seen)
        if seen is not Seen.COMPLETE and seen is not Seen.FAILED:
            await removed(self.jobs, namespace, name)
        if seen is Seen.CANCELLED:
            raise Cancelled(said)
        why = lost if seen is Seen.COMPLETE else said or f"job {name} failed"
        result = concluded(told, seen is Seen.COMPLETE, why)
        extra = {**result.extra, "jobName": name, "jobNamespace": namespace, "agentName": agent.metadata.name}
        return result.evolve(extra=extra | ({"transcriptRef": reference} if reference else {}))

    async def _only_this(self, execution: Execution) -> None:
        """End the Jobs of earlier attempts; a later one ends this. Raises Cancelled, Precondition."""
        labels = ",".join(f"{name}={value}" for name, value in labels_of(execution.task).items())
        found = await self._asked("list its jobs", lambda: self.jobs.list(self.settings.namespace, labels))
        for job in found:
            if attempt_of(job) > execution.attempt:
                raise Cancelled(f"attempt {execution.attempt} was overtaken: attempt {attempt_of(job)} has a job")
            if attempt_of(job) < execution.attempt:
                await removed(self.jobs, self.settings.namespace, str(job["metadata"]["name"]))

    async def _started(self, execution: Execution, body: dict[str, Any], name: str) -> None:
        """Create it. That it is there already is no fault if it is this attempt's: then its answer was lost, or this agent has
        been here before. Raises Precondition."""
        namespace = self.settings.namespace
        for number in range(TRIES):
            try:
                await self.jobs.create(namespace, body)
                return
            except AlreadyExists:
                there = await self._asked("look at its job", lambda: self.jobs.get(namespace, name))
                if belongs(there, execution.task, execution.attempt):
                    return
                raise _not_started(f"there is a job {name} of another task") from None
            except Unavailable as error:
                if number + 1 == TRIES:
                    raise _not_started(f"create job {name}: {error}") from None
                await self.runtime.sleep(PAUSE_SECONDS * 2**number)
            except ClusterError as error:
                raise _not_started(f"create job {name}: {error}") from None

    async def _asked(self, what: str, ask: Callable[[], Awaitable[T]]) -> T:
        for number in range(TRIES - 1):
            try:
                return await ask()
            except Unavailable:
                await self.runtime.sleep(PAUSE_SECONDS * 2**number)
            except ClusterError as error:
                raise _not_started(f"cannot {what}: {error}") from None
        try:
            return await ask()
        except ClusterError as error:
            raise _not_started(f"cannot {what}: {error}") from None

    async def _read(self, namespace: str, name: str) -> tuple[Heard, str]:
        """What it has printed; and why that is not known, if it is not."""
        for number in range(TRIES):
            try:
                return heard(await self.jobs.log_tail(namespace, name, LOG_BYTES)), ""
            except NotFound as error:
                return heard(""), str(error)
            except ClusterError as error:
                lost = f"the log of job {name} cannot be read: {error}"
                if number + 1 < TRIES:
                    await self.runtime.sleep(PAUSE_SECONDS * 2**number)
        return heard(""), lost

    async def _kept(self, execution: Execution, agent: Agent, told: Heard, seen: Seen) -> str:
        if not told.notes:
            return ""
        task = execution.task
        meta: Mapping[str, Any] = {
            "task": task.key,
            "taskUID": task.metadata.uid,
            "attempt": execution.attempt,
            "agent": agent.metadata.name,
            "end": f"job {seen}",
            "job": f"{self.settings.namespace}/{name_of(task, execution.attempt)}",
        }
        return await self.transcripts.save(Attempt(task, execution.attempt), told.notes, meta)


def _not_started(said: str) -> Precondition:
    return Precondition(FailureReason.INFRASTRUCTURE_ERROR, said[:280])
