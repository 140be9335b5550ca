"""The story of one task: every request about it in causal order, who read which version, who wrote what, what was refused.

From a fresh run of a scenario, or from a trace file that a run wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from sim.scenario import Scenario
from sim.trace import HEADER, Row, Trace
from sim.world import World

_STYLES = {"Conflict": "yellow", "Unavailable": "red", "Invalid": "red", "NotFound": "yellow", "ok": ""}


class NoSuchTask(Exception):
    """Nothing in the run is about that task."""


def from_run(scenario: Scenario, seed: int | None, task: str) -> list[Row]:
    """Run the scenario and keep what concerns `task` ('name' or 'namespace/name'), faults included."""
    key = task if "/" in task else f"{namespace_of(scenario, task)}/{task}"
    trace = Trace(only=key)
    World(scenario, seed, trace=trace).run()
    return _about(trace, key, task)


def namespace_of(scenario: Scenario, task: str) -> str:
    """Where a task of that name is created."""
    if task in scenario.tasks:
        return scenario.tasks[task].namespace
    return scenario.workload.namespace if scenario.workload else "default"


def from_trace(path: Path, task: str) -> list[Row]:
    """The rows of a trace file (JSON lines) that concern `task`. Raises ValueError for a file that is no trace."""
    keys = {task} if "/" in task else None
    rows = []
    for row in read_trace(path):
        key = row.get("key")
        if row["what"] == HEADER:
            continue
        if key is None or (key in keys if keys else key == task or key.endswith(f"/{task}")):
            rows.append(row)
    return _about(rows, task, task)


def read_trace(path: Path) -> Iterator[Row]:
    """The rows of a trace file. Raises ValueError naming the line that is no event."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}:{number}: not a line of a trace: {error.msg}") from None
            if not isinstance(row, dict) or not {"t", "actor", "what"} <= row.keys():
                raise ValueError(f"{path}:{number}: not a line of a trace: expected an object with t, actor, what")
            yield row


def _about(rows: Iterable[Row], key: str, asked: str) -> list[Row]:
    found = list(rows)
    if not any(row.get("key") for row in found):
        raise NoSuchTask(
            f"no task {asked!r} in this run; tasks are named like {key.rpartition('/')[0] or 'default'}/NAME"
        )
    return found


def table(rows: list[Row]) -> Table:
    """The story as a table: when, who, what, on which version it was based, what came of it."""
    made = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for name in ("time", "actor", "request", "version", "outcome", "detail"):
        made.add_column(name, no_wrap=name != "detail", overflow="fold")
    for row in rows:
        outcome = row.get("outcome", "")
        style = _STYLES.get(outcome, "") or ("magenta" if row["what"] in ("fault", "violation") else "")
        cells = (_time(row["t"]), row["actor"], row["what"], _versions(row), outcome, row.get("detail", ""))
        made.add_row(*(Text(str(cell), style=style) for cell in cells))
    return made


def _versions(row: dict[str, Any]) -> str:
    read, written = row.get("read"), row.get("version")
    if read and written:
        return f"{read} -> {written}" if read != written else f"{read} (no change)"
    return str(read or written or "")


def _time(us: int) -> str:
    return f"{us // 1_000_000}.{us % 1_000_000:06d}"
