"""Which scenarios may leave heartbeats out: those of which it can be said that nothing else would come out otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from foreman.durations import show
from sim.fault import ON_EVENTS, ON_REQUESTS, WRITES, Fault
from sim.heartbeats.trouble import touching

if TYPE_CHECKING:
    from sim.scenario import Scenario
    from sim.source import Problem

ELIDED = "elided"
SAID = "the scenario says so"
SHORTEST, LONGEST = 1_000_000, 60_000_000
DELAYS = 20
"""A heartbeat's interval must hold so many times the longest message."""


def unfit(scenario: Scenario) -> Iterator[Problem]:
    """Why its heartbeats must be exact, each reason at the place in the scenario that gives it."""
    if scenario.heartbeats == ELIDED:
        yield from _network(scenario)
        yield from _interval(scenario)
        yield from _watched(scenario)
        for number, fault in enumerate(scenario.faults):
            if why := _fault(fault):
                yield ("faults", number), f"heartbeats: elided {why}, or heartbeats: exact"


def exact_because(scenario: Scenario, traced: bool, scheduled: bool, composed: bool) -> str:
    """Why a run has every heartbeat, '' if it leaves them out: `traced`, by a `schedule`, or `composed` of other parts."""
    if scenario.heartbeats != ELIDED:
        return SAID
    if traced:
        return "a trace tells of every call"
    if scheduled:
        return "a schedule tells of every message"
    return "what runs is not the product as it is" if composed else ""


def _network(scenario: Scenario) -> Iterator[Problem]:
    network, api = scenario.network, scenario.apiserver
    for way in ("latency", "watch"):
        if delay(scenario, way) is None:
            why = "every heartbeat would shift what the next message draws"
            yield (
                ("network", way),
                f"heartbeats: elided needs one delay, e.g. {way}: 1ms ({why}), or heartbeats: exact",
            )
    if network.loss:
        yield ("network", "loss"), "heartbeats: elided needs a network that loses nothing, or heartbeats: exact"
    if api.stale_lists or any(api.lag):
        yield ("apiserver",), "heartbeats: elided needs API servers that do not lag, or heartbeats: exact"


def delay(scenario: Scenario, way: str) -> int | None:
    """Microseconds that every message takes, if all take the same."""
    usual = getattr(scenario.network, way)
    return usual.root if isinstance(getattr(usual, "root", None), int) else None


def _interval(scenario: Scenario) -> Iterator[Problem]:
    longest = DELAYS * max(delay(scenario, "latency") or 0, delay(scenario, "watch") or 0)
    least = max(SHORTEST, longest)
    if not least <= scenario.agent.heartbeat <= LONGEST:
        yield (
            ("agent", "heartbeat"),
            f"heartbeats: elided needs an interval from {show(least)} to {show(LONGEST)}, or heartbeats: exact",
        )


def _watched(scenario: Scenario) -> Iterator[Problem]:
    if scenario.schedule is not None:
        yield ("schedule",), "a schedule lists single messages: expected heartbeats: exact"
    if scenario.mutations:
        yield ("mutations",), "a mutation may be of what heartbeats do: expected heartbeats: exact"
    for group, nodes in scenario.fleet.items():
        if nodes.twins > 1:
            yield ("fleet", group, "twins"), "twins fight for a node by heartbeats: expected heartbeats: exact"
    for check in sorted(scenario.checks.model_fields_set - {"linearizable"}):
        if getattr(scenario.checks, check):
            name = type(scenario.checks).model_fields[check].alias or check
            yield ("checks", name), "this check looks at every heartbeat: expected heartbeats: exact"


def _fault(fault: Fault) -> str:
    on = fault.on
    if fault.fault in ON_REQUESTS and (on is None or on.verb not in WRITES or on.kind in (None, "FleetNode")):
        return "needs it to strike no heartbeat: say on: {verb: patch_status, kind: AgenticTask}"
    if fault.fault in ON_EVENTS and (on is None or on.type is None or on.kind in (None, "FleetNode")):
        return "needs it to strike no heartbeat: say on: {type: MODIFIED, kind: AgenticTask}"
    if touching(fault) and (on or fault.after):
        return "needs to know before when it strikes: expected at: 30s or rate: 0.2/min"
    return ""
