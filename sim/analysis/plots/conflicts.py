"""Calls refused or lost over time, by what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.analysis.plots.style import CYCLE, count, mark_faults, nothing, percent, s, time_axis, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.load import Run

BINS = 80
WRITES = ("create", "patch", "patch_status", "delete")


def draw(axes: Axes, run: Run) -> None:
    writes = run.api_calls[run.api_calls["verb"].isin(WRITES)]
    refused = writes[writes["outcome"] != "ok"]
    if not len(refused):
        nothing(axes, f"None of {count(len(writes), 'write')} was refused", "no conflict, no lost answer")
        return
    divisor = time_axis(axes, run)
    edges = np.linspace(0, run.end, BINS + 1)
    width, bottom = (edges[1] - edges[0]) / divisor, np.zeros(BINS)
    who = refused["actor"].map(
        lambda actor: "operators" if actor.startswith("operator-") else "user" if actor == "user" else "agents"
    )
    groups = refused.groupby([refused["outcome"], who]).size().sort_values(ascending=False).index
    for number, (outcome, actors) in enumerate(groups[: len(CYCLE)]):
        mine = refused.loc[(refused["outcome"] == outcome) & (who == actors), "t"]
        found, _ = np.histogram(mine, edges)
        axes.bar(
            edges[:-1] / divisor, found, width, bottom, align="edge", color=CYCLE[number], linewidth=0,
            label=f"{outcome} to {actors} ({len(mine):,})",
        )  # fmt: skip
        bottom = bottom + found
    axes.set_ylim(0, bottom.max() * 1.25)
    whole(axes)
    axes.set_ylabel(f"writes not done, per {s(float(edges[1]))}")
    axes.legend(loc="upper right", ncols=2)
    mark_faults(axes, run, divisor)
    stale = int((refused["outcome"] == "Conflict").sum())
    peak = s(float(edges[bottom.argmax()]))
    if stale:
        axes.set_title(
            f"{stale:,} of {len(writes):,} writes ({percent(stale, len(writes))}) refused as stale; worst around {peak}"
        )
    else:
        axes.set_title(
            f"{len(refused):,} of {len(writes):,} writes ({percent(len(refused), len(writes))}) not done; worst around {peak}"
        )
