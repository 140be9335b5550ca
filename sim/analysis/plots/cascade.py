"""Which failure brought down what: the tasks that failed, each below those of its dependencies that failed before it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from sim.analysis.plots.style import BLUE, GREY, ORANGE, RED, count, nothing, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.load import Run

TREE = 400
"""Failed tasks beyond which only their number at each depth is drawn."""
NAMED = 60


class Fallen(NamedTuple):
    """Task -> its failed dependencies, the first of which it hangs below; and how deep it is, the causes at 0."""

    causes: dict[str, list[str]]
    depth: dict[str, int]

    @property
    def roots(self) -> list[str]:
        return [task for task, causes in self.causes.items() if not causes]


def fallen(run: Run) -> Fallen:
    failed = run.tasks[run.tasks["phase"] == "Failed"].sort_values("ended", kind="stable")
    order = {task: number for number, task in enumerate(failed["task"])}
    causes: dict[str, list[str]] = {}
    depth: dict[str, int] = {}
    for task, needs in zip(failed["task"], failed["depends_on"].fillna(""), strict=True):
        space = task.rpartition("/")[0]
        names = [f"{space}/{name}" for name in needs.split(",") if name]
        # What ended later did not bring it down.
        causes[task] = sorted(
            (name for name in names if order.get(name, len(order)) < order[task]), key=order.__getitem__
        )
        depth[task] = 1 + max((depth[name] for name in causes[task]), default=-1)
    return Fallen(causes, depth)


def draw(axes: Axes, run: Run) -> None:
    found = fallen(run)
    if not found.causes:
        nothing(axes, f"None of {count(len(run.tasks), 'task')} failed", "there is no cascade")
        return
    levels = max(found.depth.values())
    below = len(found.causes) - len(found.roots)
    own = f"{count(len(found.roots), 'task')} failed of {'itself' if len(found.roots) == 1 else 'themselves'}"
    reach = (
        f" and took {below:,} down with {'it' if len(found.roots) == 1 else 'them'}, up to {count(levels, 'step')} away"
    )
    axes.set_title(
        own + (reach if below else ", and no other with them" if len(found.roots) > 1 else ", and no other with it")
    )
    axes.set_xlabel("steps from the first failure")
    if len(found.causes) > TREE or not below:
        _numbers(axes, found, levels)
    else:
        _tree(axes, found)
    axes.set_xticks(range(levels + 1))


def _numbers(axes: Axes, found: Fallen, levels: int) -> None:
    counts = [0] * (levels + 1)
    for depth in found.depth.values():
        counts[depth] += 1
    bars = axes.bar(range(levels + 1), counts, color=[RED] + [ORANGE] * levels)
    axes.bar_label(bars, fmt="{:,.0f}", fontsize=8)
    axes.set_ylabel("failed tasks")
    whole(axes)


def _tree(axes: Axes, found: Fallen) -> None:
    from matplotlib.collections import LineCollection

    y = _heights(found)
    lines = [
        [(found.depth[cause], y[cause]), (found.depth[task], y[task])]
        for task, all_ in found.causes.items()
        for cause in all_
    ]
    axes.add_collection(LineCollection(lines, colors=GREY, linewidths=0.8, zorder=1))
    for colour, label, names in (
        (RED, "failed of itself", found.roots),
        (ORANGE, "brought down", [task for task, causes in found.causes.items() if causes]),
    ):
        axes.scatter([found.depth[n] for n in names], [y[n] for n in names], s=24, color=colour, label=label, zorder=2)
    if len(y) <= NAMED:
        for name, height in y.items():
            axes.annotate(
                name.rpartition("/")[2],
                (found.depth[name], height),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color=BLUE,
            )
    axes.set_yticks([])
    axes.margins(x=0.1)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.legend(loc="lower right", bbox_to_anchor=(1, -0.2), ncols=2, borderaxespad=0)


def _heights(found: Fallen) -> dict[str, float]:
    """Leaves one below the other; what brought several down is in their middle."""
    children: defaultdict[str, list[str]] = defaultdict(list)
    for task, causes in found.causes.items():
        if causes:
            children[max(causes, key=found.depth.__getitem__)].append(task)
    y: dict[str, float] = {}
    free = 0
    todo = [(root, False) for root in reversed(found.roots)]
    while todo:
        task, placed = todo.pop()
        below = children[task]
        if not below:
            y[task] = -float(free)
            free += 1
        elif placed:
            y[task] = sum(y[each] for each in below) / len(below)
        else:
            todo.append((task, True))
            todo += [(each, False) for each in reversed(below)]
    return y
