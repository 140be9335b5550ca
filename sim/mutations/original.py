"""The bugs of the original (defilantech/LLMKube): the product decides as it did there before each mend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foreman.agent.registrar import Registrar
from foreman.agent.run import Run
from foreman.agent.watcher import Watcher
from foreman.api import IN_FLIGHT, REASON_DEPENDENCY_ABSENT, AgenticTask, FleetNode, Phase, Verdict
from foreman.cluster import ClusterError
from foreman.decide import claims, pending
from foreman.decide.filters import mismatches
from foreman.decide.queueing import Rank, rank_of
from foreman.decide.requirement import Requirement, agent_key
from foreman.node_controller import NodeController
from foreman.scheduler import Scheduler
from foreman.task_controller import TaskController
from sim.mutations.product import Mutation, agent, operator


class FunnellingScheduler(Scheduler):
    """Takes the first node that fits by name; what runs there was never written down (#977)."""

    def _choose(self, group: Any, task: AgenticTask) -> str | None:
        fits = (
            name for name, node in sorted(self.fleet.nodes.items()) if node.ready and not mismatches(group.want, node)
        )
        return next(fits, None)


class PhaseOnlyController(TaskController):
    """A dependency that has Succeeded is done, whatever its verdict (#541)."""

    @staticmethod
    def next_step(
        task: AgenticTask, dependency: pending.Lookup, depended_on: bool, wall: int, closed: set[str] | None = None
    ) -> pending.Step:
        def whitewashed(name: str) -> AgenticTask | None:
            found = dependency(name)
            if found is None or found.status.phase is not Phase.SUCCEEDED:
                return found
            return found.evolve(status=found.status.evolve(verdict=Verdict.GO))

        return pending.next_step(task, whitewashed, depended_on, wall, closed)


class UnlimitedWaitController(TaskController):
    """Waits for a dependency that does not exist no longer than timeoutSeconds, but for ever without that (#1729)."""

    @staticmethod
    def next_step(
        task: AgenticTask, dependency: pending.Lookup, depended_on: bool, wall: int, closed: set[str] | None = None
    ) -> pending.Step:
        step = pending.next_step(task, dependency, depended_on, wall, closed)
        gives_up = (
            isinstance(step, pending.Write) and step.reason == REASON_DEPENDENCY_ABSENT and "phase" in step.changes
        )
        return pending.Wait("waiting") if gives_up and not task.spec.timeout_seconds else step


class AmnesiacWatcher(Watcher):
    """Does not look for what an earlier life of the agent left Running (#542)."""

    def _orphan(self, key: str, task: AgenticTask) -> bool:
        return False


class InertNodeController(NodeController):
    """Leaves the phase to the agents: one that has died cannot say so (#627)."""

    async def reconcile(self, name: str) -> float | None:
        return None


class HoardingNodeController(NodeController):
    """Never deletes a FleetNode that is Draining (#979)."""

    async def _draining(self, node: FleetNode, silence: float) -> float:
        if silence > self.liveness.timeout:
            self.tasks.node_lost(node.metadata.name)
        return self.liveness.timeout


class StubbornRun(Run):
    """Reports the same again after the API server has refused it as invalid (#649)."""

    def _changes(self, task: AgenticTask, outcome: claims.Outcome, refusals: Sequence[str]) -> Mapping[str, Any]:
        return super()._changes(task, outcome, ())


class StubbornWatcher(Watcher):
    run_type = StubbornRun


class ListOrderScheduler(Scheduler):
    """What ends a pipeline waits in line behind what begins others (#936)."""

    @staticmethod
    def rank(task: AgenticTask) -> Rank:
        return rank_of(task)._replace(depth=0)


class DeafWatcher(Watcher):
    """A run goes on when its task is deleted (#1136)."""

    def _stands(self, run: Run, task: AgenticTask | None) -> bool:
        return task is None or task.metadata.deletion_timestamp is not None or super()._stands(run, task)


class WaitingCountsScheduler(Scheduler):
    """Counts an Agent's Pending tasks against its maxConcurrentTasks (the first version of #1546)."""

    def at_limit(self, agent: str) -> bool:
        found = self.agents.get(agent) if agent else None
        if found is None or found.spec.max_concurrent_tasks is None:
            return False
        phases = (Phase.PENDING, *IN_FLIGHT)
        its = sum(agent_key(task) == agent and task.status.phase in phases for task in self.tasks)
        return its - 1 >= found.spec.max_concurrent_tasks


class ReservingScheduler(Scheduler):
    """A task that only supervises a Job takes a slot of the node (#1496)."""

    def _want(self, task: AgenticTask) -> Requirement:
        return super()._want(task)._replace(slot=True)


class SuperviseInSlotWatcher(Watcher):
    """Supervising a Job takes one of the agent's slots (#1559)."""

    def _taken(self) -> int:
        return len(self.runs) + len(self._claiming) + len(self._orphans)

    def _room(self, task: AgenticTask) -> bool:
        return self.admits(self.slots, self._taken())


class LoadedTwiceScheduler(Scheduler):
    """Demands free RAM for a model that is loaded already (#578)."""

    def _want(self, task: AgenticTask) -> Requirement:
        want, its = super()._want(task), self.agents.get(agent_key(task))
        needs = its.spec.required_capability if its is not None else None
        return want._replace(min_ram_gb=needs.min_ram_gb) if needs is not None else want


class OnceRegistrar(Registrar):
    """Registers at the start only: a heartbeat to a FleetNode that is gone fails, and is tried again (#1778)."""

    async def _tick(self) -> None:
        try:
            await self.beat()
        except ClusterError:
            return


class ShowingWatcher(Watcher):
    """What is shown is cleared by the end of the task, which a deleted one does not come to (#1791)."""

    shown = ""

    def current_task(self) -> str:
        self.shown = self.shown or super().current_task()
        return self.shown

    def _ended(self, run: Run, written: AgenticTask | None) -> None:
        if run.landed and run.key == self.shown:
            self.shown = ""
        super()._ended(run, written)


ORIGINAL: dict[str, Mutation] = {
    "funnelling": Mutation(
        "placement does not see what runs", "work-conserving", operator(scheduler=FunnellingScheduler)
    ),
    "verdict-ignored": Mutation(
        "a dependency counts by its phase", "dependencies-met", operator(task_controller=PhaseOnlyController)
    ),
    "no-orphan-recovery": Mutation("a restart forgets what ran", "attended", agent(watcher=AmnesiacWatcher)),
    "dead-stays-ready": Mutation(
        "a silent node stays Ready", "eventually-stable", operator(node_controller=InertNodeController)
    ),
    "rejected-report": Mutation("a refused report is repeated as it is", "attended", agent(watcher=StubbornWatcher)),
    "list-order": Mutation(
        "the queue does not know what ends a pipeline", "passed-over", operator(scheduler=ListOrderScheduler)
    ),
    "no-reaping": Mutation(
        "Draining FleetNodes are never deleted", "node-leak", operator(node_controller=HoardingNodeController)
    ),
    "deaf-to-deletion": Mutation("a deleted task runs on", "no-ghost-run", agent(watcher=DeafWatcher)),
    "waiting-counts": Mutation(
        "waiting tasks count against their Agent", "work-conserving", operator(scheduler=WaitingCountsScheduler)
    ),
    "job-reserves-node": Mutation(
        "supervising a Job takes a node", "work-conserving", operator(scheduler=ReservingScheduler)
    ),
    "job-takes-slot": Mutation(
        "supervising a Job takes the agent's slot", "work-conserving", agent(watcher=SuperviseInSlotWatcher)
    ),
    "ram-for-loaded-model": Mutation(
        "a loaded model needs its RAM again", "work-conserving", operator(scheduler=LoadedTwiceScheduler)
    ),
    "endless-absence": Mutation(
        "without a timeout a missing dependency is waited for without end",
        "bounded-wait",
        operator(task_controller=UnlimitedWaitController),
    ),
    "registers-once": Mutation("a deleted FleetNode is not made again", "registered", agent(registrar=OnceRegistrar)),
    "shown-for-ever": Mutation("currentTask outlives a deleted task", "current-task", agent(watcher=ShowingWatcher)),
}
