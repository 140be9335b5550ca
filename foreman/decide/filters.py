"""Does a node satisfy a requirement? One small function a dimension; None means yes, a Reason means no."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

from foreman.api import FleetNode, ModelEndpoint
from foreman.decide.requirement import Requirement

DOMAIN_LABEL = "topology.kubernetes.io/zone"


class Reason(StrEnum):
    """Why a node cannot take a task now, in the words of the Scheduled condition."""

    NOT_READY = "not ready"
    ACCELERATOR = "other accelerator"
    RAM = "too little RAM"
    CONTEXT = "too small a context window"
    SELECTOR = "label mismatch"
    ROLES = "missing role"
    MODEL = "model not installed"
    SPEED = "too slow"
    BUSY = "no free slot"
    RAM_TAKEN = "RAM taken by other tasks"
    ENDPOINT = "model endpoint at its limit"


class Node:
    """A FleetNode as placement sees it: what it has, and what is taken of it."""

    __slots__ = (
        "accelerator",
        "available_ram_gb",
        "domain",
        "endpoints",
        "labels",
        "max_context_tokens",
        "models",
        "name",
        "promised",
        "ready",
        "roles",
        "slots",
        "taken_ram_gb",
        "tokens_per_second",
        "total_ram_gb",
        "used",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.used = 0
        self.taken_ram_gb = 0
        self.promised: dict[str, Counter[int]] = {}
        self.forget()

    def forget(self) -> None:
        """The FleetNode is unknown (gone, or not seen yet); what is taken of it stays known."""
        self.ready = False
        self.accelerator = ""
        self.total_ram_gb = self.available_ram_gb = self.max_context_tokens = self.tokens_per_second = 0
        self.endpoints: dict[str, ModelEndpoint] = {}
        self.models: frozenset[str] = frozenset()
        self.labels: dict[str, str] = {}
        self.roles: frozenset[str] = frozenset()
        self.slots = 0
        self.domain = ""

    def learn(self, node: FleetNode, ready: bool) -> None:
        spec, capability = node.spec, node.status.capability
        self.ready = ready
        self.slots = spec.slots
        self.roles = frozenset(spec.roles)
        self.labels = node.metadata.labels
        self.domain = self.labels.get(DOMAIN_LABEL, "")
        if capability is not None:
            self.accelerator = str(capability.accelerator or "")
            self.total_ram_gb = capability.total_ram_gb
            self.available_ram_gb = capability.available_ram_gb
            self.max_context_tokens = capability.max_context_tokens
            self.tokens_per_second = capability.tokens_per_second
            self.endpoints = {endpoint.model: endpoint for endpoint in capability.endpoints}
            self.models = frozenset((*capability.installed_models, *self.endpoints))

    def serve(self, model: str, floor: int, runs: int) -> None:
        """`runs` (1 or -1) more runs by `model`, each promised at least `floor` tokens/s."""
        promised = self.promised.setdefault(model, Counter())
        promised[floor] += runs
        if not promised[floor]:
            del promised[floor]
        if not promised:
            del self.promised[model]

    def runs_of(self, model: str) -> int:
        """How many runs by `model` there are on the node."""
        return self.promised[model].total() if model in self.promised else 0

    def speed_of(self, model: str) -> int:
        """Tokens/s of the model all by itself; of the node where it serves none of that name."""
        endpoint = self.endpoints.get(model)
        return endpoint.tokens_per_second if endpoint is not None else self.tokens_per_second

    @property
    def ram_gb(self) -> int:
        """What co-resident tasks share. A node that does not know its total is taken at what it says is available."""
        return max(self.total_ram_gb, self.available_ram_gb)


def mismatches(want: Requirement, node: Node) -> list[Reason]:
    """Everything about the node itself that is in the way, whatever runs on it now."""
    found = []
    if want.accelerator and want.accelerator != node.accelerator:
        found.append(Reason.ACCELERATOR)
    if want.min_ram_gb > node.available_ram_gb:
        found.append(Reason.RAM)
    if want.min_context_tokens > node.max_context_tokens:
        found.append(Reason.CONTEXT)
    # A label that is missing reads as '', as in the original.
    if want.selector and any(node.labels.get(key, "") != value for key, value in want.selector):
        found.append(Reason.SELECTOR)
    if not node.roles.issuperset(want.roles):
        found.append(Reason.ROLES)
    if want.model is not None and (not want.model or want.model not in node.models):
        found.append(Reason.MODEL)
    if want.min_tokens_per_second and want.min_tokens_per_second > node.speed_of(want.endpoint):
        found.append(Reason.SPEED)
    return found


def obstacle(want: Requirement, node: Node) -> Reason | None:
    """What keeps a matching node from taking one task more at this moment."""
    if not node.ready:
        return Reason.NOT_READY
    if not want.slot:
        return None
    if node.used >= node.slots:
        return Reason.BUSY
    if want.min_ram_gb and node.taken_ram_gb + want.min_ram_gb > node.ram_gb:
        return Reason.RAM_TAKEN
    if want.endpoint and want.endpoint in node.endpoints and not _has_room(want, node):
        return Reason.ENDPOINT
    return None


def _has_room(want: Requirement, node: Node) -> bool:
    """Whether the endpoint takes one run more, and leaves it and the others the speed that they were promised."""
    endpoint, runs = node.endpoints[want.endpoint], node.runs_of(want.endpoint)
    if endpoint.max_concurrent and runs >= endpoint.max_concurrent:
        return False
    floor = max((want.min_tokens_per_second, *node.promised.get(want.endpoint, ())))
    return bool(floor <= endpoint.tokens_per_second // (runs + 1))
