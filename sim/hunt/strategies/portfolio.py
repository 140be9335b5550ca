"""portfolio: all the others in turn, a share of the budget each; who has nothing left to try passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from sim.hunt.strategies.strategy import Ground, Strategy
from sim.hunt.trial import Probe, Trial


class Portfolio(Strategy):
    name = "portfolio"

    def __init__(self, ground: Ground, members: Sequence[Strategy] = ()) -> None:
        super().__init__(ground)
        self.members = members
        self._turn = 0

    def probe(self) -> Probe | None:
        for _ in self.members:
            member = self.members[self._turn % len(self.members)]
            found = member.probe()
            self._turn += not member.amid
            if found is not None:
                return found
        return None

    @property
    def amid(self) -> bool:
        return self.members[self._turn % len(self.members)].amid

    def learn(self, trial: Trial) -> None:
        for member in self.members:
            if member.name == trial.probe.strategy:
                member.learn(trial)

    def covered(self) -> Iterable[str]:
        return chain.from_iterable(member.covered() for member in self.members)
