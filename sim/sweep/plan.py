"""The smallest fleet that meets what is asked: sizes are doubled until one does, then halved in between.

A size meets it when the whole 95 % interval of each metric does. That more machines do no harm is taken for granted; the sizes
next to the answer are run, so an answer stands on its neighbour's failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sim.sweep.cell import Cell, Row
from sim.sweep.estimate import Estimate, estimate
from sim.sweep.slo import Slo
from sim.sweep.workers import Workers


class Unknown(ValueError):
    """A metric that no row has."""


class Size(NamedTuple):
    """What so many `nodes` come to: an estimate for each SLO, None where no run came through; `failed` runs violated something
    or crashed."""

    nodes: int
    estimates: tuple[Estimate | None, ...]
    met: bool
    failed: int


class Plan:
    """A search from `least` to `most` nodes. `cells(count)`: the runs of a size. `sizes`: what has been tried."""

    def __init__(self, cells: Callable[[int], Sequence[Cell]], slos: Sequence[Slo], least: int, most: int) -> None:
        self.cells = cells
        self.slos = slos
        self.least = least
        self.most = most
        self.sizes: dict[int, Size] = {}

    def run(self, workers: Workers, progress: Callable[[Size], None] = lambda size: None) -> Size | None:
        """The smallest size that meets all; None if even the largest does not."""
        low, high = self.least - 1, self.least
        while not self._met(workers, high, progress):
            if high == self.most:
                return None
            low, high = high, min(2 * high, self.most)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._met(workers, middle, progress) else (middle, high)
        return self.sizes[high]

    def _met(self, workers: Workers, count: int, progress: Callable[[Size], None]) -> bool:
        if count not in self.sizes:
            rows = sorted((row for _, row in workers.run(self.cells(count))), key=lambda row: int(row["seed"]))
            self.sizes[count] = judge(count, rows, self.slos)
            progress(self.sizes[count])
        return self.sizes[count].met

    @property
    def tries(self) -> int:
        """How many sizes the search looks at, at most: once for each doubling, and for each halving back."""
        return 2 * (self.most // self.least).bit_length()

    def tried(self) -> Iterator[Size]:
        return (self.sizes[count] for count in sorted(self.sizes))


def judge(count: int, rows: Sequence[Row], slos: Sequence[Slo]) -> Size:
    """Whether the runs of a size meet all of the SLOs. Raises Unknown."""
    good = [row for row in rows if row["verdict"] == "ok"]
    if not good:
        return Size(count, tuple(None for _ in slos), False, len(rows))
    for each in slos:
        if each.metric not in good[0] and not each.metric.startswith("verdicts."):
            raise Unknown(f"--slo {each.text!r}: no column {each.metric}; there are {', '.join(columns(good[0]))}")
    found = tuple(estimate([row.get(each.metric, 0) for row in good]) for each in slos)
    met = all(each.sure(value) for each, value in zip(slos, found, strict=True))
    return Size(count, found, met and len(good) == len(rows), len(rows) - len(good))


def columns(row: Row) -> list[str]:
    return [name for name, value in row.items() if isinstance(value, int | float) and name != "seed"]
