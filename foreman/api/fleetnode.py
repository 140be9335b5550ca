"""FleetNode: one machine of the fleet, what it offers, and when it was last heard of."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .meta import Condition, Model, NonNegative, Positive, Resource, Time, Word

HEARTBEAT_TIMEOUT_SECONDS = 90
DRAIN_REAP_SECONDS = 600


class FleetNodePhase(Word):
    READY = "Ready"
    DRAINING = "Draining"
    NOT_READY = "NotReady"
    UNKNOWN = "Unknown"


class NodeAccelerator(Word):
    METAL = "metal"
    CUDA = "cuda"
    NONE = "none"
    VULKAN = "vulkan"


class AgentKind(Word):
    FOREMAN_AGENT = "foreman-agent"
    METAL_AGENT = "metal-agent"


class ModelEndpoint(Model):
    """A model that is served on the node. `max_concurrent`: runs it takes at once (0: no limit); the speeds, in tokens/s, are
    what all its runs share: of writing, and of reading a prompt (0: not known)."""

    model: Annotated[str, Field(min_length=1)]
    max_concurrent: NonNegative = 0
    tokens_per_second: NonNegative = 0
    prefill_tokens_per_second: NonNegative = 0


class NodeCapability(Model):
    """What the node offers, as its agent measured it: RAM in GiB, context in tokens, speed in tokens/s. `endpoints`: the models
    it serves, each with limits of its own."""

    accelerator: NodeAccelerator | None = None
    total_ram_gb: NonNegative = 0
    available_ram_gb: NonNegative = 0
    installed_models: tuple[str, ...] = ()
    max_context_tokens: NonNegative = 0
    tokens_per_second: NonNegative = 0
    endpoints: tuple[ModelEndpoint, ...] = ()


class UpdateRequest(Model):
    """The agent version this node should move to; `sha256` is of the file behind `url`, in lower-case hex."""

    target_version: str
    url: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FleetNodeSpec(Model):
    """`slots`: how many tasks the node runs at once. `roles` are words like "worker" and "verifier"."""

    node_name: str
    tailscale_addr: str = ""
    roles: tuple[str, ...] = ()
    slots: Positive = 1


class FleetNodeStatus(Model):
    """`instance` identifies the agent process that registered last; `current_task` is for display only."""

    phase: FleetNodePhase | None = None
    last_heartbeat_time: Time | None = None
    capability: NodeCapability | None = None
    current_task: str = ""
    instance: str = ""
    agent_version: str = ""
    agent_kind: AgentKind | None = None
    os: str = ""
    arch: str = ""
    update_request: UpdateRequest | None = None
    conditions: tuple[Condition, ...] = ()


class FleetNode(Resource):
    PLURAL: ClassVar[str] = "fleetnodes"
    NAMESPACED: ClassVar[bool] = False
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("fn",)
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Phase", "string", ".status.phase"),
        ("Version", "string", ".status.agentVersion"),
        ("Accelerator", "string", ".status.capability.accelerator"),
        ("RAM", "integer", ".status.capability.availableRAMGB"),
        ("Current Task", "string", ".status.currentTask"),
        ("Heartbeat", "date", ".status.lastHeartbeatTime"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    api_version: Literal["foreman.llmkube.dev/v1alpha1"] = "foreman.llmkube.dev/v1alpha1"
    kind: Literal["FleetNode"] = "FleetNode"
    spec: FleetNodeSpec
    status: FleetNodeStatus = FleetNodeStatus()
