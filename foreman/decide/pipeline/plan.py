"""What to do about a Workload now: one decision over one view of it and its children.

First the plan is recorded (phase Planning: every child's name), then the children are created, then they are recorded as seen
(phase Planned). From then on the status is what the children add up to, and issues get the rounds that they have earned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from foreman.api import (
    CONDITION_CLOUD_REVIEWERS_SUPPRESSED,
    CONDITION_NAME_TAKEN,
    CONDITION_PLANNED,
    CONDITION_TRUNCATED,
    REASON_AGENT_RESOLVE_FAILED,
    REASON_RENDERING,
    AgenticTask,
    GateAdvisory,
    ObjectReference,
    PipelineStep,
    Workload,
    WorkloadPhase,
    condition,
    with_condition,
)
from foreman.decide.pipeline import batch, cloud, rollup
from foreman.decide.pipeline.book import Book, Tally, View, tally
from foreman.decide.pipeline.emission import emit
from foreman.decide.pipeline.outcome import Bucket
from foreman.decide.pipeline.render import advice, child_name, render
from foreman.decide.pipeline.rollup import Conditions, some

PLANNER = "stub:explicit-pipeline"


class Decision(NamedTuple):
    """`changes`: the patch of the status, before all else; then `create` what it names; `doubtful`: recorded children that are
    not to be seen: ask the API server, and decide again; `advise`: gate advisories to put into reviews."""

    changes: Mapping[str, Any]
    create: tuple[AgenticTask, ...] = ()
    doubtful: tuple[str, ...] = ()
    advise: tuple[tuple[AgenticTask, tuple[GateAdvisory, ...]], ...] = ()


class Draft(NamedTuple):
    """`phase` None: what the children add up to. `steps` are to be created."""

    phase: WorkloadPhase | None
    conditions: Conditions
    steps: Sequence[PipelineStep] = ()


def decide(view: View) -> Decision:
    """Everything there is to do for the Workload at this moment; it asks for nothing twice."""
    workload = view.workload
    book = Book(view)
    draft = _begin(view, book) if not is_planned(workload) else _go_on(view, book)
    awaited = {child_name(workload, step.name) for step in draft.steps}
    found = tally(book, awaited)
    conditions = _name_taken(draft.conditions, [name for name in sorted(view.taken) if name in awaited], view.wall)
    phase = draft.phase
    if phase is None:
        now = rollup.standing(found.counts, found.deleted)
        phase, conditions = now.phase, rollup.rolled_up(conditions, now, view.wall)
        conditions = rollup.already_resolved(conditions, found.resolved, view.wall)
    return Decision(
        _changes(workload, book, phase, found, conditions),
        creatable([render(workload, step) for step in draft.steps], view.taken),
        tuple(name for name in found.doubtful),
        tuple(told for issue in book.issues.values() for told in advice(issue.tasks)),
    )


def creatable(tasks: Sequence[AgenticTask], taken: Collection[str]) -> tuple[AgenticTask, ...]:
    """`tasks` (in order of dependency) without those of a taken name, and those that would depend on such: somebody else's
    verdict must not let them begin."""
    blocked = set(taken)
    free = []
    for task in tasks:
        if task.metadata.name in blocked or not blocked.isdisjoint(task.spec.depends_on):
            blocked.add(task.metadata.name)
        else:
            free.append(task)
    return tuple(free)


def is_planned(workload: Workload) -> bool:
    told = condition(workload.status.conditions, CONDITION_PLANNED)
    return told is not None and told.status == "True"


def reject(workload: Workload, name: str, message: str, wall: int) -> Mapping[str, Any]:
    """The patch after the API server has refused a child for good (#688): asking again would not change its mind."""
    changes: dict[str, Any] = {"outcomes": {name: str(Bucket.REJECTED)}}
    if not is_planned(workload):
        told = f'the API server refused the task "{name}": {message}'
        changes["phase"] = WorkloadPhase.FAILED
        changes["conditions"] = _unplanned(workload, REASON_AGENT_RESOLVE_FAILED, told, wall)
    return changes


# the beginning


def _begin(view: View, book: Book) -> Draft:
    workload = view.workload
    told = condition(workload.status.conditions, CONDITION_PLANNED)
    if told is not None and told.reason == REASON_AGENT_RESOLVE_FAILED and book.recorded:
        if told.observed_generation == workload.metadata.generation:
            return Draft(WorkloadPhase.FAILED, workload.status.conditions)
        _forget_rejected(book)
    plan = batch.choose(workload)
    steps: Sequence[PipelineStep] = ()
    conditions = workload.status.conditions
    if not isinstance(plan, batch.Unplannable):
        # What has been recorded is the plan, whatever has become of the spec or of Agents since.
        frozen = told is not None and told.reason == REASON_RENDERING
        kept = cloud.admitted(view, plan.steps) if not frozen else cloud.Admitted(plan.steps)
        if kept.unknown:
            message = f'Agent "{kept.unknown}" not found in namespace "{workload.metadata.namespace}"'
            return _failed(workload, REASON_AGENT_RESOLVE_FAILED, message, view.wall)
        steps = [step for step in kept.steps if not frozen or child_name(workload, step.name) in book.recorded]
        conditions = _cuts(conditions, workload, plan, kept, view.wall)
    elif not book.recorded:
        return _failed(workload, plan.reason, plan.message, view.wall)
    return _render(view, book, steps, conditions)


def _render(view: View, book: Book, steps: Iterable[PipelineStep], conditions: Conditions) -> Draft:
    """What of the plan is still to be created. Issues that are rendered go on meanwhile: the name of one step may be taken."""
    workload = view.workload
    names = {child_name(workload, step.name): step for step in steps}
    begun = emit(view, book, conditions)
    going_on = dict.fromkeys(child_name(workload, step.name) for step in begun.steps)
    lost = [name for name in book.recorded if not book.confirmed(name) and name not in names and name not in going_on]
    book.drop(lost)
    missing = [step for name, step in names.items() if not book.confirmed(name)]
    for name in (*names, *going_on):
        book.plan(name)
    conditions = suppressed(begun.conditions, begun.suppressed, view.wall)
    total = len(names)
    if not missing:
        message = f"emitted {total} AgenticTask(s)"
        conditions = with_condition(conditions, CONDITION_PLANNED, True, "PlannerSucceeded", message, view.wall)
        return Draft(WorkloadPhase.PLANNED, conditions, begun.steps)
    message = f"creating {total} AgenticTask(s)"
    conditions = with_condition(conditions, CONDITION_PLANNED, False, REASON_RENDERING, message, view.wall)
    return Draft(WorkloadPhase.PLANNING, conditions, [*missing, *begun.steps])


def _cuts(conditions: Conditions, workload: Workload, plan: batch.Plan, kept: cloud.Admitted, wall: int) -> Conditions:
    if plan.truncated:
        message = f"maxTasks={batch.room(workload.spec)} cut the plan from {plan.wanted} to {len(plan.steps)} task(s)"
        conditions = with_condition(conditions, CONDITION_TRUNCATED, True, "MaxTasksCap", message, wall)
    return suppressed(conditions, kept.suppressed, wall)


def suppressed(conditions: Conditions, agents: Sequence[str], wall: int) -> Conditions:
    if not agents:
        return conditions
    message = f"skipped {len(agents)} step(s) of cloud Agents: {some(list(dict.fromkeys(agents)))}"
    return with_condition(conditions, CONDITION_CLOUD_REVIEWERS_SUPPRESSED, True, "SovereigntyGate", message, wall)


def _failed(workload: Workload, reason: str, message: str, wall: int) -> Draft:
    return Draft(WorkloadPhase.FAILED, _unplanned(workload, reason, message, wall))


def _unplanned(workload: Workload, reason: str, message: str, wall: int) -> Conditions:
    """`Planned` is False, and for which generation of the spec."""
    made = with_condition(workload.status.conditions, CONDITION_PLANNED, False, reason, message, wall)
    generation = workload.metadata.generation
    return tuple(
        each.evolve(observed_generation=generation)
        if each.type == CONDITION_PLANNED and each.observed_generation != generation
        else each
        for each in made
    )


def _forget_rejected(book: Book) -> None:
    rejected = [name for name, what in book.outcomes.items() if what is Bucket.REJECTED]
    for name in rejected:
        del book.outcomes[name]
    book.drop([name for name in rejected if name in book.recorded])


# the rounds after


def _go_on(view: View, book: Book) -> Draft:
    emitted = emit(view, book, view.workload.status.conditions)
    for step in emitted.steps:
        book.plan(child_name(view.workload, step.name))
    conditions = suppressed(emitted.conditions, emitted.suppressed, view.wall)
    return Draft(None, conditions, emitted.steps)


def _name_taken(conditions: Conditions, names: Collection[str], wall: int) -> Conditions:
    if names:
        message = f"waiting for task(s) of another owner to go: {some(sorted(names))}"
        return with_condition(conditions, CONDITION_NAME_TAKEN, True, "TaskOfAnother", message, wall)
    if condition(conditions, CONDITION_NAME_TAKEN) is None:
        return conditions
    return with_condition(conditions, CONDITION_NAME_TAKEN, False, "Free", "all names are free", wall)


# the patch


def _changes(
    workload: Workload, book: Book, phase: WorkloadPhase, found: Tally, conditions: Conditions
) -> Mapping[str, Any]:
    status, counts = workload.status, found.counts
    now = {
        "phase": phase,
        "succeeded_tasks": counts[Bucket.SUCCEEDED],
        "incomplete_tasks": counts[Bucket.INCOMPLETE],
        "failed_tasks": counts[Bucket.FAILED] + counts[Bucket.REJECTED] + counts[Bucket.DELETED],
        "review_iterations": sum(max(issue.latest, 0) for issue in book.issues.values()),
        "planner_model": status.planner_model or (workload.spec.planner_model or PLANNER if book.recorded else ""),
    }
    changes: dict[str, Any] = {field: value for field, value in now.items() if getattr(status, field) != value}
    if conditions != status.conditions:
        changes["conditions"] = conditions
    if {ref.name: ref.uid for ref in status.tasks} != book.recorded:
        changes["tasks"] = _references(workload, book.recorded)
    outcomes: dict[str, Any] = {
        name: str(what) for name, what in book.outcomes.items() if status.outcomes.get(name) != what
    }
    outcomes |= dict.fromkeys((name for name in status.outcomes if name not in book.outcomes), None)
    if outcomes:
        changes["outcomes"] = outcomes
    return changes


def _references(workload: Workload, recorded: Mapping[str, str]) -> tuple[ObjectReference, ...]:
    blank = ObjectReference(kind="AgenticTask", namespace=workload.metadata.namespace or "")
    return tuple(blank.evolve(name=name, uid=uid) for name, uid in recorded.items())
