"""One attempt at a task on this node: execute, then report until the report has landed or the attempt is no longer ours.

A finished result is never dropped because the API was away at the wrong moment (L11): the report is repeated until the API
server has said yes, or has shown that somebody else holds the task now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foreman.api import AgenticTask
from foreman.cluster import Cluster, ClusterError, Conflict, Invalid, NotFound
from foreman.decide import claims
from foreman.decide.custody import timeout_of
from foreman.executors import Execution, Executor
from foreman.runtime import Runtime

REPORT_RETRY_FIRST = 0.25
REPORT_RETRY_MAX = 30.0
STAMP_TRIES = 3


class Run:
    """`task` as it was claimed (version included)."""

    still_ours = staticmethod(claims.still_ours)

    def __init__(self, cluster: Cluster, runtime: Runtime, executor: Executor, task: AgenticTask) -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.executor = executor
        self.task = task
        self.key = task.key
        self.attempt = task.status.attempt
        self.fence = claims.fence_of(task)
        self.deadline = runtime.now() + timeout_of(task)
        self.cancelled = runtime.event()
        self.superseded = False
        self.timed_out = False
        self.handing_back = False
        self.reporting = False
        self.landed = False

    def supersede(self) -> None:
        """The attempt is not ours any more: stop, report nothing."""
        self.superseded = True
        self.cancelled.set()

    def time_out(self) -> None:
        self.timed_out = True
        self.cancelled.set()

    def interrupt(self) -> None:
        """Stop and give the task back unfinished."""
        self.handing_back = True
        self.cancelled.set()

    async def execute(self) -> claims.Outcome:
        """Run the executor to its end. An exception of any kind is the executor's failure, not this process's."""
        try:
            result = await self.executor.execute(Execution(self.task, self.attempt, self.cancelled, self.stamp))
        except Exception as error:
            return claims.Outcome(error=str(error) or type(error).__name__, timed_out=self.timed_out)
        return claims.Outcome(result=result)

    async def stamp(self, job: str) -> None:
        """Make known which Job does the work. Best effort: the result names it again."""
        task: AgenticTask | None = self.task
        for _ in range(STAMP_TRIES):
            if task is None or self.cancelled.is_set():
                return
            try:
                self.task = await self.cluster.patch_status(task, {"job_name": job}, if_version=task.version)
                return
            except Conflict:
                task = await self._look_again()
            except ClusterError:
                return

    async def report(self, outcome: claims.Outcome) -> AgenticTask | None:
        """Write the outcome until it lands; the task as written, or None if the attempt is no longer ours."""
        self.reporting = True
        task: AgenticTask | None = self.task
        pause = REPORT_RETRY_FIRST
        refusals: list[str] = []
        while task is not None:
            changes = self._changes(task, outcome, refusals)
            try:
                written = await self.cluster.patch_status(task, changes, if_version=task.version)
            except Invalid as error:
                refusals.append(str(error))
                if len(refusals) > 2:
                    await self.runtime.sleep(REPORT_RETRY_MAX)
            except NotFound:
                return None
            except Conflict:
                task = await self._look_again()
            except ClusterError:
                await self.runtime.sleep(pause)
                pause = min(pause * 2, REPORT_RETRY_MAX)
                task = await self._look_again()
            else:
                self.landed = True
                return written
        return None

    def _changes(self, task: AgenticTask, outcome: claims.Outcome, refusals: Sequence[str]) -> Mapping[str, Any]:
        wall = self.runtime.wall()
        if refusals:
            # If even the raw result is refused, the end of the task must land without it.
            kept = outcome.result if len(refusals) == 1 else None
            return claims.rejected(task, kept, refusals[0], wall)
        if self.handing_back and outcome.result is None:
            return claims.hand_back(task, "AgentDraining", "the agent is shutting down", wall)
        return claims.report(task, outcome, wall)

    async def _look_again(self) -> AgenticTask | None:
        """The task as it is now if the attempt is still ours. An earlier report whose answer was lost shows here as landed."""
        meta = self.task.metadata
        while True:
            try:
                live = await self.cluster.get("AgenticTask", meta.name, meta.namespace)
            except NotFound:
                return None
            except ClusterError:
                await self.runtime.sleep(REPORT_RETRY_FIRST)
                continue
            assert isinstance(live, AgenticTask)
            if live.metadata.uid != meta.uid:
                return None
            self.landed = claims.reported(live, self.fence)
            return live if self.still_ours(live, self.fence) else None
