"""Pulses that stand: whose heartbeats are left out at present, since when, and what ends that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from sim.cluster import WATCH_TIMEOUT
from sim.heartbeats.fit import delay
from sim.heartbeats.tally import CountingServer, Tally
from sim.heartbeats.trouble import Trouble
from sim.host import EPOCH, SECOND, Wake
from sim.mutations import Product
from sim.names import all_node_names

if TYPE_CHECKING:
    from foreman.agent.registrar import Registrar
    from foreman.api import AgenticTask
    from foreman.cache import Cache
    from sim.heartbeats.parts import RestingNodeController
    from sim.heartbeats.watches import QuietWatch
    from sim.world import World

LEAD = 3
"""Intervals before a fault from which on every heartbeat is real: the last before it must have been seen by everybody."""
LEAD_OF_WATCHES = WATCH_TIMEOUT + 30 * SECOND
"""And every stream must have been opened anew."""


class Pulse:
    """One node's heartbeats, from the one due at `first` on. Microseconds; `arrives` is how long a beat takes to an operator,
    `put_off` when each operator would have looked next, in the order in which they last did."""

    __slots__ = ("arrives", "first", "interval", "name", "put_off", "wake", "woken")

    def __init__(self, name: str, first: int, interval: int, arrives: int) -> None:
        self.name = name
        self.first = first
        self.interval = interval
        self.arrives = arrives
        self.put_off: dict[RestingNodeController, int] = {}
        self.wake = Wake()
        self.woken = False

    def next(self, now: int) -> int:
        """When the first beat after `now` is due."""
        return self.first + ((now - self.first) // self.interval + 1) * self.interval

    def seen(self, now: int) -> int:
        """When an operator has seen the latest beat, the real one before `first` included."""
        return now - (now - self.first - self.arrives) % self.interval


class Heartbeats:
    """All pulses of a run. `views`: the operators' node controllers that are there, by host."""

    def __init__(self, world: World) -> None:
        """Puts its parts into the world, which has no host yet."""
        scenario, env = world.scenario, world.env
        self.env = env
        self.server = world.server
        self.interval = scenario.agent.heartbeat
        self.latency = delay(scenario, "latency") or 0
        self.watch = delay(scenario, "watch") or 0
        self.arrives = self.latency + self.watch
        self.lead = max(LEAD * self.interval, LEAD_OF_WATCHES)
        self.operators = scenario.operators.replicas
        self.tally = Tally(self.interval)
        self.pulses: dict[str, Pulse] = {}
        self.views: dict[str, RestingNodeController] = {}
        self.caches: dict[str, Cache[AgenticTask]] = {}
        self.quiet: dict[str, QuietWatch] = {}
        self.opened_anew = self.listed_anew = 0
        self.trouble = Trouble(env, scenario, world.seed, all_node_names(scenario), self.lead, self.brace)
        self._told = 0
        cast(CountingServer, world.server).elided = lambda: self.tally.by(env.now)
        world.product = self._product(world.product)
        world.endpoint.watch = self._watches()

    def _watches(self) -> type[QuietWatch]:
        """Of agents, renewed only in the books while there is no trouble."""
        from sim.heartbeats.watches import QuietWatch

        return type("QuietWatch", (QuietWatch,), {"heartbeats": self})

    def _product(self, product: Product) -> Product:
        """`product` with parts that let heartbeats rest."""
        from sim.heartbeats.parts import AGENT, OPERATOR

        bound = {part: type(each.__name__, (each,), {"heartbeats": self}) for part, each in (AGENT | OPERATOR).items()}
        return replace(
            product,
            agent=replace(product.agent, **{part: bound[part] for part in AGENT}),
            operator=replace(product.operator, **{part: bound[part] for part in OPERATOR}),
        )

    @property
    def elided(self) -> int:
        """How many have been left out so far."""
        return self.tally.by(self.env.now)

    def rest(self, registrar: Registrar, due: float) -> Pulse | None:
        """The pulse that stands from now on, if the beat that was due then met with nothing new and nothing is to come."""
        name, now, beat = registrar.identity.name, self.env.now, round(due * SECOND)
        if now - beat != 2 * self.latency or registrar.beaten_at != registrar.runtime.now():
            return None
        if registrar.node is None or registrar.node.status.current_task != registrar.current_task():
            return None
        if self.trouble.at(name) or len(self.views) < self.operators:
            return None
        seen = beat + self.arrives
        on_time = seen if seen <= now else seen - self.interval
        if not all(view.settled(name, on_time) for view in self.views.values()):
            return None
        pulse = self.pulses[name] = Pulse(name, beat + self.interval, self.interval, self.arrives)
        self.tally.begin(pulse.first + self.latency)
        return pulse

    def brace(self, names: Iterable[str] | None) -> None:
        """A fault will soon strike these nodes (None: anything)."""
        names = list(self.caches) if names is None else names
        self.rouse(names)
        for name in names:
            if quiet := self.quiet.pop(name, None):
                quiet.expect()

    def rouse(self, names: Iterable[str] | None = None) -> None:
        """The next heartbeat of these nodes (None: of all) is real."""
        for name in list(self.pulses) if names is None else names:
            self.stir(name)

    def stir(self, name: str) -> None:
        """The node's next heartbeat is real."""
        pulse = self.pulses.get(name)
        if pulse is None or pulse.woken:
            return
        pulse.woken = True
        for view, look in pulse.put_off.items():
            view.look_again(pulse, look)
        self.env.at(pulse.next(self.env.now) - self.env.now, self._beat, pulse)

    def _beat(self, pulse: Pulse) -> None:
        if self.pulses.get(pulse.name) is pulse:
            for view in self.views.values():
                view.liveness.silence(pulse.name)
            del self.pulses[pulse.name]
            self.tally.end(pulse.first + self.latency, (self.env.now - pulse.first) // self.interval)
            pulse.wake.fire(self.env.now / SECOND)

    def gone(self, name: str) -> None:
        """The node's agent has ended."""
        pulse = self.pulses.pop(name, None)
        if pulse is not None:
            first = pulse.first + self.latency
            self.tally.end(first, max((self.env.now - first) // self.interval + 1, 0))

    def lost(self, host: str, view: RestingNodeController) -> None:
        """An operator's process has ended: the next has to see for itself who lives."""
        if self.views.get(host) is view:
            del self.views[host]
        self.rouse()

    def settle(self, world: World) -> None:
        """The run has ended: all is booked, and each FleetNode shows the heartbeat it would show."""
        for quiet in self.quiet.values():
            quiet.book()
        calls = world.endpoint.calls
        calls["list"] += self.listed_anew
        calls["watch"] += self.opened_anew
        calls["patch_status"] += self.elided - self._told
        world.stats.writes += self.elided - self._told
        self.listed_anew, self.opened_anew, self._told = 0, 0, self.elided
        table = self.server.tables["FleetNode"]
        for pulse in self.pulses.values():
            node = table.get(pulse.name)
            last = pulse.next(self.env.now - self.latency) - pulse.interval
            if node is not None and last >= pulse.first:
                status = node.status.evolve(last_heartbeat_time=EPOCH + last // SECOND)
                table[pulse.name] = node.evolve(status=status)
