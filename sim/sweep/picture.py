"""The picture of a sweep: a panel for each metric over the first axis, and in it a line with its 95 % band for each setting of
the others."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sim.analysis.plots.style import CYCLE
from sim.sweep.sweep import Outcome, Vary

COLOURS = (*CYCLE, "#F0E442")
LINES = 8
MARKS = "osD^v<>P"
APART = 0.08
DPI = 130
WIDTH, HEIGHT = 5.2, 3.6


class Picture:
    """A figure that a notebook shows as it stands."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def _repr_png_(self) -> bytes:
        drawn = BytesIO()
        self.figure.savefig(drawn, format="png", dpi=DPI)
        return drawn.getvalue()

    def save(self, path: Path) -> None:
        """To PNG, SVG or PDF, by the name's end. Raises OSError, ValueError."""
        self.figure.savefig(path, dpi=DPI)


def picture(outcome: Outcome, metrics: Sequence[str]) -> Picture:
    """At most eight lines: more cannot be told apart. Raises ValueError."""
    rest = list(dict.fromkeys(vary[1:] for vary in outcome.settings))
    if len(rest) > LINES:
        raise ValueError(f"{len(rest)} lines cannot be told apart: put the axis with most values first, or vary fewer")
    columns = min(len(metrics), 2)
    rows = -(-len(metrics) // columns)
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows), layout="constrained")
    for number, metric in enumerate(metrics, start=1):
        axes = figure.add_subplot(rows, columns, number)
        for line, each in enumerate(rest):
            _line(axes, outcome, metric, each, line, (line - (len(rest) - 1) / 2) * APART)
        _dress(axes, outcome, metric)
    if any(rest):
        axes.legend(title=", ".join(outcome.axes[1:]), frameon=False)
    return Picture(figure)


def _line(axes: Any, outcome: Outcome, metric: str, rest: Vary, line: int, aside: float) -> None:
    """Words stand side by side: `aside` keeps the lines apart there."""
    settings = [vary for vary in outcome.settings if vary[1:] == rest]
    found = [outcome.estimate(vary, metric) for vary in settings]
    values = [vary[0] for vary in settings]
    means = [each.mean for each in found]
    style = {"color": COLOURS[line], "marker": MARKS[line], "markersize": 4}
    label = ", ".join(map(str, rest))
    if all(isinstance(value, int | float) for value in values):
        axes.plot(values, means, label=label, **style)
        if all(each.runs > 1 for each in found):
            low, high = [each.low for each in found], [each.high for each in found]
            axes.fill_between(values, low, high, color=COLOURS[line], alpha=0.12, linewidth=0)
    else:
        half = [each.half if each.runs > 1 else 0.0 for each in found]
        at = [place + aside for place in range(len(values))]
        axes.errorbar(at, means, yerr=half, linestyle=":", linewidth=0.8, capsize=4, label=label, **style)
        axes.set_xticks(range(len(values)), list(map(str, values)))
        axes.set_xlim(-0.5, len(values) - 0.5)


def _dress(axes: Any, outcome: Outcome, metric: str) -> None:
    axes.set_title(metric, loc="left")
    axes.set_xlabel(outcome.axes[0])
    axes.margins(y=0.12)
    axes.set_ylim(bottom=min(0.0, axes.dataLim.ymin))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
