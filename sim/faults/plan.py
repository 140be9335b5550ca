"""Fault plans: when each fault strikes, how often it has, and when it is mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sim.clock import Clock
from sim.cluster import Endpoint
from sim.draw import Stream
from sim.fault import ON_EVENTS, ON_HOSTS, ON_REQUESTS, Fault, fault_names
from sim.faults.ambush import Ambush, Ambushes
from sim.faults.sieve import Message, Sieve, matches, named
from sim.faults.strikes import Strikes
from sim.host import Host
from sim.network import Link
from sim.scenario import Scenario
from sim.selection import Change
from sim.stream import ONE

Note = Callable[[str, str], None]
Watcher = Callable[[Change], None]


class Fired(NamedTuple):
    """How often a fault has really struck something; a host, an object or a message each."""

    fault: str
    fired: int


class Plan:
    """One fault of the scenario, its stream of chances, and its count."""

    def __init__(self, fault: Fault, name: str, seed: int) -> None:
        self.fault = fault
        self.name = name
        self.luck = Stream(seed, f"fault/{name}")
        self.fired = 0
        self.rounds = 0
        self.ambush: Ambush | None = None

    def gap(self) -> int:
        """Microseconds to the next random strike."""
        return max(self.fault.interval * self.luck.exponential() // ONE, 1)

    def sieve(self) -> Sieve:
        """What a window in time lets through to be struck: with a rate one message, with `every` any number."""
        fault = self.fault
        most = 1 if fault.interval else None if fault.every else fault.times
        first = fault.on.nth if fault.on and fault.on.nth else 1
        if fault.on and fault.on.nth and most is None and fault.probability == 1:
            most = 1
        return Sieve(self.luck, first, most, fault.probability)


class Faults:
    """Strikes hosts, links, messages and the API service as the scenario plans."""

    def __init__(
        self,
        env: Clock,
        scenario: Scenario,
        seed: int,
        hosts: dict[str, Host],
        links: dict[str, Link],
        endpoint: Endpoint,
        note: Note,
    ) -> None:
        """`note(host, what)` is told of each fault and each mending."""
        self.env = env
        self.seed = seed
        self.server = endpoint.server
        self.strikes = Strikes(env, hosts, links, endpoint)
        self.note = note
        self.pending = 0
        self.ended_at = 0
        self.on_calm: Callable[[], None] = lambda: None
        names = fault_names(scenario.faults)
        self.plans = [Plan(fault, name, seed) for fault, name in zip(scenario.faults, names, strict=True)]
        self.ambushes = Ambushes(endpoint, list(self._lain()))
        watchers = [watcher for plan in self.plans for watcher in self._begin(plan)]
        if watchers:
            endpoint.server.observers.append(lambda change: _tell(watchers, change))

    def join(self, fault: Fault) -> None:
        """One more fault, of a run that is under way."""
        plan = Plan(fault, fault.name or fault.fault, self.seed)
        self.plans.append(plan)
        if fault.fault in ON_REQUESTS:
            plan.ambush = Ambush(fault, self._firing(plan))
            self.ambushes.requests.append(plan.ambush)
        elif fault.fault in ON_EVENTS:
            plan.ambush = Ambush(fault, self._firing(plan))
            self.ambushes.events.append(plan.ambush)
        for watcher in self._begin(plan):
            self.server.observers.append(watcher)

    @property
    def struck(self) -> int:
        return sum(plan.fired for plan in self.plans)

    @property
    def fired(self) -> Sequence[Fired]:
        return [Fired(plan.name, plan.fired) for plan in self.plans]

    def _lain(self) -> Iterator[Ambush]:
        for plan in self.plans:
            if plan.fault.on_messages:
                plan.ambush = Ambush(plan.fault, self._firing(plan))
                yield plan.ambush

    def _begin(self, plan: Plan) -> Iterator[Watcher]:
        """Set the fault's clock, or give what is to look at each write for its trigger."""
        fault = plan.fault
        if fault.interval:
            self.env.at((fault.at or 0) + plan.gap(), self._at_random, plan)
        elif fault.after:
            yield self._after(plan)
        elif fault.on and not fault.on_messages:
            yield self._on(plan)
        elif fault.at is None:
            self._open(plan)
        else:
            for number in range(fault.strikes or 1 if fault.every or not fault.on_messages else 1):
                self.pending += 1
                self.env.at(fault.at + number * fault.every, lambda _: self._strike(plan, fault.host))

    # when

    def _at_random(self, plan: Plan) -> None:
        plan.rounds += 1
        self.pending += 1
        self._strike(plan, plan.fault.host)
        if plan.fault.strikes is None or plan.rounds < plan.fault.strikes:
            self.env.at(plan.gap(), self._at_random, plan)

    def _on(self, plan: Plan) -> Watcher:
        fault, on = plan.fault, plan.fault.on
        sieve = Sieve(plan.luck, (on and on.nth) or 1, fault.strikes, fault.probability)

        def look(change: Change) -> None:
            message = Message(change.verb, "", change.kind, change.key, change.actor)
            if matches(message, on) and sieve.takes():
                self._trigger(plan, change.actor.partition("/")[0])

        return look

    def _after(self, plan: Plan) -> Watcher:
        moment = plan.fault.after
        assert moment is not None
        sieve = Sieve(plan.luck, moment.nth, plan.fault.strikes if not plan.fault.on_messages else 1)

        def look(change: Change) -> None:
            if change.kind != "AgenticTask" or change.new is None or change.new.status.phase != moment.phase:
                return
            entered = change.old is None or change.old.status.phase != moment.phase
            if entered and named(change.key, moment.task) and sieve.takes():
                self._trigger(plan, change.new.status.assigned_node)

        return look

    def _trigger(self, plan: Plan, culprit: str) -> None:
        """Strike as soon as this write is done, before anybody hears of it; without `host` strike whom it is about."""
        fault = plan.fault
        host = fault.host or (culprit if fault.fault in ON_HOSTS else "")
        self.pending += 1
        self.env.at(fault.then, lambda _: self._strike(plan, host))

    # what

    def _strike(self, plan: Plan, host: str) -> None:
        fault = plan.fault
        if fault.on_messages:
            self._open(plan)
            return
        mends = []
        fire = self._firing(plan)
        for target in self.strikes.targets(fault, host):
            if self.strikes.felt(target, fault):
                fire(target, "")
            mends.append(self.strikes.strike(target, fault))
        self._later(plan, host, lambda: [mend() for mend in mends])

    def _open(self, plan: Plan) -> None:
        """A fault on messages begins to lie in wait."""
        assert plan.ambush is not None
        windows, sieve = plan.ambush.windows, plan.sieve()
        windows[:] = [each for each in windows if not each.spent]
        windows.append(sieve)
        if plan.fault.at is not None or plan.fault.interval or plan.fault.after:
            self._later(plan, plan.fault.host, lambda: windows.remove(sieve) if sieve in windows else None)
        elif plan.fault.for_:
            self.env.at(plan.fault.for_, lambda _: windows.remove(sieve) if sieve in windows else None)

    def _later(self, plan: Plan, host: str, mend: Callable[[], object]) -> None:
        fault = plan.fault

        def over(_: None) -> None:
            mend()
            self.note(host or "api", f"{fault.fault} over")
            self._over()

        if fault.for_:
            self.env.at(fault.for_, over)
        else:
            self._over()

    def _over(self) -> None:
        self.pending -= 1
        self.ended_at = self.env.now
        if self.pending == 0:
            self.on_calm()

    def _firing(self, plan: Plan) -> Note:
        def fire(target: str, detail: str) -> None:
            plan.fired += 1
            self.ended_at = self.env.now
            self.note(target, f"{plan.fault.fault} {detail}".rstrip())

        return fire


def _tell(watchers: Sequence[Watcher], change: Change) -> None:
    for look in watchers:
        look(change)
