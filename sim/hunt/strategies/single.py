"""single-fault: each fault at each message of the run, once (Sieve), but not where it could not make a difference."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from sim.hunt.plans import OVERTAKEN, Place, Planned
from sim.hunt.strategies.strategy import Ground, Strategy
from sim.hunt.trial import Probe, Trial


class SingleFault(Strategy):
    name = "single-fault"

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        kept = [each for each in ground.plans if not each.why_not]
        late = {each.place for each in kept if each.sort == "delay-request"}
        self._put_off = {each.place: each for each in kept if each.sort == "lose-request" and each.place in late}
        self._plans = deque(each for each in kept if self._put_off.get(each.place) is not each)
        self._again: deque[Planned] = deque()
        self.planned = len(self._plans)
        self.pruned = Counter(each.why_not for each in ground.plans if each.why_not)
        self.tried = 0
        self._last = -1

    def probe(self) -> Probe | None:
        queue = self._plans or self._again
        if not queue:
            return None
        plan = queue.popleft()
        self.number += 1
        self._last = plan.call
        return Probe(self.name, self.number, self.ground.scenario.seed, (plan.fault,), place=plan.place)

    @property
    def amid(self) -> bool:
        """A walk that has passed a place does not come back to it."""
        return bool(self._plans) and self._plans[0].call == self._last

    def learn(self, trial: Trial) -> None:
        self.tried += 1
        place = trial.probe.place
        if place is not None and trial.probe.faults[0].fault == "delay-request":
            self._late(place, trial.landed)

    def _late(self, place: Place, landed: bool) -> None:
        """A late request that is refused is to all the world a lost one; one that lands leaves the lost one to be tried."""
        lost = self._put_off.pop(place, None)
        if lost is not None and landed:
            self._again.append(lost)
            self.planned += 1
        elif lost is not None:
            self.pruned[OVERTAKEN] += 1

    @property
    def complete(self) -> bool:
        """Whether every plan that is not pruned has been run."""
        return self.tried == self.planned and not self._put_off

    def covered(self) -> Iterable[str]:
        pruned = ", ".join(f"{count:,} {why}" for why, count in sorted(self.pruned.items()))
        yield (
            f"{self.tried:,} of {self.planned + len(self._put_off):,} single-fault plans run"
            f"; {self.pruned.total():,} pruned{f' ({pruned})' if pruned else ''}"
        )
