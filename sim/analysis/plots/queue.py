"""Tasks waiting over time: for a node, and for the agent of the node they were given to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.analysis.plots.steps import binned, steps
from sim.analysis.plots.style import BLUE, ORANGE, count, mark_faults, nothing, s, time_axis, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.load import Run


def draw(axes: Axes, run: Run) -> None:
    moves, end = run.transitions, run.end
    if not len(moves):
        nothing(axes, "No task was created", "nobody waited")
        return
    divisor = time_axis(axes, run)
    x, waiting = depth(moves, ("New", "Pending"), end)
    assigned = depth(moves, ("Scheduled",), end)
    bx, by = binned(x, waiting, end)
    axes.fill_between(bx / divisor, by, step="post", color=BLUE, alpha=0.35, linewidth=0)
    axes.plot(bx / divisor, by, color=BLUE, drawstyle="steps-post", label="waiting for a node (dependencies included)")
    ax, ay = binned(*assigned, end)
    axes.plot(ax / divisor, ay, color=ORANGE, drawstyle="steps-post", label="assigned, not claimed yet")
    axes.set_ylim(0, max(float(waiting.max()), float(assigned[1].max()), 1) * 1.25)
    whole(axes)
    axes.set_ylabel("tasks")
    axes.legend(loc="upper right", ncols=2)
    mark_faults(axes, run, divisor)
    peak = int(waiting.max())
    left = int(waiting[-1])
    told = f"Up to {count(peak, 'task')} waited for a node, at {s(float(x[waiting.argmax()]))}"
    axes.set_title(f"{told}; {left:,} still at the end" if left else f"{told}; none at the end")


def depth(moves: Any, phases: tuple[str, ...], end: float) -> tuple[Any, Any]:
    """How many tasks were in one of the phases, as a step function."""
    came = moves["phase"].isin(phases).astype(int)
    went = moves["was"].isin(phases).fillna(False).astype(int)
    return steps(moves["t"], came - went, end)
