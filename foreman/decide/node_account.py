"""The account of one node: what it offers, what is taken of it and by whom, and which waiting tasks it could take."""

from __future__ import annotations

from typing import NamedTuple

from foreman.api import FleetNode, FleetNodePhase
from foreman.decide.account import News, in_order, said
from foreman.decide.explain import fit
from foreman.decide.forecast import Forecast, fleet_of, forecast
from foreman.decide.snapshot import Snapshot, on_node


class Running(NamedTuple):
    """A task on the node. `since`: when it was claimed; `slot`: whether it takes one."""

    task: str
    phase: str
    attempt: int
    holder: str
    since: float | None
    slot: bool
    ram_gb: int


class Candidate(NamedTuple):
    """A waiting task, in line order: whether the node could take it now, else why not; `next_node`: where it goes next."""

    task: str
    fits: bool
    reasons: tuple[str, ...]
    strikes: int
    next_node: str


class Offer(NamedTuple):
    """What the node has; `endpoints`: the models it serves, in words. RAM in GiB: in all, what the agent measured as available,
    and what its tasks have reserved."""

    slots: int
    slots_used: int
    total_ram_gb: int
    available_ram_gb: int
    reserved_ram_gb: int
    accelerator: str
    max_context_tokens: int
    models: tuple[str, ...]
    endpoints: tuple[str, ...]
    roles: tuple[str, ...]
    labels: dict[str, str]


class NodeAccount(NamedTuple):
    """Times in unix seconds; `heartbeat` is by the node's own clock. `instance`: the agent process that speaks for it."""

    at: int
    node: str
    phase: str
    usable: bool
    instance: str
    agent_version: str
    system: str
    heartbeat: float | None
    offer: Offer
    tasks: tuple[Running, ...]
    waiting: tuple[Candidate, ...]
    news: tuple[News, ...]


def node_account(snapshot: Snapshot, node: FleetNode, policy: str, news: tuple[News, ...] = ()) -> NodeAccount:
    """The account of `node`, over the other nodes and all tasks of the snapshot."""
    status, name = node.status, node.metadata.name
    return NodeAccount(
        at=snapshot.at,
        node=name,
        phase=str(status.phase or FleetNodePhase.UNKNOWN),
        usable=status.phase is FleetNodePhase.READY,
        instance=status.instance,
        agent_version=status.agent_version,
        system="/".join(filter(None, (status.os, status.arch))),
        heartbeat=status.last_heartbeat_time,
        offer=_offer(snapshot, node, policy),
        tasks=tuple(_running(snapshot, name)),
        waiting=tuple(_candidates(snapshot, name, policy)),
        news=in_order((*said(status.conditions), *news)),
    )


def _offer(snapshot: Snapshot, node: FleetNode, policy: str) -> Offer:
    seen = fleet_of(snapshot, policy).node(node.metadata.name)
    return Offer(
        slots=seen.slots,
        slots_used=seen.used,
        total_ram_gb=seen.total_ram_gb,
        available_ram_gb=seen.available_ram_gb,
        reserved_ram_gb=seen.taken_ram_gb,
        accelerator=seen.accelerator,
        max_context_tokens=seen.max_context_tokens,
        models=tuple(sorted(seen.models)),
        endpoints=tuple(
            f"{name}: {seen.runs_of(name)} of {each.max_concurrent or 'any number of'} runs, {each.tokens_per_second} tokens/s"
            for name, each in sorted(seen.endpoints.items())
        ),
        roles=tuple(sorted(seen.roles)),
        labels=dict(sorted(seen.labels.items())),
    )


def _running(snapshot: Snapshot, node: str) -> list[Running]:
    held = []
    for key, task in sorted(snapshot.tasks.items()):
        status = task.status
        if on_node(task) and status.assigned_node == node:
            want = snapshot.want(task)
            held.append(
                Running(
                    key, str(status.phase), status.attempt, status.holder, status.claimed_at, want.slot, want.min_ram_gb
                )
            )
    return held


def _candidates(snapshot: Snapshot, node: str, policy: str) -> list[Candidate]:
    """Each waiting task with the node's answer, at the present occupancy."""
    seen = fleet_of(snapshot, policy).node(node)
    ahead: Forecast = forecast(snapshot, policy)
    found = []
    for key in ahead.order:
        task = snapshot.tasks[key]
        answer = fit(snapshot.want(task), seen)
        strikes = task.status.strikes.get(node, 0)
        found.append(Candidate(key, answer.fits, answer.reasons, strikes, ahead.placed.get(key, "")))
    return found
