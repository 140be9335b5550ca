"""A picture in a file: one kind, or the overview; with the run it is of and the command that makes it again."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from sim.analysis.plots import cascade, conflicts, gantt, placement, queue, style, utilisation, waits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.load import Run

SUFFIXES = (".png", ".svg", ".pdf")
DRAW = {
    "gantt": gantt.draw,
    "placement": placement.draw,
    "utilisation": utilisation.draw,
    "queue": queue.draw,
    "waits": waits.draw,
    "conflicts": conflicts.draw,
    "cascade": cascade.draw,
}
SINGLE, OVERVIEW = (10.0, 5.6), (16.0, 11.5)
"""Inches."""
DPI = 120
CHARACTERS_PER_INCH = 13
"""Of a title in bold."""
NODE_HEIGHT = 0.28


def checked(path: Path) -> None:
    """Raises ValueError for an ending that names no format, OSError when the file cannot be written."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: a plot is written to a file that ends in {', '.join(SUFFIXES)}")
    with path.open("ab"):
        pass
    if not path.stat().st_size:
        path.unlink()


def draw(run: Run, kind: str, path: Path) -> None:
    """Write the picture. Raises ValueError and OSError as `checked` does."""
    checked(path)
    with rc_context(style.STYLE):
        metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
        figure(run, kind).savefig(path, dpi=DPI, metadata=metadata)


def figure(run: Run, kind: str) -> Figure:
    """The picture of that kind, or "overview"."""
    with rc_context(style.STYLE):
        return _overview(run) if kind == "overview" else _single(run, kind)


def _single(run: Run, kind: str) -> Figure:
    made = Figure(figsize=_size(run, kind), layout="constrained")
    axes = made.subplots()
    DRAW[kind](axes, run)
    _wrap(axes, made.get_figwidth())
    _signed(made, run)
    return made


def _size(run: Run, kind: str) -> tuple[float, float]:
    wide, high = SINGLE
    nodes = run.nodes["node"].nunique()
    if kind == "gantt" and nodes <= style.MANY_NODES:
        high = max(3.4, 2.0 + NODE_HEIGHT * nodes)
    return wide, high


def _overview(run: Run) -> Figure:
    made = Figure(figsize=OVERVIEW, layout="constrained")
    places = made.subplot_mosaic(
        [["gantt", "gantt"], ["utilisation", "queue"], ["waits", "placement"], ["conflicts", "cascade"]],
        height_ratios=[1.25, 1, 1, 1],
    )
    for kind, axes in places.items():
        DRAW[str(kind)](axes, run)
        _wrap(axes, OVERVIEW[0] if kind == "gantt" else OVERVIEW[0] / 2)
    _signed(made, run)
    return made


def _wrap(axes: Axes, inches: float) -> None:
    """A title that is longer than its picture is wide goes on in a second line."""
    title = axes.get_title(loc="left")
    axes.set_title("\n".join(textwrap.wrap(title, int((inches - 1) * CHARACTERS_PER_INCH))), loc="left")


def _signed(made: Figure, run: Run) -> None:
    verdict = run.result["verdict"] if run.result else "did not come to its end"
    failed = verdict != "ok"
    made.suptitle(f"{run.name}, seed {run.seed}: {verdict}", fontsize=11, color=style.RED if failed else "black")
    made.supxlabel(run.replay, fontsize=7, color="#666666", family="monospace")
