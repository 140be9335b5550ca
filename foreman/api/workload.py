"""Workload: an intent that becomes a pipeline of AgenticTasks."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .gate import GateProfile
from .meta import Condition, Flag, Int32, LocalObjectReference, Model, NonNegative, Resource, Word
from .task import Payload, TaskKind, VerdictPolicy


class WorkloadPhase(Word):
    PLANNING = "Planning"
    PLANNED = "Planned"
    DISPATCHED = "Dispatched"
    COMPLETED = "Completed"
    FAILED = "Failed"


class PipelineStep(Model):
    """One task to be; `depends_on` names other steps of the same pipeline."""

    name: Annotated[str, Field(min_length=1, pattern="^[a-z0-9][a-z0-9-]*$")]
    kind: TaskKind
    agent_ref: LocalObjectReference
    payload: Payload
    depends_on: tuple[str, ...] = ()
    timeout_seconds: NonNegative = 0
    priority: Int32 = 0
    gate_profile: GateProfile | None = None


class WorkloadSpec(Model):
    """Either an explicit `pipeline`, or `issues` with a coder (and verifier, reviewers) from which one is made.

    None stands for a default: `open_pull_request` True, `max_review_iterations` 1, `allow_cloud_reviewers` True.
    """

    intent: Annotated[str, Field(min_length=1)]
    repo: str = ""
    max_tasks: NonNegative = 0
    planner_model: str = ""
    pipeline: tuple[PipelineStep, ...] = ()
    issues: tuple[Int32, ...] = ()
    coder_agent_ref: LocalObjectReference | None = None
    verifier_agent_ref: LocalObjectReference | None = None
    reviewer_agent_refs: tuple[LocalObjectReference, ...] = ()
    escalation_reviewer_agent_refs: tuple[LocalObjectReference, ...] = ()
    escalation_coder_agent_ref: LocalObjectReference | None = None
    revision_coder_agent_ref: LocalObjectReference | None = None
    escalate_on_failure: Flag | None = None
    open_pull_request: Flag | None = None
    allow_overwrite: Flag = False
    max_review_iterations: NonNegative | None = None
    allow_cloud_reviewers: Flag | None = None
    gate_profile: GateProfile | None = None
    mcp_enabled: Flag | None = None
    verdict_policy: VerdictPolicy | None = None


class ObjectReference(Model):
    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""


class WorkloadStatus(Model):
    """`tasks` names every child that was ever planned, before it is created; its uid follows when it has been seen.
    `outcomes`: what each child that has ended counts as, by name, for when it is gone.
    """

    phase: WorkloadPhase | None = None
    tasks: tuple[ObjectReference, ...] = ()
    outcomes: dict[str, str] = {}
    succeeded_tasks: Int32 = 0
    incomplete_tasks: Int32 = 0
    failed_tasks: Int32 = 0
    review_iterations: Int32 = 0
    planner_model: str = ""
    conditions: tuple[Condition, ...] = ()


class Workload(Resource):
    PLURAL: ClassVar[str] = "workloads"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("wl",)
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Phase", "string", ".status.phase"),
        ("Repo", "string", ".spec.repo"),
        ("Tasks", "integer", ".status.succeededTasks"),
        ("Failed", "integer", ".status.failedTasks"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    api_version: Literal["foreman.llmkube.dev/v1alpha1"] = "foreman.llmkube.dev/v1alpha1"
    kind: Literal["Workload"] = "Workload"
    spec: WorkloadSpec
    status: WorkloadStatus = WorkloadStatus()
