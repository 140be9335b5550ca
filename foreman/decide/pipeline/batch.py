"""The steps a Workload begins with: its explicit pipeline, or coder, gate and reviewers for each of its issues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from foreman.api import LocalObjectReference, Payload, PipelineStep, TaskKind, Workload, WorkloadSpec
from foreman.decide.pipeline import prompts, steps
from foreman.decide.pipeline.steps import CODE, ESCALATED, REVIEW, VERIFY, StepId

CHILDREN_MOST = 8000
"""Children of one Workload: its status names them all, and etcd refuses an object above 1.5 MB."""


class Unplannable(NamedTuple):
    """Why there are no steps: a reason in one CamelCase word and a sentence."""

    reason: str
    message: str


class Plan(NamedTuple):
    """`wanted`: how many steps there would be without `maxTasks`."""

    steps: tuple[PipelineStep, ...]
    wanted: int

    @property
    def truncated(self) -> bool:
        return len(self.steps) < self.wanted


def in_issues(spec: WorkloadSpec) -> bool:
    """Whether the steps are ours to name. In a pipeline of the user's own making names mean nothing."""
    return not spec.pipeline and bool(spec.issues) and spec.coder_agent_ref is not None


def room(spec: WorkloadSpec) -> int:
    """How many children there may be at all."""
    return min(spec.max_tasks or CHILDREN_MOST, CHILDREN_MOST)


def choose(workload: Workload) -> Plan | Unplannable:
    """The steps to begin with, cut to what `maxTasks` admits."""
    spec = workload.spec
    if spec.pipeline:
        wrong = pipeline_fault(workload)
        if wrong:
            return Unplannable("InvalidPipeline", wrong)
        kept = _cut(spec.pipeline, workload)
        return Plan(_in_order(kept, workload.metadata.name), len(spec.pipeline))
    if spec.issues and spec.coder_agent_ref is None:
        return Unplannable("NoPlannerOrPipeline", "issues are set but coderAgentRef is not: no agent to work on them")
    if not spec.issues:
        why = "neither pipeline nor issues are set, and there is no planner that could make steps of the intent alone"
        return Unplannable("NoPlannerOrPipeline", why)
    if min(spec.issues) < 1:
        return Unplannable("InvalidIssues", f"issue {min(spec.issues)} is no issue: expected numbers from 1")
    made = tuple(step for issue in dict.fromkeys(spec.issues) for step in issue_steps(workload, issue))
    return Plan(_cut(made, workload), len(made))


def issue_steps(workload: Workload, issue: int) -> Iterator[PipelineStep]:
    """Coder, then the gate if there is one, then all reviewers at once. On a branch that is this Workload's alone (#573)."""
    spec = workload.spec
    assert spec.coder_agent_ref is not None
    payload = Payload(
        repo=spec.repo,
        issue=issue,
        branch=branch(workload, issue),
        allow_overwrite=spec.allow_overwrite,
        prompt_prefix=prompts.intent_prefix(spec.intent),
    )
    yield step(StepId(CODE, issue), TaskKind.ISSUE_FIX, spec.coder_agent_ref, payload)
    yield from checks(workload, issue, 0)


def checks(workload: Workload, issue: int, number: int) -> Iterator[PipelineStep]:
    """What follows the coder of round `number`: gate and reviewers, on the branch of that round."""
    spec = workload.spec
    payload = Payload(repo=spec.repo, issue=issue, branch=branch(workload, issue, escalated=number == ESCALATED))
    before = StepId(CODE, issue, 0, number)
    if spec.verifier_agent_ref is not None:
        gate = StepId(VERIFY, issue, 0, number)
        yield step(gate, TaskKind.VERIFY, spec.verifier_agent_ref, payload, before)
        before = gate
    # An issue batch is there to end in pull requests: who wants none says so (#937).
    reviewed = payload.evolve(open_pull_request=spec.open_pull_request is not False)
    for index, reviewer in enumerate(spec.reviewer_agent_refs):
        yield step(StepId(REVIEW, issue, index, number), TaskKind.REVIEW, reviewer, reviewed, before)


def step(
    name: StepId, kind: TaskKind, agent: LocalObjectReference, payload: Payload, after: StepId | None = None
) -> PipelineStep:
    needs = (str(after),) if after is not None else ()
    return _BLANK.evolve(name=str(name), kind=kind, agent_ref=agent, payload=payload, depends_on=needs)


def branch(workload: Workload, issue: int, escalated: bool = False) -> str:
    return f"foreman/{workload.metadata.name}/issue-{issue}" + ("-esc" if escalated else "")


def pipeline_fault(workload: Workload) -> str:
    """What is wrong with an explicit pipeline, '' when nothing is. The original lets it wait for ever (L16, L17)."""
    pipeline, owner = workload.spec.pipeline, workload.metadata.name
    by_task: dict[str, str] = {}
    for each in pipeline:
        name = steps.task_name(owner, each.name)
        if name in by_task:
            return f'steps "{by_task[name]}" and "{each.name}" would both be the task "{name}"'
        by_task[name] = each.name
    for each in pipeline:
        for wanted in each.depends_on:
            if steps.task_name(owner, wanted) not in by_task:
                return f'step "{each.name}" depends on "{wanted}", which is no step of this pipeline'
    return _cycle(pipeline, owner)


def _cycle(pipeline: Sequence[PipelineStep], owner: str) -> str:
    graph = {steps.task_name(owner, each.name): _needs(each, owner) for each in pipeline}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # It comes from dependency to dependent, and closes with the first.
        ring = [name.removeprefix(f"{owner}-") for name in error.args[1][::-1]]
        return "steps wait for each other: " + " -> ".join(ring)
    return ""


def _needs(each: PipelineStep, owner: str) -> list[str]:
    return [steps.task_name(owner, wanted) for wanted in each.depends_on]


def _in_order(made: Sequence[PipelineStep], owner: str) -> tuple[PipelineStep, ...]:
    """A step after those it depends on: its task must not find another's in the place of one that is yet to be made."""
    by_task = {steps.task_name(owner, each.name): each for each in made}
    order = TopologicalSorter({name: _needs(each, owner) for name, each in by_task.items()}).static_order()
    return tuple(by_task[name] for name in order)


def _cut(made: Sequence[PipelineStep], workload: Workload) -> tuple[PipelineStep, ...]:
    """As many steps as there is room for, without those that wait for one that was cut: they would wait in vain."""
    owner = workload.metadata.name
    kept = list(made[: room(workload.spec)])
    while len(kept) < len(made):
        names = {steps.task_name(owner, each.name) for each in kept}
        able = [each for each in kept if names.issuperset(_needs(each, owner))]
        if len(able) == len(kept):
            break
        kept = able
    return tuple(kept)


_BLANK = PipelineStep(name="step", kind=TaskKind.FREEFORM, agent_ref=LocalObjectReference(), payload=Payload())
