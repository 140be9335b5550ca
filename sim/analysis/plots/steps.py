"""Step functions: how many there are of something at each time, from when each comes and goes."""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 800
"""More points than a picture is wide are drawn as the mean of each bin, with the largest beside it."""


def steps(times: Any, changes: Any, end: float) -> tuple[Any, Any]:
    """(times, values) of the sum of the changes so far, from 0 to `end`, one point for each time."""
    times, changes = np.asarray(times, dtype=float), np.asarray(changes, dtype=float)
    order = np.argsort(times, kind="stable")
    moments, first = np.unique(times[order], return_index=True)
    sums = np.add.reduceat(changes[order], first) if len(moments) else np.empty(0)
    x = np.concatenate([[0.0], moments, [end]])
    return x, np.concatenate([[0.0], np.cumsum(sums), [sums.sum()]])


def average(x: Any, y: Any, end: float) -> float:
    """Of the step function from 0 to `end`."""
    return float((np.diff(x) * y[:-1]).sum() / end) if end > 0 else 0.0


def binned(x: Any, y: Any, end: float, bins: int = BINS) -> tuple[Any, Any]:
    """The mean of the step function in each of so many bins, as a step function; as it is when it has fewer points."""
    if len(x) <= bins or end <= 0:
        return x, y
    edges = np.linspace(0, end, bins + 1)
    area = np.concatenate([[0.0], np.cumsum(np.diff(x) * y[:-1])])
    means = np.diff(np.interp(edges, x, area)) / np.diff(edges)
    return edges, np.append(means, means[-1])
