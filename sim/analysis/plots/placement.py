"""Which class of task went to which node, or group of nodes where they are many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim.analysis.plots.style import MANY_NODES, count, group_of, natural, nothing, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.load import Run

WRITTEN = 240
"""Cells up to which each says its number."""
CLASSES = 30


def draw(axes: Axes, run: Run) -> None:
    attempts = run.attempts[run.attempts["node"].notna()]
    unplaced = int((run.tasks["attempts"] == 0).sum())
    if not len(attempts):
        nothing(axes, f"None of {count(len(run.tasks), 'task')} was placed", "no node was given a task")
        return
    nodes = natural([*run.nodes["node"], *attempts["node"]])
    grouped = len(nodes) > MANY_NODES
    where = attempts["node"].map(group_of) if grouped else attempts["node"]
    columns = natural(map(group_of, nodes)) if grouped else nodes
    counts = (
        attempts.groupby([attempts["class"], where]).size().unstack(fill_value=0).reindex(columns=columns, fill_value=0)
    )
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False).index[:CLASSES]]
    _image(axes, counts, grouped)
    axes.set_title(_finding(counts, unplaced, grouped))


def _image(axes: Axes, counts: Any, grouped: bool) -> None:
    values = counts.to_numpy(dtype=float)
    shares = 100 * values / values.sum(axis=1, keepdims=True)
    drawn = axes.imshow(shares, aspect="auto", cmap="cividis", vmin=0, vmax=max(float(shares.max()), 1))
    axes.set_xticks(range(counts.shape[1]), counts.columns, rotation=0 if counts.shape[1] <= 8 else 90, fontsize=8)
    axes.set_yticks(range(counts.shape[0]), counts.index, fontsize=8)
    axes.set_xlabel("group of nodes" if grouped else "node")
    axes.set_ylabel("task class")
    axes.grid(visible=False)
    figure = axes.get_figure()
    assert figure is not None
    figure.colorbar(drawn, ax=axes, label="of the attempts of the class (%)", pad=0.01)
    if values.size <= WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            light = shares[row, column] < 0.6 * shares.max()
            colour = "white" if light else "black"
            size = 8 if counts.shape[1] <= 16 else 6
            axes.text(
                column, row, f"{int(value):,}" if value else "·", ha="center", va="center", color=colour, fontsize=size
            )


def _finding(counts: Any, unplaced: int, grouped: bool) -> str:
    where = "group" if grouped else "node"
    told = []
    for name, row in counts.head(2).iterrows():
        told.append(f"{name}: {percent(row.max(), row.sum())} on {row.idxmax()}")
    if len(counts.columns) == 1:
        told = [f"Everything ran on one {where}"]
    elif (counts.max(axis=1) / counts.sum(axis=1)).max() < 2 / len(counts.columns):
        told = [f"Spread evenly: no {where} got more than {percent(*_share(counts))} of a class"]
    return ", ".join(told) + (f"; {count(unplaced, 'task')} never placed" if unplaced else "")


def _share(counts: Any) -> tuple[float, float]:
    shares = counts.max(axis=1) / counts.sum(axis=1)
    return float(shares.max()), 1.0
