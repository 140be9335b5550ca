"""A service station made of the product: Poisson arrivals, nodes for servers, executions for services, and a meter at the door.

Messages take no time and the agents' intervals are long, so that nothing is left but queueing: what the product itself adds
between a task's arrival and its claim, or between a task's end and the next claim, would show as a wait that theory has not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from foreman.api import TERMINAL, Phase
from sim.host import SECOND
from sim.load import check
from sim.mutations import Product
from sim.selection import Change
from sim.world import World

SERVICE = 100_000
"""Microseconds of a mean service, the unit of all waits here."""
WARM_UP = 300
"""Tasks at either end of a run that are not counted: an empty start and a last customer with nobody behind."""
EXPONENTIAL = {"exponential": f"{SERVICE}us"}


class Visit(NamedTuple):
    """A task from creation over its first claim to its end, in microseconds."""

    arrived: int
    began: int
    ended: int
    priority: int

    @property
    def wait(self) -> float:
        return (self.began - self.arrived) / SERVICE


class Meter:
    """Counts at the API server's door. `area`: tasks not ended, integrated over time."""

    def __init__(self, world: World) -> None:
        self._now = world.now
        self._visits: dict[str, list[int]] = {}
        self._present = 0
        self._changed_at = 0
        self.area = 0
        world.server.observers.append(self.committed)

    def committed(self, change: Change) -> None:
        _, _, _, kind, key, old, new, _ = change
        if kind != "AgenticTask" or new is None:
            return
        before, phase = old and old.status.phase, new.status.phase
        if old is None:
            self._count(1)
            self._visits[key] = [self._now(), 0, 0, new.spec.priority]
        elif phase is Phase.RUNNING and not self._visits[key][1]:
            self._visits[key][1] = self._now()
        elif phase in TERMINAL and before not in TERMINAL:
            self._count(-1)
            self._visits[key][2] = self._now()
        elif before in TERMINAL and phase not in TERMINAL:
            self._count(1)

    def _count(self, by: int) -> None:
        now = self._now()
        self.area += self._present * (now - self._changed_at)
        self._present, self._changed_at = self._present + by, now

    def visits(self, longer: int = 0) -> list[Visit]:
        """In order of arrival, without warm-up and end. `longer`: by so many tasks the warm-up is longer than usual."""
        told = [Visit(*visit) for visit in self._visits.values()]
        return told[WARM_UP + longer : len(told) - WARM_UP]

    def sojourn(self, spared: int) -> float:
        """Mean seconds from creation to end, without so many at the start and at the end."""
        told = [ended - arrived for arrived, _, ended, _ in self._visits.values()][spared:-spared]
        return sum(told) / len(told) / SECOND

    def imbalance(self) -> float:
        """By what share L differs from lambda x W over the whole run, which begins and ends empty: by nothing, says Little."""
        sojourns = sum(ended - arrived for arrived, _, ended, _ in self._visits.values())
        return abs(self.area - sojourns) / max(sojourns, 1)


def station(
    nodes: int, slots: int, load: float, tasks: int, service: Any = EXPONENTIAL, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A scenario: so many servers, so loaded. `service`: distribution of durations; `more`: keys of the workload."""
    gap = SERVICE / (load * nodes * slots)
    workload = {"count": tasks + 2 * WARM_UP, "arrivals": {"poisson": f"1/{round(gap)}us"}, **(more or {})}
    return {
        "fleet": {"server": {"count": nodes, "slots": slots}},
        "workload": workload,
        "executor": {"duration": service},
        "until": "10000h",
        **QUIET,
    }


QUIET: dict[str, Any] = {
    "operators": {"audit": False},
    "agent": {"heartbeat": "60s", "poll": "60s"},
    "network": {"latency": "0s", "watch": "0s"},
}


def served(scenario: Mapping[str, Any], seed: int, product: Product | None) -> Meter:
    """The meter of a run to the end."""
    world = World(check(dict(scenario), "theory"), seed, product=product, check=False, digest=False)
    meter = Meter(world)
    world.run()
    return meter


def waits(meter: Meter, longer: int = 0) -> Iterator[tuple[str, float]]:
    """Mean wait (mean services), share of tasks that waited at all, and how far off Little's law is."""
    found = [visit.wait for visit in meter.visits(longer)]
    yield "Wq", sum(found) / len(found)
    yield "P(wait)", sum(wait > 0 for wait in found) / len(found)
    yield LITTLE, meter.imbalance()


LITTLE = "little"
"""The key under which a replication tells `Meter.imbalance()`."""
