"""random: every message draws one of few delays, and ties are shuffled."""

from __future__ import annotations

from sim.hunt.strategies.strategy import Strategy, seed_of
from sim.hunt.trial import Probe


class Uniform(Strategy):
    name = "random"

    def probe(self) -> Probe:
        stream = self.seeded()
        return Probe(self.name, self.number, seed_of(stream))
