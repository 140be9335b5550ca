"""A sweep: every setting of a grid under every seed. The same seeds for all: settings then differ by what was varied, not by
luck (common random numbers)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from sim.sweep.cell import Cell, Row, labels, typed
from sim.sweep.estimate import Estimate, estimate, paired
from sim.sweep.grid import Setting
from sim.sweep.sheet import Sheet
from sim.sweep.workers import Workers

Vary = tuple[int | float | str, ...]
DEFAULT = ("wait_seconds.p95", "utilisation", "makespan_seconds", "conflicts", "tasks.failed")
"""What is shown if nothing else is asked for."""


class Failure(NamedTuple):
    """A cell that crashed or violated something, and why."""

    vary: Vary
    seed: int
    verdict: str
    error: str


class Difference(NamedTuple):
    """How `other` differs from `base`, values of one axis, where the other axes have the values `rest`."""

    rest: Vary
    base: int | float | str
    other: int | float | str
    metric: str
    by: Estimate


class Sweep:
    """`settings` under seeds `first` .. `first + seeds - 1`; rows go to `sheet`. Cells that crashed before are run again."""

    def __init__(self, settings: Sequence[Setting], seeds: int, sheet: Sheet, warm_up: int = 0, first: int = 0) -> None:
        self.sheet = sheet
        sheet.rows = [row for row in sheet.rows if row["verdict"] != "crash"]
        done = {tuple(_identity(row)) for row in sheet.rows}
        cells = [
            Cell(each.scenario, each.vary, seed, warm_up) for seed in range(first, first + seeds) for each in settings
        ]
        self.total = len(cells)
        self.cells = [cell for cell in cells if tuple(_identity(labels(cell))) not in done]

    def run(self, workers: Workers, progress: Callable[[Row], None] = lambda row: None) -> None:
        """Run what has not been run; each row is kept as it comes, so that ^C loses only what is under way."""
        for _, row in workers.run(self.cells):
            self.sheet.add(row)
            progress(row)


def _identity(row: Row) -> Iterator[object]:
    return (value for name, value in row.items() if name.startswith("vary.") or name == "seed")


class Outcome:
    """What the rows of a sweep say. `axes`: the paths varied, with their values as asked for; `settings`: the combinations of
    which there are rows, in that order."""

    def __init__(self, rows: Iterable[Row], axes: Mapping[str, Sequence[str]]) -> None:
        self._good: defaultdict[Vary, list[Row]] = defaultdict(list)
        self.failures: list[Failure] = []
        self.axes = tuple(axes)
        metrics: dict[str, None] = {}
        for row in sorted(rows, key=lambda row: int(row["seed"])):
            vary = tuple(row[f"vary.{path}"] for path in self.axes)
            if row["verdict"] == "ok":
                self._good[vary].append(row)
                metrics.update(dict.fromkeys(name for name, value in row.items() if isinstance(value, int | float)))
            else:
                self.failures.append(Failure(vary, row["seed"], row["verdict"], row["error"]))
        self.metrics = [name for name in metrics if name != "seed" and not name.startswith("vary.")]
        asked = {vary: place for place, vary in enumerate(product(*(map(typed, each) for each in axes.values())))}
        self.settings: list[Vary] = [vary for vary in asked if vary in self._good]
        self.failures.sort(key=lambda each: (asked[each.vary], each.seed))

    def estimate(self, vary: Vary, metric: str) -> Estimate:
        return estimate([row.get(metric, 0) for row in self._good[vary]])

    def by_seed(self, vary: Vary, metric: str) -> dict[int, float]:
        return {row["seed"]: row.get(metric, 0) for row in self._good.get(vary, ())}

    def differences(self, path: str, metrics: Sequence[str]) -> Iterator[Difference]:
        """Each value of the axis `path` against its first one, all else equal, seed by seed."""
        at = self.axes.index(path)
        bases: dict[Vary, int | float | str] = {}
        for vary in self.settings:
            rest, value = vary[:at] + vary[at + 1 :], vary[at]
            base = bases.setdefault(rest, value)
            if value == base:
                continue
            against = (*vary[:at], base, *vary[at + 1 :])
            for metric in metrics:
                by = paired(self.by_seed(against, metric), self.by_seed(vary, metric))
                if by is not None:
                    yield Difference(rest, base, value, metric, by)
