"""The machines of a group: what each of them offers, and how its agent runs."""

from __future__ import annotations

from typing import NamedTuple

from foreman.agent.agent import AgentOptions
from foreman.agent.capability import Declared, probe
from foreman.api import FleetNodeSpec, ModelEndpoint, NodeCapability
from sim.host import SECOND, Host
from sim.once import once
from sim.scenario import AgentTimes, NodeGroup


class Machine(NamedTuple):
    """Each of a group: what its probe finds, and the spec of its FleetNode but for the name."""

    capability: NodeCapability
    spec: FleetNodeSpec

    @property
    def endpoints(self) -> tuple[ModelEndpoint, ...]:
        return self.capability.endpoints


@once
def machine_of(group: NodeGroup) -> Machine:
    declared = Declared(
        accelerator=group.accelerator or "",
        total_ram_gb=group.ram_gb,
        installed_models=group.models,
        max_context_tokens=group.context_tokens,
        tokens_per_second=group.tokens_per_second,
        endpoints=_endpoints(group),
    )
    capability = probe("simulated", declared, _nothing_to_read)
    return Machine(capability, FleetNodeSpec(node_name="", roles=group.roles, slots=group.slots))


def _endpoints(group: NodeGroup) -> tuple[ModelEndpoint, ...]:
    return tuple(
        ModelEndpoint(
            model=model,
            max_concurrent=each.max_concurrent,
            tokens_per_second=each.tokens_per_second,
            prefill_tokens_per_second=each.prefill_tokens_per_second,
        )
        for model, each in group.endpoints.items()
    )


def _nothing_to_read(source: str) -> str:
    raise OSError(f"a simulated machine has no {source}")


@once
def options_of(times: AgentTimes) -> AgentOptions:
    return AgentOptions(
        heartbeat=times.heartbeat / SECOND, poll=times.poll / SECOND, namespace=None, grace=times.grace / SECOND
    )


def measured(capability: NodeCapability, host: Host) -> NodeCapability:
    """What the probe of that machine finds now."""
    for change in host.changed:
        capability = capability.evolve(**change)
    return capability
