"""What all pictures share: colours that the colour-blind tell apart (Okabe and Ito), time axes, faults, words for numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from foreman.durations import show

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.load import Run

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, GREY, DARK = "#56B4E9", "#CC79A7", "#BBBBBB", "#333333"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, DARK)
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "foreman",
}
MANY_NODES = 40
"""More nodes than this are drawn together."""
MARKS = 30
"""More faults than this are ticks at the upper edge, without a line."""
NAMED = 8
"""So many are called by their names."""
_MINUTES, _HOURS = 600, 4 * 3600


def unit_of(span: float) -> tuple[float, str]:
    """Seconds of the unit that suits a span of so many seconds, and its name."""
    if span > _HOURS:
        return 3600.0, "h"
    return (60.0, "min") if span > _MINUTES else (1.0, "s")


def time_axis(axes: Axes, run: Run) -> float:
    """Label x as virtual time from 0 to the end of the run; the seconds of its unit."""
    divisor, unit = unit_of(run.end)
    axes.set_xlabel(f"virtual time ({unit})")
    axes.set_xlim(0, max(run.end, 1e-6) / divisor)
    return divisor


def mark_faults(axes: Axes, run: Run, divisor: float) -> None:
    """A dashed line for each fault that struck, named where few did."""
    struck = run.faults[~run.faults["over"]]
    moments = struck.groupby(["t", "fault"], sort=True).size()
    if len(moments) > MARKS:
        axes.plot(struck["t"] / divisor, [1.0] * len(struck), "|", color=RED, transform=axes.get_xaxis_transform())
        return
    for number, ((t, fault), times) in enumerate(moments.items()):
        axes.axvline(t / divisor, color=RED, linewidth=0.8, linestyle="--", alpha=0.7)
        if len(moments) <= NAMED:
            told = f"{fault} ×{times}" if times > 1 else fault
            axes.annotate(
                told, (t / divisor, 1), (3, -4 - 11 * (number % 3)), xycoords=axes.get_xaxis_transform(),
                textcoords="offset points", color=RED, fontsize=7, va="top", annotation_clip=True,
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
            )  # fmt: skip


def nothing(axes: Axes, title: str, why: str) -> None:
    """There is nothing to draw."""
    axes.set_title(title)
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", color=DARK, transform=axes.transAxes)


def group_of(node: str) -> str:
    """The group a node is of by its name: cuda-07 -> cuda."""
    return re.sub(r"[-.]?\d+$", "", node) or node


def natural(names: Iterable[str]) -> list[str]:
    """Sorted, with the numbers in them as numbers."""
    return sorted(set(names), key=lambda name: re.sub(r"\d+", lambda number: number[0].zfill(12), name))


def s(seconds: float) -> str:
    """'1m30s': to the millisecond below a second, to a tenth below a minute."""
    return show(round(round(seconds, 3 if seconds < 1 else 1 if seconds < 60 else 0) * 1_000_000))


def whole(axes: Axes) -> None:
    """Only whole numbers on the y axis, with thousands set off."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def percent(part: float, whole: float) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if 0 < share < 10 or 99 < share < 100 else f"{share:.0f} %"


def count(n: int, word: str, words: str = "") -> str:
    return f"{n:,} {word if n == 1 else words or word + 's'}"
