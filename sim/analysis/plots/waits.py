"""How long tasks waited from their creation to the first claim: for each class the share that had waited no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim.analysis.plots.style import CYCLE, DARK, count, nothing, s, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.load import Run

STYLES = ("-", "--", ":", "-.")


def draw(axes: Axes, run: Run) -> None:
    tasks = run.tasks[run.tasks["wait"].notna()]
    never = len(run.tasks) - len(tasks)
    if not len(tasks):
        nothing(axes, f"None of {count(len(run.tasks), 'task')} was claimed", "there is no wait to tell of")
        return
    waits = np.sort(tasks["wait"].to_numpy(dtype=float))
    divisor, unit = unit_of(float(waits[-1]))
    classes = tasks["class"].value_counts().index[: len(CYCLE) - 1]
    for number, name in enumerate(classes if len(classes) > 1 else ()):
        mine = np.sort(tasks.loc[tasks["class"] == name, "wait"].to_numpy(dtype=float))
        style = STYLES[number % len(STYLES)]
        axes.plot(
            mine / divisor,
            _shares(len(mine)),
            style,
            color=CYCLE[number],
            drawstyle="steps-post",
            label=f"{name} ({len(mine):,})",
        )
    axes.plot(
        np.insert(waits, 0, waits[0]) / divisor,
        np.insert(_shares(len(waits)), 0, 0),
        color=DARK,
        linewidth=2,
        drawstyle="steps-post",
        label=f"all ({len(waits):,})",
    )
    median, late = (float(waits[int(np.ceil(len(waits) * rank)) - 1]) for rank in (0.5, 0.95))
    for rank, value in ((50, median), (95, late)):
        axes.plot([value / divisor], [rank], "o", color=DARK, markersize=5)
        axes.annotate(
            f"{rank} %: {s(value)}", (value / divisor, rank), (6, -10), textcoords="offset points", fontsize=8
        )
    if waits[-1] > 50 * max(median, 1e-3):
        axes.set_xscale("symlog", linthresh=max(median, 1e-3) / divisor)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 104)
    axes.set_xlabel(f"wait from creation to first claim ({unit})")
    axes.set_ylabel("tasks that waited no longer (%)")
    axes.legend(loc="lower right")
    told = f"Half the tasks waited {s(median)} or less, one in twenty {s(late)} or more"
    axes.set_title(told + (f"; {never:,} were never claimed" if never else ""))


def _shares(n: int) -> Any:
    return 100 * np.arange(1, n + 1) / n
