"""Student's t: how far the mean of few independent values may lie from the truth."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan, cos, hypot, inf, pi, sin, sqrt

DOUBLINGS = 60


def within(t: float, freedom: int) -> float:
    """P(|T| <= t) with so many degrees of freedom: the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = atan(t / sqrt(freedom))
    term, total = (cos(angle), 0.0) if freedom % 2 else (1.0, 0.0)
    for step in range(freedom // 2 if freedom % 2 == 0 else (freedom - 1) // 2):
        total += term
        odd = 2 * step + 1 + freedom % 2
        term *= odd / (odd + 1) * cos(angle) ** 2
    return 2 / pi * (angle + sin(angle) * total) if freedom % 2 else sin(angle) * total


def quantile(confidence: float, freedom: int) -> float:
    """The t for which P(|T| <= t) is `confidence`."""
    low, high = 0.0, 1.0
    while within(high, freedom) < confidence:
        high *= 2
    for _ in range(DOUBLINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle, freedom) < confidence else (low, middle)
    return high


def interval(values: Sequence[float], confidence: float) -> tuple[float, float, float]:
    """(mean, low, high) of independent values of one distribution; infinitely wide for a single one."""
    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return mean, -inf, inf
    spread = hypot(*(value - mean for value in values)) / sqrt(count - 1)
    reach = quantile(confidence, count - 1) * spread / sqrt(count)
    return mean, mean - reach, mean + reach
