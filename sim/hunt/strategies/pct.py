"""pct: hosts have priorities that change at few random moments; d - 1 changes at the right ones find a bug of depth d."""

from __future__ import annotations

from sim.hunt.strategies.strategy import Strategy, seed_of
from sim.hunt.trial import Probe

DEPTH = 4
"""Probes take every depth up to this in turn."""


class Pct(Strategy):
    name = "pct"

    def probe(self) -> Probe:
        stream = self.seeded()
        depth = 1 + self.number % DEPTH
        changes = [1 + stream.below(max(self.ground.messages, 1)) for _ in range(depth - 1)]
        return Probe(self.name, self.number, seed_of(stream), swerves=tuple((at, 0) for at in changes))
