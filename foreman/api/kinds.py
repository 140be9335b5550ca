"""Every kind Foreman reads or writes, by the name it has on the wire."""

from __future__ import annotations

from .agent import Agent, ModelProfile
from .core import ConfigMap, KubeEvent, Lease
from .fleetnode import FleetNode
from .meta import Resource
from .task import AgenticTask
from .workload import Workload

KINDS: dict[str, type[Resource]] = {
    kind.model_fields["kind"].default: kind
    for kind in (AgenticTask, FleetNode, Workload, Agent, ModelProfile, Lease, ConfigMap, KubeEvent)
}
