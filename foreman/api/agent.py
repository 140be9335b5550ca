"""Agent: the recipe an agentic task runs by (role, model, prompt, tools, limits); ModelProfile: quirks of one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .meta import Condition, Flag, LocalObjectReference, Model, NonNegative, Positive, Resource, Word
from .task import RequiredCapability

TOOLS = (
    "bash",
    "fetch_issue",
    "fetch_pull_request",
    "grep",
    "read_file",
    "run_gate_job",
    "run_integrate",
    "run_reconcile",
    "str_replace",
    "submit_result",
    "write_file",
)
"""Every tool an Agent may list; those of MCP servers are called `mcp__<server>__<tool>`."""
MCP_PREFIX = "mcp__"


class AgentRole(Word):
    CODER = "coder"
    VERIFIER = "verifier"
    REVIEWER = "reviewer"
    PLANNER = "planner"


class Provider(Word):
    LOCAL = "local"
    CLOUD_PROXY = "cloud-proxy"


class ExecutionMode(Word):
    IN_PROCESS = "InProcess"
    JOB = "Job"


class ContextStrategy(Word):
    WINDOW = "window"
    SESSION = "session"


class SecretKeySelector(Model):
    key: str
    name: str = ""
    optional: Flag | None = None


class ProviderConfig(Model):
    base_url: Annotated[str, Field(min_length=1)]
    model: Annotated[str, Field(min_length=1)]
    api_key_secret_ref: SecretKeySelector | None = None


class Execution(Model):
    mode: ExecutionMode = ExecutionMode.IN_PROCESS
    image: str = ""
    service_account_name: str = ""
    active_deadline_seconds: Positive = 3600
    resources: dict[str, Any] | None = None


class StuckLoopDetection(Model):
    """Absent means 5 / 15 / 90000 / 140000; present with a zero switches that check off."""

    repeated_tool_threshold: Annotated[NonNegative, Field(le=100)] = 0
    edit_free_turns_limit: Annotated[NonNegative, Field(le=200)] = 0
    context_soft_cap: NonNegative = 0
    context_hard_cap: NonNegative = 0


class HeaderSource(Model):
    secret_key_ref: SecretKeySelector | None = None


class McpHeader(Model):
    name: Annotated[str, Field(min_length=1)]
    value_from: HeaderSource | None = None


class McpTransport(Word):
    HTTP = "http"


class McpServer(Model):
    """Its tools appear to the model as `mcp__<name>__<tool>`."""

    name: Annotated[str, Field(min_length=1)]
    transport: McpTransport
    url: Annotated[str, Field(min_length=1)]
    headers: tuple[McpHeader, ...] = ()
    allowed_tools: tuple[str, ...] = ()


class Mcp(Model):
    """`call_timeout` in seconds (0 = 30); `max_result_bytes` 0 = 32768."""

    enabled: Flag = False
    call_timeout: NonNegative = 0
    max_result_bytes: NonNegative = 0
    servers: tuple[McpServer, ...] = ()


class Vision(Model):
    """`max_image_bytes` counts after base64 (0 = 4 MiB); `max_images` 0 = 4."""

    enabled: Flag = False
    max_image_bytes: NonNegative = 0
    max_images: NonNegative = 0


class AgentSpec(Model):
    """Zeros and None stand for: `max_output_tokens` 8192, `context_window_tokens` 32768, `observation_window_turns` 3,
    `max_envtest_iterations` 1, `max_concurrent_tasks` unbounded. Provider local without an inference service
    is a deterministic agent: it runs no model.
    """

    role: AgentRole
    tools: Annotated[tuple[str, ...], Field(min_length=1)]
    provider: Provider = Provider.LOCAL
    provider_config: ProviderConfig | None = None
    execution: Execution | None = None
    model: str = ""
    inference_service_ref: LocalObjectReference | None = None
    system_prompt: str = ""
    temperature: Annotated[str, Field(pattern=r"^[0-2](\.[0-9]+)?$")] | None = None
    max_turns: Annotated[Positive, Field(le=500)] = 50
    max_retries: Annotated[NonNegative, Field(le=20)] = 3
    max_envtest_iterations: NonNegative | None = None
    max_output_tokens: NonNegative = 0
    max_concurrent_tasks: Positive | None = None
    chat_template_kwargs: dict[str, Any] = {}
    context_window_tokens: NonNegative = 0
    observation_window_turns: Annotated[NonNegative, Field(le=50)] = 0
    context_strategy: ContextStrategy = ContextStrategy.WINDOW
    stuck_loop_detection: StuckLoopDetection | None = None
    model_profile_ref: LocalObjectReference | None = None
    request_timeout_seconds: Positive = 3600
    request_turn_timeout_seconds: Positive = 120
    bash_timeout_seconds: Positive = 30
    required_capability: RequiredCapability | None = None
    mcp: Mcp | None = None
    vision: Vision | None = None


class AgentStatus(Model):
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()


_SPEC_RULES = (
    {
        "rule": "self.provider != 'cloud-proxy' || has(self.providerConfig)",
        "message": "providerConfig is required with provider cloud-proxy",
    },
    {
        "rule": "(self.provider == 'local' && (!has(self.inferenceServiceRef) || !has(self.inferenceServiceRef.name) || "
        "self.inferenceServiceRef.name == '')) || (has(self.systemPrompt) && self.systemPrompt.matches('[^\\\\s]'))",
        "message": "systemPrompt is required of an Agent that runs a model",
    },
)


class Agent(Resource):
    PLURAL: ClassVar[str] = "agents"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("ag",)
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Role", "string", ".spec.role"),
        ("Model", "string", ".spec.model"),
        ("InferenceService", "string", ".spec.inferenceServiceRef.name"),
        ("Validated", "string", '.status.conditions[?(@.type=="Validated")].status'),
        ("Age", "date", ".metadata.creationTimestamp"),
    )
    RULES: ClassVar[tuple[tuple[str, Mapping[str, Any]], ...]] = (
        ("spec", {"x-kubernetes-validations": [*_SPEC_RULES]}),
        ("spec.tools[]", {"pattern": f"^({'|'.join(TOOLS)}|{MCP_PREFIX}.+)$"}),
    )

    api_version: Literal["foreman.llmkube.dev/v1alpha1"] = "foreman.llmkube.dev/v1alpha1"
    kind: Literal["Agent"] = "Agent"
    spec: AgentSpec
    status: AgentStatus = AgentStatus()

    @property
    def deterministic(self) -> bool:
        """Whether it runs no model: its first tool other than `submit_result` is all it does."""
        service = self.spec.inference_service_ref
        return self.spec.provider is Provider.LOCAL and (service is None or not service.name)


class ModelProfileSpec(Model):
    system_prompt_addendum: str = ""
    stuck_loop_detection: StuckLoopDetection | None = None
    restrict_reads_in_forcing_phase: Flag = False


class ModelProfile(Resource):
    PLURAL: ClassVar[str] = "modelprofiles"
    NAMESPACED: ClassVar[bool] = False
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("mp",)
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Reads-Restricted", "boolean", ".spec.restrictReadsInForcingPhase"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    api_version: Literal["foreman.llmkube.dev/v1alpha1"] = "foreman.llmkube.dev/v1alpha1"
    kind: Literal["ModelProfile"] = "ModelProfile"
    spec: ModelProfileSpec = ModelProfileSpec()
