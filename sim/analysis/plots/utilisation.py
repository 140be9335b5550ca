"""Slots in use over time, by accelerator, below what the nodes that are ready offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim.analysis.plots.steps import average, binned, steps
from sim.analysis.plots.style import CYCLE, DARK, mark_faults, nothing, percent, time_axis, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.load import Run


def draw(axes: Axes, run: Run) -> None:
    told = run.nodes.sort_values("t", kind="stable")
    if not len(told):
        nothing(axes, "No node ever registered", "there was no slot to use")
        return
    end = run.end
    slots = told["slots"].fillna(0).where(told["phase"].isin(["Ready", "Draining"]), 0)
    divisor = time_axis(axes, run)
    x, offered = steps(told["t"], _changes(told, slots), end)
    used = steps(told["t"], _changes(told, told["running"]), end)
    grid = np.linspace(0, end, 801)
    layers, names = [], []
    accelerators = told.groupby("node")["accelerator"].transform("last").fillna("none")
    for name, mine in told.groupby(accelerators):
        changes = _changes(mine, mine["running"])
        layers.append(_at(grid, *binned(*steps(mine["t"], changes, end), end)))
        names.append(f"running on {name}" if name != "none" else "running, no accelerator")
    axes.stackplot(grid / divisor, layers, labels=names, colors=CYCLE, alpha=0.85, linewidth=0, step="post")
    axes.plot(
        *_scaled(binned(x, offered, end), divisor),
        color=DARK,
        linewidth=1.2,
        drawstyle="steps-post",
        label="slots of ready nodes",
    )
    axes.set_ylim(0, max(float(offered.max()), float(used[1].max()), 1) * 1.25)
    whole(axes)
    axes.set_ylabel("slots")
    axes.legend(loc="upper right", ncols=4, columnspacing=1)
    mark_faults(axes, run, divisor)
    mean, capacity = average(*used, end), average(x, offered, end)
    peak = float(used[1].max())
    axes.set_title(
        f"{percent(mean, capacity)} of the ready slot time in use; at most {peak:,.0f} of {offered.max():,.0f} slots at once"
    )


def _changes(told: Any, values: Any) -> Any:
    """How much each row changes the sum over all nodes."""
    values = values.astype("float64")
    return values - values.groupby(told["node"]).shift().fillna(0)


def _at(grid: Any, x: Any, y: Any) -> Any:
    return y[np.clip(np.searchsorted(x, grid, side="right") - 1, 0, len(y) - 1)]


def _scaled(points: tuple[Any, Any], divisor: float) -> tuple[Any, Any]:
    return points[0] / divisor, points[1]
