"""AgenticTask: one unit of agentic work, what it needs, who holds it, and what came of it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .gate import GateProfile
from .meta import (
    Condition,
    Flag,
    Int32,
    LocalObjectReference,
    Model,
    NonNegative,
    Positive,
    Resource,
    Time,
    Word,
)


class TaskKind(Word):
    ISSUE_FIX = "issue-fix"
    VERIFY = "verify"
    FREEFORM = "freeform"
    REVIEW = "review"
    INTEGRATE = "integrate"
    RECONCILE = "reconcile"


class Phase(Word):
    """Where a task stands. A task nobody has looked at yet has none (`phase is None`)."""

    PENDING = "Pending"
    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    VERIFYING = "Verifying"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


TERMINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED})
IN_FLIGHT = frozenset({Phase.SCHEDULED, Phase.RUNNING, Phase.VERIFYING})


class Verdict(Word):
    GO = "GO"
    NO_GO = "NO-GO"
    INCOMPLETE = "INCOMPLETE"
    GATE_PASS = "GATE-PASS"
    GATE_FAIL = "GATE-FAIL"
    GATE_ERROR = "GATE-ERROR"
    SKIPPED = "Skipped"


ON_TARGET = frozenset({Verdict.GO, Verdict.GATE_PASS})


class TaskAccelerator(Word):
    METAL = "metal"
    CUDA = "cuda"
    ANY = "any"
    VULKAN = "vulkan"


class BranchStrategy(Word):
    RESET = "reset"
    REBASE = "rebase"


class SelfGo(Word):
    """Kinds of change that an agent may wave through without a reviewer."""

    CODE_FIX = "code-fix"
    DOCS = "docs"
    PACKAGING = "packaging"
    CONFIG = "config"
    CI_POLICY = "ci-policy"
    RELEASE_POLICY = "release-policy"


DEFAULT_SELF_GO = (SelfGo.CODE_FIX, SelfGo.DOCS, SelfGo.PACKAGING, SelfGo.CONFIG)
"""What no `verdictPolicy`, or an empty one, stands for."""


class FailureReason(Word):
    AGENT_NOT_FOUND = "AgentNotFound"
    INFERENCE_SERVICE_UNAVAILABLE = "InferenceServiceUnavailable"
    AUTH_UNAVAILABLE = "AuthUnavailable"
    GIT_REMOTE_NOT_CONFIGURED = "GitRemoteNotConfigured"
    CLONE_FAILED = "CloneFailed"
    MODEL_MISUNDERSTOOD = "ModelMisunderstood"
    TOOL_FAILED = "ToolFailed"
    MAX_TURNS_EXHAUSTED = "MaxTurnsExhausted"
    CONSTRAINT_VIOLATED = "ConstraintViolated"
    TIMEOUT = "Timeout"
    INFRASTRUCTURE_ERROR = "InfrastructureError"
    GATE_FAILED = "GateFailed"
    GATE_ERROR = "GateError"
    MODEL_REPORTED_ERROR = "ModelReportedError"


class RequiredCapability(Model):
    """What a node must offer. Zero and empty mean: no demand. `min_tokens_per_second`: what is left for this run of the speed
    of the model it uses, or of the node where that serves none by this name."""

    min_ram_gb: NonNegative = 0
    min_context_tokens: NonNegative = 0
    accelerator: TaskAccelerator = TaskAccelerator.ANY
    node_selector: dict[str, str] = {}
    roles: tuple[str, ...] = ()
    requires_model_installed: Flag = False
    min_tokens_per_second: NonNegative = 0


class GateAdvisory(Model):
    check: str = ""
    detail: str = ""


class Slice(Model):
    name: Annotated[str, Field(min_length=1)]
    branch: str = ""
    files: tuple[str, ...] = ()


class SharedIdentifier(Model):
    id: Annotated[str, Field(min_length=1)]
    defined_by: Annotated[str, Field(min_length=1)]
    referenced_by: tuple[str, ...] = ()


class Payload(Model):
    """What the executor is told. Which fields matter depends on the task's kind; `repo` is "owner/name"."""

    repo: str = ""
    issue: Positive | None = None
    branch: str = ""
    branch_prefix: str = ""
    base_branch: str = ""
    branch_strategy: BranchStrategy = BranchStrategy.RESET
    revise_from_branch: str = ""
    allow_overwrite: Flag = False
    open_pull_request: Flag = False
    prompt: str = ""
    prompt_prefix: str = ""
    agent: str = ""
    images: tuple[str, ...] = ()
    gate_advisories: tuple[GateAdvisory, ...] = ()
    slices: tuple[Slice, ...] = ()
    contract: str = ""
    shared_identifiers: tuple[SharedIdentifier, ...] = ()


class VerdictPolicy(Model):
    self_go: tuple[SelfGo, ...] = ()


class RetryPolicy(Model):
    """How often a task that failed for no fault of its own is tried, and how long it rests in between."""

    max_attempts: Positive = 1
    backoff_seconds: NonNegative = 10


class TaskSpec(Model):
    kind: TaskKind
    payload: Payload
    model_ref: str = ""
    agent_ref: LocalObjectReference | None = None
    required_capability: RequiredCapability | None = None
    timeout_seconds: NonNegative = 0
    depends_on: tuple[str, ...] = ()
    priority: Int32 = 0
    retry_policy: RetryPolicy = RetryPolicy()
    gate_profile: GateProfile | None = None
    mcp_enabled: Flag | None = None
    verdict_policy: VerdictPolicy | None = None


class TaskStatus(Model):
    """What happened. `ownership` says who may write which of these when.

    `attempt` rises with every assignment and fences results; `holder` is the agent process that claimed;
    a task is not placed again before `retry_after`; `strikes` counts the claims lost per node name,
    `handbacks` the attempts given back unfinished, `failures` those that failed and were tried again.
    `supervised`: the run only looks after a Kubernetes Job and takes no slot of the node.
    """

    phase: Phase | None = None
    assigned_node: str = ""
    attempt: NonNegative = 0
    holder: str = ""
    claimed_at: Time | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    retry_after: Time | None = None
    strikes: dict[str, NonNegative] = {}
    handbacks: NonNegative = 0
    failures: NonNegative = 0
    supervised: Flag = False
    verdict: Verdict | None = None
    result: dict[str, Any] | None = None
    branch: str = ""
    commit_sha: str = ""
    transcript_ref: str = ""
    failure_reason: FailureReason | None = None
    job_name: str = ""
    conditions: tuple[Condition, ...] = ()


class AgenticTask(Resource):
    PLURAL: ClassVar[str] = "agentictasks"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("at",)
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Phase", "string", ".status.phase"),
        ("Kind", "string", ".spec.kind"),
        ("Node", "string", ".status.assignedNode"),
        ("Verdict", "string", ".status.verdict"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )
    SELECTABLE: ClassVar[tuple[str, ...]] = (".status.assignedNode", ".status.phase")

    api_version: Literal["foreman.llmkube.dev/v1alpha1"] = "foreman.llmkube.dev/v1alpha1"
    kind: Literal["AgenticTask"] = "AgenticTask"
    spec: TaskSpec
    status: TaskStatus = TaskStatus()


def succeeded_on_target(status: TaskStatus) -> bool:
    """Done *and* good: what unblocks dependents and counts in a Workload. Phase alone is not enough."""
    return status.phase is Phase.SUCCEEDED and status.verdict in ON_TARGET
