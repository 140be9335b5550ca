"""One safeguard taken out: each invariant has one that breaks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from foreman.agent.run import Run
from foreman.agent.watcher import Watcher
from foreman.api import IN_FLIGHT, AgenticTask, Phase
from foreman.cluster import Cluster
from foreman.decide import claims, custody, pending
from foreman.liveness import Liveness
from foreman.scheduler import Scheduler
from foreman.task_controller import TaskController
from sim.mutations.product import Mutation, Product, agent, operator


class Unconditional:
    """A Cluster whose writes never carry the version that was read: the original's merge patches."""

    def __init__(self, inner: Cluster) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def patch(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        return await self.inner.patch(obj, changes, if_version=None)

    async def patch_status(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        return await self.inner.patch_status(obj, changes, if_version=None)


class UnfencedRun(Run):
    """Reports whatever it finished to whoever holds the task now."""

    still_ours = staticmethod(lambda task, fence: task.status.phase in IN_FLIGHT)


class UnfencedWatcher(Watcher):
    run_type = UnfencedRun


class GreedyWatcher(Watcher):
    """Claims everything it is assigned, slots or no slots."""

    admits = staticmethod(lambda slots, running: True)


class CrossClockLiveness(Liveness):
    """Compares the agent's clock with the operator's, as the original does."""

    def silence(self, name: str) -> float:
        node = self.nodes.get(name)
        beat = node.status.last_heartbeat_time if node is not None else None
        return float(self.runtime.wall() - beat) if beat is not None else super().silence(name)


class BoundlessController(TaskController):
    """Releases a lost claim however often it has been lost."""

    @staticmethod
    def expire(task: AgenticTask, detail: str, wall: int) -> pending.Write:
        innocent = task.evolve(metadata=task.metadata.evolve(annotations={}), status=task.status.evolve(strikes={}))
        step = custody.expire(innocent, detail, wall)
        node = task.status.assigned_node
        counts = {**task.status.strikes, node: task.status.strikes.get(node, 0) + 1}
        return pending.Write({**step.changes, "strikes": counts}, step.reason)


class SameAttemptScheduler(Scheduler):
    """Does not raise the attempt number when it assigns."""

    @staticmethod
    def assign(task: AgenticTask, node: str, wall: int, slot: bool = True) -> Mapping[str, Any]:
        return {**custody.assign(task, node, wall, slot), "attempt": max(task.status.attempt, 1)}


class BlindScheduler(Scheduler):
    """Takes the first node that is ready, whatever the task requires."""

    def _choose(self, group: Any, task: AgenticTask) -> str | None:
        return next((name for name, node in sorted(self.fleet.nodes.items()) if node.ready), None)


class UnlimitedScheduler(Scheduler):
    """Does not know maxConcurrentTasks."""

    def at_limit(self, agent: str) -> bool:
        return False


class ForgetfulController(TaskController):
    """Never takes a claim back: the original before #669."""

    async def _guard(self, task: AgenticTask) -> float | None:
        return None


class WaitForEverController(TaskController):
    """Says nothing and does nothing about a dependency that does not exist: the original before #1698."""

    @staticmethod
    def next_step(
        task: AgenticTask, dependency: pending.Lookup, depended_on: bool, wall: int, closed: set[str] | None = None
    ) -> pending.Step:
        step = pending.next_step(task, dependency, depended_on, wall, closed)
        return pending.Wait("") if isinstance(step, pending.Write) and "phase" not in step.changes else step

    async def _wait(self, task: AgenticTask, step: pending.Wait, wall: int) -> float | None:
        return None


class RestampingController(TaskController):
    """Stamps the waiting condition anew at every look, and looks whenever it has changed: wakes itself (L21)."""

    async def _wait(self, task: AgenticTask, step: pending.Wait, wall: int) -> float | None:
        stamp = f"{step.message} ({self.runtime.now()})"
        changes = pending.blocked(task, "WaitingForDependencies", stamp, wall)
        if changes is not None:
            await self._write(task, changes)
        return None


class RevivingRun(Run):
    """Writes its result over whatever stands there, finished or not."""

    still_ours = staticmethod(lambda task, fence: True)

    def _changes(self, task: AgenticTask, outcome: claims.Outcome, refusals: Sequence[str]) -> Mapping[str, Any]:
        status = task.status.evolve(phase=Phase.RUNNING)
        return super()._changes(task.evolve(status=status), outcome, refusals)


class RevivingWatcher(Watcher):
    run_type = RevivingRun


class DoubtingRun(Run):
    """Takes a report without an answer for the loss of what it had to report."""

    doubts = False

    async def _look_again(self) -> AgenticTask | None:
        self.doubts = True
        return await super()._look_again()

    def _changes(self, task: AgenticTask, outcome: claims.Outcome, refusals: Sequence[str]) -> Mapping[str, Any]:
        lost = claims.Outcome(error="the report was not answered")
        return super()._changes(task, lost if self.doubts else outcome, refusals)


class DoubtingWatcher(Watcher):
    run_type = DoubtingRun


def _unconditional(product: Product) -> Product:
    return replace(product, wrap=Unconditional)


SAFEGUARDS: dict[str, Mutation] = {
    "unconditional-writes": Mutation("writes carry no version", "one-holder", _unconditional),
    "no-attempt-fence": Mutation("late results are written", "fenced-result", agent(watcher=UnfencedWatcher)),
    "no-slot-admission": Mutation("agents claim beyond their slots", "slots", agent(watcher=GreedyWatcher)),
    "cross-clock-heartbeats": Mutation(
        "staleness compares two clocks", "earned-expiry", operator(liveness=CrossClockLiveness)
    ),
    "no-claim-expiry": Mutation(
        "lost claims are never taken back", "eventually-stable", operator(task_controller=ForgetfulController)
    ),
    "boundless-strikes": Mutation(
        "lost claims are released without limit", "attempts-bounded", operator(task_controller=BoundlessController)
    ),
    "same-attempt": Mutation(
        "assignments do not raise the attempt", "attempt-monotone", operator(scheduler=SameAttemptScheduler)
    ),
    "no-filters": Mutation("placement ignores requirements", "capability", operator(scheduler=BlindScheduler)),
    "no-agent-limit": Mutation("maxConcurrentTasks is ignored", "agent-limit", operator(scheduler=UnlimitedScheduler)),
    "silent-waits": Mutation(
        "waits have no reason and no end", "eventually-stable", operator(task_controller=WaitForEverController)
    ),
    "restamped-conditions": Mutation(
        "conditions are stamped anew at every look", "write-storm", operator(task_controller=RestampingController)
    ),
    "terminal-overwrite": Mutation(
        "late results overwrite finished tasks", "terminal-absorbs", agent(watcher=RevivingWatcher)
    ),
    "doubted-reports": Mutation(
        "a report without an answer becomes a failure", "differential", agent(watcher=DoubtingWatcher)
    ),
}
