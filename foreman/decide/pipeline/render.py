"""The task of a step: its name, whose it is, what it is told. Whose a task is, its owner's uid says, never a label (L15)."""

from __future__ import annotations

from collections.abc import Iterator

from foreman.api import (
    LABEL_ISSUE,
    LABEL_STEP,
    LABEL_WORKLOAD,
    AgenticTask,
    GateAdvisory,
    ObjectMeta,
    OwnerReference,
    PipelineStep,
    TaskSpec,
    Workload,
)
from foreman.decide.pipeline.outcome import advisories
from foreman.decide.pipeline.steps import CODE, ESCALATE, REVIEW, StepId, label_value, task_name

_BLANK = AgenticTask(spec=TaskSpec(kind="freeform", payload={}))  # type: ignore[arg-type]


def render(workload: Workload, step: PipelineStep) -> AgenticTask:
    """The task of an explicit `step`, or of one of an issue batch: the latter's name is always prefixed."""
    meta, spec = workload.metadata, workload.spec
    labels = {LABEL_WORKLOAD: label_value(meta.name), LABEL_STEP: label_value(step.name)}
    if step.payload.issue is not None:
        labels[LABEL_ISSUE] = str(step.payload.issue)
    owner = OwnerReference(
        api_version=workload.api_version,
        kind=workload.kind,
        name=meta.name,
        uid=meta.uid,
        controller=True,
        block_owner_deletion=True,
    )
    task = _BLANK.spec.evolve(
        kind=step.kind,
        agent_ref=step.agent_ref,
        payload=step.payload,
        depends_on=tuple(child_name(workload, wanted) for wanted in step.depends_on),
        timeout_seconds=step.timeout_seconds,
        priority=step.priority,
        gate_profile=step.gate_profile or spec.gate_profile,
        mcp_enabled=spec.mcp_enabled,
        verdict_policy=spec.verdict_policy,
    )
    name = child_name(workload, step.name)
    metadata = ObjectMeta(name=name, namespace=meta.namespace, labels=labels, owner_references=(owner,))
    return _BLANK.evolve(metadata=metadata, spec=task)


def child_name(workload: Workload, step: str) -> str:
    name = workload.metadata.name
    return task_name(name, step) if workload.spec.pipeline else f"{name}-{step}"


def step_of(workload: Workload, name: str, task: AgenticTask | None) -> str:
    """The step of a child: what its label says, else what is left of its name."""
    told = task.metadata.labels.get(LABEL_STEP, "") if task is not None else ""
    return told or name.removeprefix(f"{workload.metadata.name}-")


def owner_uid(task: AgenticTask) -> str:
    """The uid of the Workload that controls the task, '' for a task without one."""
    for owner in task.metadata.owner_references:
        if owner.controller and owner.kind == "Workload":
            return owner.uid
    return ""


def advice(tasks: dict[StepId, AgenticTask]) -> Iterator[tuple[AgenticTask, tuple[GateAdvisory, ...]]]:
    """Which reviews of an issue are to be told what the coder's own gate noticed (#931): those that nobody has looked at yet.

    A review reads the coder of its own round, a second opinion the last one.
    """
    coders = {
        step.round: noticed for step, task in tasks.items() if step.stage == CODE and (noticed := advisories(task))
    }
    if not coders:
        return
    latest = max(each.round for each in tasks if each.stage == CODE)
    for step, task in tasks.items():
        if step.stage in (REVIEW, ESCALATE) and _open(task):
            told = coders.get(latest if step.stage == ESCALATE else step.round)
            if told:
                yield task, told


def _open(task: AgenticTask) -> bool:
    waiting = task.status.phase in (None, "Pending")
    return waiting and not task.spec.payload.gate_advisories and task.metadata.deletion_timestamp is None
