"""delay-bounded: all schedules in which at most k messages are not the quickest they can be, for k = 0, 1, 2 ...

Systematic: a run with k late messages is continued by making one later message late too, so that each set of late messages
comes once. What has been run to the end of a level is a proof, for the scenario at this seed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from sim.hunt.strategies.strategy import Strategy
from sim.hunt.trial import Probe, Trial
from sim.schedule import menu

Swerves = tuple[tuple[int, int], ...]


class DelayBounded(Strategy):
    name = "delay-bounded"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        network = self.ground.scenario.network
        self.choices = max(len(menu(network.latency)), len(menu(network.watch)))
        self.level = 0
        self.proved = -1
        self.tried = 0
        self._pending = 0
        self._ready: Iterator[Swerves] = iter([()])
        self._next: deque[tuple[Swerves, int]] = deque()

    def probe(self) -> Probe | None:
        swerves = next(self._ready, None)
        if swerves is None:
            if self._pending:
                return None
            self.proved = self.level
            self.level += 1
            parents, self._next = self._next, deque()
            self._ready = self._children(parents)
            swerves = next(self._ready, None)
            if swerves is None:
                return None
        self._pending += 1
        self.number += 1
        return Probe(self.name, self.number, self.ground.scenario.seed, swerves=swerves)

    def learn(self, trial: Trial) -> None:
        self._pending -= 1
        self.tried += 1
        self._next.append((trial.probe.swerves, trial.messages))

    def _children(self, parents: Iterable[tuple[Swerves, int]]) -> Iterator[Swerves]:
        for swerves, messages in parents:
            last = swerves[-1][0] if swerves else 0
            for at in range(last + 1, messages + 1):
                for choice in range(self.choices):
                    yield (*swerves, (at, choice))

    def covered(self) -> Iterable[str]:
        if self.proved >= 0:
            late = "no message is late" if not self.proved else f"at most {self.proved} messages are late"
            yield f"no violation in any schedule in which {late} (seed {self.ground.scenario.seed})"
