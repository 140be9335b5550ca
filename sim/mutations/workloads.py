"""The workload controller with one safeguard taken out (the original's hazards L13 to L16, L21, #949 and #1738), the task
controller without its transitive skip (#1688), and the scheduler without its account of model endpoints."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from foreman.api import (
    CONDITION_DISPATCHED,
    CONDITION_PLANNED,
    AgenticTask,
    ObjectReference,
    Verdict,
    Workload,
    with_condition,
)
from foreman.cluster import AlreadyExists, Cluster
from foreman.decide import pending
from foreman.decide.pipeline import plan
from foreman.decide.pipeline.book import View
from foreman.decide.pipeline.plan import Decision
from foreman.decide.pipeline.render import owner_uid
from foreman.decide.requirement import Requirement
from foreman.scheduler import Scheduler
from foreman.task_controller import TaskController
from foreman.workload_controller import WorkloadController
from sim.mutations.product import Mutation, operator


def _with_status(view: View, **changes: object) -> View:
    return view._replace(workload=view.workload.evolve(status=view.workload.status.evolve(**changes)))


class FirstLookController(WorkloadController):
    """Renders only while there are no children: a render that broke off is never completed (L13)."""

    @staticmethod
    def decide(view: View) -> Decision:
        if not view.children or plan.is_planned(view.workload):
            return plan.decide(view)
        conditions = with_condition(
            view.workload.status.conditions, CONDITION_PLANNED, True, "PlannerSucceeded", "", view.wall
        )
        seen = tuple(ObjectReference(name=name, uid=task.metadata.uid) for name, task in view.children.items())
        decision = plan.decide(_with_status(view, conditions=conditions, tasks=seen))
        return decision._replace(changes={"conditions": conditions, **decision.changes, "tasks": seen})


class ForgetfulPlanner(WorkloadController):
    """Knows only the children there are: one that was deleted is rendered again (L14)."""

    @staticmethod
    def decide(view: View) -> Decision:
        status = view.workload.status
        gone = [name for name in (ref.name for ref in status.tasks) if name not in view.children]
        if not gone or not plan.is_planned(view.workload):
            return plan.decide(view)
        conditions = tuple(each for each in status.conditions if each.type != CONDITION_PLANNED)
        tasks = tuple(ref for ref in status.tasks if ref.name in view.children)
        return plan.decide(_with_status(view, conditions=conditions, tasks=tasks, outcomes={}))


class RelentlessPlanner(ForgetfulPlanner):
    """Renders again what goes with its Workload, as fast as it goes (#949)."""

    is_going = staticmethod(lambda workload: False)

    def _wake(self, uid: str, task: AgenticTask) -> None:
        for owner in task.metadata.owner_references:
            self.queue.add(f"{task.metadata.namespace}/{owner.name}")


class NameIsOwnership(WorkloadController):
    """Takes a task for its own that has the name of one of its steps (L15, L16)."""

    def owner_of(self, task: AgenticTask) -> str:
        named = (w for w in self.workloads if task.metadata.name.startswith(f"{w.metadata.name}-"))
        return owner_uid(task) or next((each.metadata.uid for each in named), "")


class RestampingRollup(WorkloadController):
    """Says when it looked, and looks whenever its own status has changed: wakes itself (L21)."""

    def _changed(self, key: str, old: Workload | None, new: Workload | None) -> None:
        if new is not None:
            self.queue.add_after(key, 1.0)

    @staticmethod
    def decide(view: View) -> Decision:
        decision = plan.decide(view)
        if decision.changes or decision.create or not plan.is_planned(view.workload):
            return decision
        conditions = view.workload.status.conditions
        told = with_condition(conditions, CONDITION_DISPATCHED, True, "Looked", f"at {view.wall}", view.wall)
        return decision._replace(changes={"conditions": told} if told is not conditions else {})


class HopefulRollup(WorkloadController):
    """Believes that a child it does not see is at work (#1738)."""

    @staticmethod
    def decide(view: View) -> Decision:
        return plan.decide(view._replace(gone=()))._replace(doubtful=())


class ExistsIsOwn:
    """A Cluster for which a task that is there already is as good as created (L16)."""

    def __init__(self, inner: Cluster) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def create(self, obj: Any) -> Any:
        try:
            return await self.inner.create(obj)
        except AlreadyExists:
            if obj.kind != "AgenticTask":
                raise
            return await self.inner.get(obj.kind, obj.metadata.name, obj.metadata.namespace)


class OneHopController(TaskController):
    """Takes a skipped dependency for one that has missed its target (#1688)."""

    @staticmethod
    def next_step(
        task: AgenticTask, dependency: pending.Lookup, depended_on: bool, wall: int, closed: set[str] | None = None
    ) -> pending.Step:
        def forgotten(name: str) -> AgenticTask | None:
            found = dependency(name)
            if found is None or found.status.verdict is not Verdict.SKIPPED:
                return found
            return found.evolve(status=found.status.evolve(verdict=Verdict.INCOMPLETE))

        return pending.next_step(task, forgotten, depended_on, wall, closed)


class EndpointBlindScheduler(Scheduler):
    """Counts slots and RAM, not the runs that a model endpoint takes."""

    def _want(self, task: AgenticTask) -> Requirement:
        return super()._want(task)._replace(endpoint="", min_tokens_per_second=0)


WORKLOADS: dict[str, Mutation] = {
    "render-at-first-look": Mutation(
        "a Workload with any child counts as rendered",
        "workload-accounted",
        operator(workload_controller=FirstLookController),
    ),
    "forgetful-planner": Mutation(
        "deleted children are rendered again", "rendered-once", operator(workload_controller=ForgetfulPlanner)
    ),
    "renders-while-deleted": Mutation(
        "a Workload that is being deleted is rendered again",
        "rendered-once",
        operator(workload_controller=RelentlessPlanner),
    ),
    "name-is-ownership": Mutation(
        "a task of the right name counts as a child", "foreign-child", operator(workload_controller=NameIsOwnership)
    ),
    "restamped-rollup": Mutation(
        "a Workload's status wakes its controller", "write-storm", operator(workload_controller=RestampingRollup)
    ),
    "no-endpoint-accounting": Mutation(
        "placement ignores what model endpoints take", "endpoint-limit", operator(scheduler=EndpointBlindScheduler)
    ),
    "exists-is-own": Mutation(
        "AlreadyExists counts as having made it",
        "foreign-child",
        lambda product: replace(product, wrap=lambda cluster: ExistsIsOwn(product.wrap(cluster))),
    ),
    "one-hop-skip": Mutation(
        "what waits for a skipped task fails", "skip-passed-on", operator(task_controller=OneHopController)
    ),
    "hopeful-rollup": Mutation(
        "a child that is gone counts as being at work",
        "workload-accounted",
        operator(workload_controller=HopefulRollup),
    ),
}
