"""The story of one object: every request about it in causal order, who read which version, who wrote what, what was refused.

From a fresh run of a scenario, or from a trace file that a run wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from foreman.durations import show
from sim.glance import Unknown, kind_of
from sim.scenario import Scenario
from sim.trace import HEADER, STATES, Row, Trace
from sim.tracefile import read_trace
from sim.world import World

COLUMNS = ("time", "actor", "request", "version", "known by", "outcome", "detail")
_STYLES = {"Conflict": "yellow", "Unavailable": "red", "Invalid": "red", "NotFound": "yellow", "ok": ""}
_MARKED = {"fault": "magenta", "violation": "magenta"}


class NoSuchTask(Exception):
    """Nothing in the run is about that object."""


class Subject(NamedTuple):
    """What a story is about. `namespace` None: whichever it is in."""

    kind: str
    name: str
    namespace: str | None

    @classmethod
    def of(cls, asked: str) -> Subject:
        """'task-0', 'default/task-0', 'fn/gpu-0', 'lease/default/foreman'. Raises ValueError."""
        *before, name = asked.split("/")
        kind = "AgenticTask"
        if before and (len(before) == 2 or _is_kind(before[0])):
            kind = kind_of(before.pop(0)).kind
        if len(before) > 1 or not all((*before, name)):
            raise ValueError(f"expected [KIND/][NAMESPACE/]NAME, not {asked[:60]!r}")
        return cls(kind, name, before[0] if before else None)

    def matches(self, key: str) -> bool:
        namespace, _, name = key.rpartition("/")
        return name == self.name and self.namespace in (None, namespace)

    def about(self, row: Row) -> Row | None:
        """The row as far as it concerns the subject; None when it does not."""
        what, kind, key = row["what"], row.get("kind"), row.get("key")
        if what == "list":
            saw = row.get("saw", {})
            key = next((each for each in saw if self.matches(each)), None) if kind == self.kind else None
            return key and {**row, "key": key, "version": saw[key], "saw": None}
        if key is None:
            return row if what == "fault" else None
        # Executions and violations name no kind: they are about tasks.
        return row if self.matches(key) and self.kind == (kind or "AgenticTask") else None


class _About(Trace):
    """Keeps what concerns one object."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.subject = subject
        self.put = self._keep

    def _keep(self, row: Row) -> None:
        found = self.subject.about(row)
        if found is not None:
            self.rows.append(found)


def _is_kind(word: str) -> bool:
    try:
        return bool(kind_of(word))
    except Unknown:
        return False


def from_run(scenario: Scenario, seed: int | None, asked: str) -> list[Row]:
    """Run the scenario and keep what concerns the object asked for, faults included. Raises ValueError, NoSuchTask."""
    trace = _About(Subject.of(asked))
    World(scenario, seed, trace=trace).run()
    return _about(trace, asked)


def namespace_of(scenario: Scenario, task: str) -> str:
    """Where a task of that name is created."""
    if task in scenario.tasks:
        return scenario.tasks[task].namespace
    return scenario.workload.namespace if scenario.workload else "default"


def from_trace(path: Path, asked: str) -> list[Row]:
    """The same from a trace file. Raises ValueError for a file that is no trace, NoSuchTask."""
    subject = Subject.of(asked)
    found = (subject.about(row) for row in read_trace(path) if row["what"] not in (HEADER, *STATES))
    return _about((row for row in found if row is not None), asked)


def _about(rows: Iterable[Row], asked: str) -> list[Row]:
    found = [{name: value for name, value in row.items() if value is not None} for row in rows]
    keys = sorted({row["key"] for row in found if "key" in row})
    if not keys:
        raise NoSuchTask(
            f"nothing in this run is about {asked!r}; expected [KIND/][NAMESPACE/]NAME, tasks without KIND"
        )
    if len(keys) > 1:
        raise NoSuchTask(f"{asked!r} is ambiguous: there is {', '.join(keys[:5])}")
    return found


def table(rows: list[Row]) -> Table:
    """The story as a table: when, who, what, on which version and how he had it, what came of it."""
    made = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for name in COLUMNS:
        made.add_column(name, no_wrap=name != "detail", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell, style=style_of(row)) for cell in cells(row)))
    return made


def cells(row: Row) -> tuple[str, ...]:
    """A line of the story, by COLUMNS."""
    told = (
        _time(row["t"]),
        row["actor"],
        row["what"],
        _versions(row),
        _known(row),
        row.get("outcome", ""),
        _detail(row),
    )
    return tuple(map(str, told))


def style_of(row: Row) -> str:
    """How a line is shown: red or yellow where something was refused, magenta what struck."""
    return _STYLES.get(row.get("outcome", ""), "") or _MARKED.get(row["what"], "yellow" if "stale" in row else "")


def _known(row: Row) -> str:
    basis = row.get("basis")
    return f"{basis['what']} {show(row['t'] - basis['t'])} ago" if basis else ""


def _detail(row: Row) -> str:
    detail = str(row.get("detail", ""))
    if (stale := row.get("stale")) is not None:
        return f"{detail} (stale: it is at {stale['version']} since {_time(stale['t'])})".strip()
    if (by := row.get("overtaken")) is not None:
        return f"overtaken by {by['version']} of {by['actor']} at {_time(by['t'])}: {by['detail']}"
    return detail


def _versions(row: dict[str, Any]) -> str:
    read, written = row.get("read"), row.get("version")
    if read and written:
        return f"{read} -> {written}" if read != written else f"{read} (no change)"
    return str(read or written or "")


def _time(us: int) -> str:
    return f"{us // 1_000_000}.{us % 1_000_000:06d}"
