"""Who ran what when: a lane for each slot of each node; beyond forty nodes how full each of them was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim.analysis.plots.steps import binned, steps
from sim.analysis.plots.style import (
    BLUE,
    GREEN,
    GREY,
    MANY_NODES,
    ORANGE,
    RED,
    count,
    mark_faults,
    natural,
    nothing,
    percent,
    time_axis,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.load import Run

OUTCOMES = {"Succeeded": (GREEN, "succeeded"), "Failed": (RED, "failed"), "Pending": (ORANGE, "lost or handed back")}
ROWS, COLUMNS = 200, 400
"""Of the picture of many nodes."""


def draw(axes: Axes, run: Run) -> None:
    attempts = run.attempts
    if not len(attempts):
        nothing(axes, "No task was assigned", "nothing ran")
        return
    nodes = natural([*run.nodes["node"], *attempts["node"].dropna()])
    axes.set_title(_finding(attempts, len(nodes)))
    divisor = time_axis(axes, run)
    if len(nodes) > MANY_NODES:
        _fullness(axes, run, nodes, divisor)
    else:
        _bars(axes, run, nodes, divisor)
    mark_faults(axes, run, divisor)


def _finding(attempts: Any, nodes: int) -> str:
    gone = attempts["outcome_phase"].isin(["Pending", "Scheduled"])
    begun = attempts["claimed"].notna()
    lost, given_up = int((gone & begun).sum()), int((gone & ~begun).sum())
    told = f"{count(len(attempts), 'attempt')} on {count(nodes, 'node')}: "
    told += f"{lost:,} lost or handed back" if lost else "none lost"
    return told + (f", {given_up:,} called off before they began" if given_up else "")


def _bars(axes: Axes, run: Run, nodes: list[str], divisor: float) -> None:
    attempts = run.attempts[run.attempts["claimed"].notna()].sort_values("claimed")
    place = {name: number for number, name in enumerate(nodes)}
    slots = run.nodes.groupby("node")["slots"].max()
    open_until: dict[str, list[float]] = {name: [0.0] * max(int(slots.get(name, 1) or 1), 1) for name in nodes}
    bars: dict[str, list[tuple[str, float, float, int]]] = {name: [] for name in (*OUTCOMES, "")}
    ends = attempts["ended"].fillna(run.end)
    outcomes = attempts["outcome_phase"].fillna("")
    for node, start, end, outcome in zip(attempts["node"], attempts["claimed"], ends, outcomes, strict=True):
        lanes = open_until[node]
        lane = next((i for i, until in enumerate(lanes) if until <= start), None)
        if lane is None:  # More than the node has slots for: only when a safeguard is out.
            lane = len(lanes)
            lanes.append(0.0)
        lanes[lane] = end
        bars[outcome if outcome in OUTCOMES else ""].append((node, start, end, lane))
    for outcome, found in bars.items():
        colour, label = OUTCOMES.get(outcome, (BLUE, "still going at the end, or deleted"))
        _lay(axes, found, colour, label, place, open_until, divisor)
    _absences(axes, run, place, divisor)
    axes.set_yticks(range(len(nodes)), nodes, fontsize=8 if len(nodes) <= 24 else 6)
    axes.set_ylim(len(nodes) - 0.5, -0.5)
    axes.set_ylabel("node")
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=5, borderaxespad=0.2)


def _lay(
    axes: Axes, bars: list[Any], colour: str, label: str, place: dict[str, int], lanes: dict[str, Any], divisor: float
) -> None:
    from matplotlib.collections import PolyCollection

    if not bars:
        return
    boxes = []
    for node, start, end, lane in bars:
        height = 0.84 / len(lanes[node])
        top = place[node] - 0.42 + lane * height
        x, y = (start / divisor, end / divisor), (top, top + height * 0.92)
        boxes.append([(x[0], y[0]), (x[0], y[1]), (x[1], y[1]), (x[1], y[0])])
    edge = "white" if len(bars) < 400 else "none"
    axes.add_collection(PolyCollection(boxes, facecolors=colour, edgecolors=edge, linewidths=0.3, label=label))


def _absences(axes: Axes, run: Run, place: dict[str, int], divisor: float) -> None:
    """Stretches in which a node was not Ready."""
    label: str | None = "node not ready"
    for name, told in run.nodes.groupby("node"):
        phases, times = told["phase"].fillna("Ready").tolist(), [*told["t"], run.end]
        # A node is not ready while it boots; what counts is being lost.
        ready = False
        for number, phase in enumerate(phases):
            ready = ready or phase == "Ready"
            if ready and phase in ("NotReady", "Unknown", "Deleted"):
                start, width = times[number] / divisor, (times[number + 1] - times[number]) / divisor
                axes.broken_barh(
                    [(start, width)], (place[name] - 0.5, 1), facecolors=GREY, alpha=0.5, zorder=0, label=label
                )
                label = None


def _fullness(axes: Axes, run: Run, nodes: list[str], divisor: float) -> None:
    """A row for a node or some of them, a column for a stretch of time: the share of slots that were running something."""
    per_row = -(-len(nodes) // ROWS)
    rows = -(-len(nodes) // per_row)
    place = {name: number // per_row for number, name in enumerate(nodes)}
    told = run.nodes.sort_values("t", kind="stable")
    before = told.groupby("node")["running"].shift().fillna(0)
    changes = (told["running"] - before).to_numpy(dtype=float)
    row_of, times = told["node"].map(place).to_numpy(), told["t"].to_numpy()
    slots = told.groupby("node")["slots"].max().fillna(1)
    image = np.zeros((rows, COLUMNS))
    for row in range(rows):
        mine = row_of == row
        edges = binned(*steps(times[mine], changes[mine], run.end), run.end, COLUMNS)
        image[row] = _sampled(*edges, run.end)
    capacity = np.bincount([place[name] for name in nodes], weights=[float(slots.get(name, 1)) for name in nodes])
    shares = np.clip(100 * image / capacity[:, None], 0, 100)
    drawn = axes.imshow(
        shares, aspect="auto", cmap="cividis", vmin=0, vmax=100, interpolation="nearest",
        extent=(0, run.end / divisor, len(nodes), 0),
    )  # fmt: skip
    figure = axes.get_figure()
    assert figure is not None
    figure.colorbar(drawn, ax=axes, label="slots running (%)", pad=0.01)
    axes.set_ylabel(f"node, by name ({per_row} a row)" if per_row > 1 else "node, by name")
    ticks = np.linspace(0, len(nodes) - 1, 9).astype(int)
    axes.set_yticks(ticks + 0.5, [nodes[each] for each in ticks], fontsize=7)
    axes.grid(visible=False)
    axes.set_title(f"{axes.get_title(loc='left')}; slots {percent(float(shares.mean()), 100)} full", loc="left")


def _sampled(x: Any, y: Any, end: float) -> Any:
    """The mean of the step function in each column."""
    edges = np.linspace(0, max(end, 1e-9), COLUMNS + 1)
    area = np.concatenate([[0.0], np.cumsum(np.diff(x) * y[:-1])])
    return np.diff(np.interp(edges, x, area)) / np.diff(edges)
