"""single-fault: each fault at each message of the run, once (Sieve), but not where it could not make a difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sim.hunt.strategies.strategy import Ground, Strategy
from sim.hunt.trial import Probe, Trial


class SingleFault(Strategy):
    name = "single-fault"

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._plans = iter([fault for fault, why_not in ground.plans if not why_not])
        self.planned = sum(1 for _, why_not in ground.plans if not why_not)
        self.pruned = Counter(why_not for _, why_not in ground.plans if why_not)
        self.tried = 0

    def probe(self) -> Probe | None:
        fault = next(self._plans, None)
        if fault is None:
            return None
        self.number += 1
        return Probe(self.name, self.number, self.ground.scenario.seed, (fault,))

    def learn(self, trial: Trial) -> None:
        self.tried += 1

    @property
    def complete(self) -> bool:
        """Whether every plan that is not pruned has been run."""
        return self.tried == self.planned

    def covered(self) -> Iterable[str]:
        pruned = ", ".join(f"{count:,} {why}" for why, count in sorted(self.pruned.items()))
        yield (
            f"{self.tried:,} of {self.planned:,} single-fault plans run"
            f"; {self.pruned.total():,} pruned{f' ({pruned})' if pruned else ''}"
        )
