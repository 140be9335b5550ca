"""When which hosts are in trouble: all of it is known beforehand, as the times of faults are, random ones included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from heapq import heappop, heappush
from math import inf

from sim.clock import Clock
from sim.draw import Stream
from sim.fault import ON_HOSTS, Fault, fault_names
from sim.scenario import Scenario
from sim.stream import ONE

TO_ALL = frozenset({"api-outage", "replica-lag", "compact"})
_OPERATOR = "operator-"


def touching(fault: Fault) -> bool:
    """Whether a heartbeat could fare otherwise for it."""
    return fault.fault in ON_HOSTS or fault.fault in TO_ALL or fault.fault == "delete-node"


class Trouble:
    """Calls `begins(hosts)` `lead` microseconds before a fault strikes any of the `nodes`; None stands for all of them."""

    def __init__(
        self,
        env: Clock,
        scenario: Scenario,
        seed: int,
        nodes: Iterable[str],
        lead: int,
        begins: Callable[[Iterable[str] | None], None],
    ) -> None:
        self.env = env
        self.nodes = list(nodes)
        self.operators = [f"{_OPERATOR}{number}" for number in range(scenario.operators.replicas)]
        self.lead = lead
        self.begins = begins
        self._all = 0
        self._strikes: list[int] = []
        self._of: Counter[str] = Counter()
        for fault, name in zip(scenario.faults, fault_names(scenario.faults), strict=True):
            if not touching(fault):
                continue
            if fault.interval:
                # The same draws, in the same order, as the plan's own.
                self._at_random(fault, Stream(seed, f"fault/{name}"), fault.at or 0, 1)
            else:
                for number in range(fault.strikes or 1 if fault.every else 1):
                    self._expect(fault, (fault.at or 0) + number * fault.every)

    def at(self, node: str) -> bool:
        """Whether it is in trouble now, or soon will be."""
        return self._all > 0 or self._of[node] > 0

    def next(self) -> float:
        """When anything at all strikes next, in microseconds, or infinity: nothing takes anybody by surprise before that."""
        while self._strikes and self._strikes[0] < self.env.now:
            heappop(self._strikes)
        return self._strikes[0] if self._strikes else inf

    def _at_random(self, fault: Fault, luck: Stream, since: int, number: int) -> None:
        strikes = since + max(fault.interval * luck.exponential() // ONE, 1)

        def then(_: None) -> None:
            if fault.strikes is None or number < fault.strikes:
                self._at_random(fault, luck, strikes, number + 1)

        self._expect(fault, strikes)
        self.env.at(max(strikes - self.lead - self.env.now, 0), then)

    def _expect(self, fault: Fault, strikes: int) -> None:
        now = self.env.now
        heappush(self._strikes, strikes)
        self.env.at(max(strikes - self.lead - now, 0), self._begin, fault)
        if fault.for_:
            self.env.at(strikes + fault.for_ - now, self._end, fault)
        elif fault.fault in ("compact", "delete-node"):
            self.env.at(strikes - now, self._end, fault)

    def _begin(self, fault: Fault) -> None:
        hosts = self._struck(fault)
        self._all += hosts is None
        self._of.update(hosts or ())
        self.begins(hosts)

    def _end(self, fault: Fault) -> None:
        hosts = self._struck(fault)
        self._all -= hosts is None
        self._of.subtract(hosts or ())

    def _struck(self, fault: Fault) -> list[str] | None:
        if fault.fault in TO_ALL or any(fnmatchcase(each, fault.host) for each in self.operators):
            return None
        return [name for name in self.nodes if fnmatchcase(name, fault.host)]
