"""The latent hazards of the original (L1-L28): bugs nobody reported, found by reading it. Here those of its operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from foreman.api import IN_FLIGHT, AgenticTask, FleetNode, Phase
from foreman.cluster import ClusterError
from foreman.decide import custody, pending
from foreman.decide.fleet import Fleet
from foreman.decide.queueing import GroupKey, Rank, rank_of
from foreman.decide.requirement import agent_key
from foreman.node_controller import NodeController
from foreman.scheduler import Scheduler
from foreman.task_controller import TaskController
from sim.mutations.latent_agent import LATENT_AGENT, SecretiveWatcher, TimelessWatcher, loosened
from sim.mutations.product import Mutation, Product, operator

_HELD = (Phase.RUNNING, Phase.VERIFYING)


class WakefulNodes(NodeController):
    """Every event of every node, heartbeats too, has every Pending task looked at (L19)."""

    def _changed(self, name: str, old: FleetNode | None, new: FleetNode | None) -> None:
        super()._changed(name, old, new)
        for task in self.tasks.tasks:
            if task.status.phase is Phase.PENDING:
                self.tasks.queue.add(task.key)


class ForgetfulScheduler(Scheduler):
    """Does not remember what it has bound: what its cache shows is true, however old (L2)."""

    async def _bind(self, task: AgenticTask, node: str, slot: bool) -> None:
        try:
            changes = self.assign(task, node, self.runtime.wall(), slot)
            await self.cluster.patch_status(task, changes, if_version=None)
        except ClusterError:
            self.give_back(task.key)
        del self._binding[task.key]
        self._occupancy(task.key, self.tasks.get(task.key))


class CredulousController(TaskController):
    """Takes claims back on the word of its cache, and overwrites whatever stands there by then (L3)."""

    def _said_ready(self, name: str) -> bool:
        return False

    async def _silent(self, name: str) -> bool:
        return True


def _expiries(obj: Any, changes: Mapping[str, Any]) -> bool:
    return "strikes" in changes


def _conditions_alone(obj: Any, changes: Mapping[str, Any]) -> bool:
    return obj.kind == "AgenticTask" and set(changes) == {"conditions"}


class UnclaimedForEver(TaskController):
    """Lets an assigned task wait for its claim as long as the node's heart beats (L6)."""

    async def _guard(self, task: AgenticTask) -> float | None:
        if task.status.phase is Phase.SCHEDULED and not self.liveness.stale(task.status.assigned_node):
            return None
        return await super()._guard(task)


class InattentiveController(TaskController):
    """Leaves what is assigned to a node that leaves to the expiry of claims (L25)."""

    def left_behind(self, task: AgenticTask) -> bool:
        return False


class TimelessController(TaskController):
    """Does not know timeoutSeconds (L26)."""

    async def _guard(self, task: AgenticTask) -> float | None:
        if task.status.phase in _HELD and not self.liveness.stale(task.status.assigned_node):
            return None
        return await super()._guard(task)


class StrictController(TaskController):
    """Forgives no strike, however long the claim had lived (L28)."""

    @staticmethod
    def expire(task: AgenticTask, detail: str, wall: int) -> pending.Write:
        return custody.expire(task.evolve(status=task.status.evolve(claimed_at=None)), detail, wall)


class PatientController(TaskController):
    """Waits without a word and without end for what cannot come: names that do not exist, tasks that wait for it (L17)."""

    @staticmethod
    def next_step(
        task: AgenticTask, dependency: pending.Lookup, depended_on: bool, wall: int, closed: set[str] | None = None
    ) -> pending.Step:
        step = pending.next_step(task, dependency, depended_on, wall, closed)
        hopeless = isinstance(step, pending.Write) and step.reason in ("DependencyAbsent", "DependencyCycle")
        return pending.Wait("") if hopeless else step

    async def _wait(self, task: AgenticTask, step: pending.Wait, wall: int) -> float | None:
        return None


class CountingScheduler(Scheduler):
    """Counts an Agent's tasks in the cache, where its own assignments of a moment ago are not yet (L18)."""

    def at_limit(self, agent: str) -> bool:
        found = self.agents.get(agent)
        limit = found.spec.max_concurrent_tasks if found is not None else None
        busy = [task for task in self.tasks if agent_key(task) == agent and task.status.phase in IN_FLIGHT]
        return limit is not None and len(busy) >= limit


class ReservingScheduler(Scheduler):
    """Keeps `currentTask` of each node as the truth. It is cleared when the task ends or its claim expires, but not by an
    agent that gives the task back; and a task without a node counts as one that is about to get it (L7)."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._reserved: dict[str, str] = {}

    def _choose(self, group: GroupKey, task: AgenticTask) -> str | None:
        barred = [name for name in self._reserved if self._bars(name, task.key)]
        chosen = self.fleet.choose(group.want, barred)
        if chosen is None or chosen in barred:
            return None
        self._reserved[chosen] = task.key
        return chosen

    def _bars(self, node: str, key: str) -> bool:
        holder = self.tasks.get(self._reserved[node])
        if holder is None or holder.key == key:
            return False
        status = holder.status
        return status.assigned_node in ("", node) and (status.phase in IN_FLIGHT or status.phase is Phase.PENDING)


class FirstFitScheduler(Scheduler):
    """Takes the first node by name, whatever the policy says (L27)."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fleet = Fleet("first-fit", self.fleet.draw, self._opened)


class LevelScheduler(Scheduler):
    """Does not know priority (L26)."""

    @staticmethod
    def rank(task: AgenticTask) -> Rank:
        return rank_of(task)._replace(urgency=0)


def _stale_dispatch(product: Product) -> Product:
    return operator(scheduler=ForgetfulScheduler, node_controller=WakefulNodes)(product)


def _credulous(product: Product) -> Product:
    return operator(task_controller=CredulousController)(loosened(_expiries)(product))


def _inattentive(product: Product) -> Product:
    product = replace(product, agent=replace(product.agent, watcher=SecretiveWatcher))
    return operator(task_controller=InattentiveController)(product)


def _timeless(product: Product) -> Product:
    product = replace(product, agent=replace(product.agent, watcher=TimelessWatcher))
    return operator(task_controller=TimelessController)(product)


LATENT: dict[str, Mutation] = {
    **LATENT_AGENT,
    "stale-dispatch": Mutation(
        "the scheduler assigns again what its cache still shows as Pending", "legal-transition", _stale_dispatch
    ),
    "expiry-by-cache": Mutation("claims are taken back on a stale read", "terminal-absorbs", _credulous),
    "unclaimed-for-ever": Mutation(
        "a task nobody claims stays where it is", "eventually-stable", operator(task_controller=UnclaimedForEver)
    ),
    "reservation-field": Mutation(
        "nodes are reserved in a field of their own", "work-conserving", operator(scheduler=ReservingScheduler)
    ),
    "no-cycle-detection": Mutation(
        "cycles and typos wait for ever", "eventually-stable", operator(task_controller=PatientController)
    ),
    "limit-by-cache": Mutation(
        "maxConcurrentTasks is counted in the cache", "agent-limit", operator(scheduler=CountingScheduler)
    ),
    "heartbeats-wake-all": Mutation(
        "each heartbeat wakes each Pending task", "reconcile-storm", operator(node_controller=WakefulNodes)
    ),
    "wholesale-conditions": Mutation(
        "conditions are replaced as a whole, unconditionally", "kept-conditions", loosened(_conditions_alone)
    ),
    "no-deadlines": Mutation("timeoutSeconds is ignored", "eventually-stable", _timeless),
    "drain-keeps-assigned": Mutation(
        "what is assigned to a draining node stays there", "clean-departure", _inattentive
    ),
    "no-priority": Mutation("priority is ignored", "urgency", operator(scheduler=LevelScheduler)),
    "always-first-fit": Mutation(
        "the first node that fits by name is taken", "stranded", operator(scheduler=FirstFitScheduler)
    ),
    "eternal-strikes": Mutation("no strike is ever forgiven", "earned-end", operator(task_controller=StrictController)),
}
