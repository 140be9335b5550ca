"""Order bugs of a known depth, planted: hosts that do nothing but write one after the other, and an order that is the bug.

The depth of a bug is the number of order constraints that suffice for it (probabilistic concurrency testing's measure).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from foreman.api import FleetNode, FleetNodeSpec, ObjectMeta
from sim.apiserver import ApiServer
from sim.clock import Clock
from sim.cluster import Endpoint, SimCluster
from sim.draw import Distribution, distribution
from sim.host import EPOCH, SECOND, Host, Process
from sim.hunt.schedules import Swerving
from sim.hunt.strategies import Ground
from sim.load import check
from sim.network import Link
from sim.schedule import Schedule

Order = list[str]
"""The writes as they land: 'a1', 'b1', 'a2' ..."""
LATENCY = {"choices": ["1ms", "9ms"]}
LIMIT = 3600 * SECOND


class Planted(NamedTuple):
    """`hosts`: how many writes each does; `wrong`: whether an order is the bug, whose `depth` is given."""

    depth: int
    hosts: dict[str, int]
    wrong: Callable[[Order], bool]

    def order(self, schedule: Schedule, latency: Distribution | None = None) -> Order:
        """In which the writes land by this schedule."""
        clock = Clock()
        server = ApiServer(lambda: EPOCH + clock.now // SECOND)
        endpoint = Endpoint(clock, server)
        landed: Order = []
        server.observers.append(lambda change: landed.append(change.key))
        delays = latency or distribution(LATENCY)
        for name, writes in self.hosts.items():
            Host(clock, name, _writing(Link(name, 0, delays, delays, 0.0, schedule), endpoint, writes)).boot()
        while len(landed) < sum(self.hosts.values()):
            assert clock.peek() < LIMIT
            clock.step()
        return landed

    def found(self, schedule: Schedule) -> bool:
        return self.wrong(self.order(schedule))

    def ground(self, seed: int = 0) -> Ground:
        """What a strategy knows of it."""
        quick = Swerving({})
        self.order(quick)
        scenario = check(
            {"fleet": {"n": {}}, "workload": {"count": 1}, "network": {"latency": LATENCY, "watch": LATENCY}}
        )
        return Ground(scenario, seed, quick.drawn, SECOND, [])


def _writing(link: Link, endpoint: Endpoint, writes: int) -> Callable[[Process], object]:
    async def program(process: Process) -> None:
        cluster = SimCluster(endpoint, link, process, process.host.name, "agent")
        for number in range(1, writes + 1):
            name = f"{process.host.name}{number}"
            await cluster.create(FleetNode(metadata=ObjectMeta(name=name), spec=FleetNodeSpec(node_name=name)))
        await process.event().wait()

    return program


def before(order: Order, *writes: str) -> bool:
    """Whether these landed in this order."""
    places = [order.index(each) for each in writes]
    return places == sorted(places)


LATE_START = Planted(1, {"a": 3, "b": 3, "c": 3}, lambda order: before(order, "c3", "a1"))
"""c is done before a begins."""
TORN = Planted(2, {"a": 3, "b": 4, "c": 2}, lambda order: before(order, "a1", "b1", "b4", "a2"))
"""b does all it does between a's first two writes."""
TORN_TWICE = Planted(3, {"a": 3, "b": 4}, lambda order: before(order, "a1", "b3", "a2", "a3", "b4"))
"""And not quite all: between its last two writes a goes on to its end."""
