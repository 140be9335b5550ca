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
        kept = [each for each in ground.plans if not each.why_not]
        self._plans = iter(kept)
        self.planned = len(kept)
        self.pruned = Counter(each.why_not for each in ground.plans if each.why_not)
        self.tried = 0

    def probe(self) -> Probe | None:
        plan = next(self._plans, None)
        if plan is None:
            return None
        self.number += 1
        return Probe(self.name, self.number, self.ground.scenario.seed, (plan.fault,), place=plan.place)

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
