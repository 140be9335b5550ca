"""What the runs of a sweep say: means with their intervals, and how two settings differ under the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sim.student import interval

LEVEL = 0.95


class Estimate(NamedTuple):
    """Mean of `runs` independent values; the true one lies within `half` of it at the stated level (Student's t). `half` is
    infinite for a single value."""

    mean: float
    half: float
    runs: int

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half

    @property
    def certain(self) -> bool:
        """Whether it differs from nothing."""
        return self.low > 0 or self.high < 0


def estimate(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """At least one value."""
    mean, _, high = interval(values, level)
    return Estimate(mean, high - mean, len(values))


def paired(ours: dict[int, float], theirs: dict[int, float], level: float = LEVEL) -> Estimate | None:
    """Of theirs minus ours, seed by seed: what both have in common by chance falls out. None if they share no seed."""
    shared = sorted(ours.keys() & theirs.keys())
    return estimate([theirs[seed] - ours[seed] for seed in shared], level) if shared else None
