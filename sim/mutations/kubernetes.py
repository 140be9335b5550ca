"""Races of Kubernetes' own components, brought into Foreman: caches believed too far, silences that were one's own, a leader
that does not stand down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foreman.agent.watcher import Watcher
from foreman.api import IN_FLIGHT, AgenticTask, Phase
from foreman.cluster import ClusterError
from foreman.decide import claims
from foreman.election import Election, LostLeadership
from foreman.node_controller import NodeController
from foreman.scheduler import Scheduler
from foreman.task_controller import TaskController
from sim.mutations.product import Mutation, agent, operator


class Beside:
    """A cache as others see it, except for what a subclass says otherwise."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class TrustingWatcher(Watcher):
    """Starts what its cache says is assigned here, as a kubelet does, and claims beside it: an assignment is enough."""

    async def _claim_and_run(self, task: AgenticTask) -> None:
        changes = claims.claim(task, self.node, self.holder, self.runtime.wall())
        self.runtime.spawn(self._claim(task, changes), "claim")
        await self._carry_out(task.evolve(status=task.status.evolve(**changes)))

    async def _claim(self, task: AgenticTask, changes: Mapping[str, Any]) -> None:
        try:
            await self.cluster.patch_status(task, changes, if_version=task.version)
        except ClusterError:
            return


class Unforgetting(Beside):
    def forget(self, obj: Any) -> None:
        """What the watch has not shown deleted is there."""


class GhostNodeController(NodeController):
    """Believes its cache that a node exists until a watch event says otherwise, and never lists again."""

    def __init__(self, cluster: Any, runtime: Any, nodes: Any, *others: Any) -> None:
        super().__init__(cluster, runtime, nodes, *others)
        nodes.resync = float("inf")
        self.nodes = Unforgetting(nodes)  # type: ignore[assignment]


class Unobserving(Beside):
    def observe(self, obj: Any) -> None:
        """The answer to a write is not put in: the watch will bring it."""


class LateCountingScheduler(Scheduler):
    """Drops its assumption with the answer to the write, and counts what its cache shows, which has not seen the write yet."""

    def __init__(self, cluster: Any, runtime: Any, tasks: Any, *others: Any) -> None:
        super().__init__(cluster, runtime, Unobserving(tasks), *others)  # type: ignore[arg-type]


class UnforgettingScheduler(Scheduler):
    """Does not forget what it assumed when the binding fails: the task goes back into the queue, its place stays taken."""

    def _occupancy(self, key: str, task: AgenticTask | None) -> None:
        if task is None or task.status.phase is not Phase.PENDING:
            super()._occupancy(key, task)


class TwoStepScheduler(Scheduler):
    """Refreshes its books by taking the old state of a task out and putting the new one in, and may plan in between."""

    def _task_changed(self, key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
        if _in_flight(old) and _in_flight(new) and key not in self._binding:
            self.fleet.vacate(key)
            self.runtime.call_later(0, lambda: self._occupancy(key, self.tasks.get(key)))
        else:
            super()._task_changed(key, old, new)


def _in_flight(task: AgenticTask | None) -> bool:
    return task is not None and task.status.phase in IN_FLIGHT


class CredulousController(TaskController):
    """Takes its own view of a silence for the truth: says nothing before it evicts, and asks nobody."""

    def _said_ready(self, name: str) -> bool:
        return False

    async def _silent(self, name: str) -> bool:
        return True


class StubbornElection(Election):
    """Once elected it leads for good: a renewal that does not get through is tried again, whoever has the lease by then."""

    async def _stand_down(self) -> None:
        return None

    async def _renew(self) -> None:
        try:
            await super()._renew()
        except LostLeadership:
            return


KUBERNETES: dict[str, Mutation] = {
    "run-before-claim": Mutation(
        "agents start what their cache shows and claim afterwards", "no-ghost-run", agent(watcher=TrustingWatcher)
    ),
    "ghost-node": Mutation(
        "a node whose deletion was missed stays for ever",
        "eventually-stable",
        operator(node_controller=GhostNodeController),
    ),
    "late-count": Mutation(
        "an assumption is dropped before the cache has seen the write",
        "agent-limit",
        operator(scheduler=LateCountingScheduler),
    ),
    "no-forget": Mutation(
        "what was assumed is not forgotten when the binding fails",
        "work-conserving",
        operator(scheduler=UnforgettingScheduler),
    ),
    "two-step-refresh": Mutation(
        "books are refreshed by taking out and putting in", "overcommit", operator(scheduler=TwoStepScheduler)
    ),
    "unconfirmed-silence": Mutation(
        "silence is not confirmed before tasks are taken back",
        "earned-expiry",
        operator(task_controller=CredulousController),
    ),
    "no-stand-down": Mutation(
        "a leader that cannot renew goes on leading", "one-leader", operator(election=StubbornElection)
    ),
}
