"""The rows of a run, sifted for what a report shows: stories of tasks, what was refused, faults, violations, states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sim.analysis.tabulate import Columns, Tabulator
from sim.causes import WRITES, Past, involved_in, telling
from sim.trace import END, HEADER, MOVED, NODE, Row

STATES = ("tasks", "attempts", "transitions", "nodes")
"""The tables of sim.analysis that a report needs."""
BATCH = 4096
_TASK = "AgenticTask"


class Line(NamedTuple):
    """A row and its place among all of the run."""

    seq: int
    row: Row


class Gathered:
    """Give it the rows in order, by `put`. `tables`: STATES as columns, when they are known already and are not to be made of
    the rows."""

    def __init__(self, tables: dict[str, Columns] | None = None) -> None:
        self.header: Row = {}
        self.last: Row | None = None
        self.actors: dict[str, None] = {}
        self.faults: list[Line] = []
        self.violations: list[Line] = []
        self.refused: list[Line] = []
        self._stories: dict[str, list[Line]] = {}
        self._pasts: dict[str, Past] = {}
        self._seq = 0
        self._tables = tables
        self._states: list[Row] = []
        self._tabulator = Tabulator()
        self._columns: dict[str, Columns] = {name: {} for name in STATES}
        self._by: dict[str, Callable[[Row], object]] = {
            HEADER: self._begin,
            END: self._end,
            MOVED: self._state,
            NODE: self._state,
            "event": self._read,
            "get": self._request,
            "list": self._list,
            "execute": self._tell,
            "executed": self._tell,
            "fault": lambda row: self.faults.append(Line(self._seq, row)),
            "violation": self._violation,
            **dict.fromkeys(WRITES, self._request),
        }

    def put(self, row: Row) -> None:
        self._seq += 1
        take = self._by.get(row["what"])
        if take is not None:
            take(row)

    def _begin(self, row: Row) -> None:
        self.header = row

    def _end(self, row: Row) -> None:
        self.last = row

    def _state(self, row: Row) -> None:
        self._seq -= 1  # A Parquet file does not number these with the others.
        self._states.append(row)
        if len(self._states) >= BATCH:
            self._tabulate(self._tabulator.take(self._states))
            self._states.clear()

    def _tabulate(self, more: dict[str, Columns]) -> None:
        for name in STATES:
            had = self._columns[name]
            for column, values in more.get(name, {}).items():
                had.setdefault(column, []).extend(values)

    def _past(self, key: str) -> Past:
        past = self._pasts.get(key)
        if past is None:
            past = self._pasts[key] = Past()
        return past

    def _read(self, row: Row) -> None:
        """An event only matters by what it made known."""
        if row["kind"] == _TASK:
            self._past(row["key"]).explain(row)

    def _list(self, row: Row) -> None:
        self.actors.setdefault(row["actor"])
        if row["kind"] != _TASK:
            return
        rest = {name: value for name, value in row.items() if name != "saw"}
        for key, version in (row.get("saw") or {}).items():
            told = self._past(key).explain({**rest, "key": key, "version": version})
            if "stale" in told:
                self._keep(key, told)

    def _request(self, row: Row) -> None:
        self.actors.setdefault(row["actor"])
        if row["kind"] == _TASK and (key := row.get("key")):
            row = self._past(key).explain(row)
            self._keep(key, row)
        if row["what"] != "get" and row.get("outcome") != "ok":
            self.refused.append(Line(self._seq, row))

    def _tell(self, row: Row) -> None:
        self._keep(row["key"], row)

    def _violation(self, row: Row) -> None:
        self.violations.append(Line(self._seq, row))
        if key := row.get("key"):
            self._keep(key, row)

    def _keep(self, key: str, row: Row) -> None:
        story = self._stories.get(key)
        if story is None:
            story = self._stories[key] = []
        story.append(Line(self._seq, row))

    def story(self, key: str) -> list[Line]:
        """What `foreman sim story` tells of the task, but for the faults, which many stories share."""
        lines = self._stories.get(key, [])
        involved = involved_in(line.row for line in lines)
        return [line for line in lines if telling(line.row, involved)]

    def tables(self) -> dict[str, Columns]:
        """STATES as columns. To be asked once, when all rows have been put."""
        if self._tables is not None:
            return self._tables
        self._tabulate(self._tabulator.take(self._states))
        self._tabulate(self._tabulator.end())
        return self._columns

    @property
    def end(self) -> int:
        """Virtual microseconds at the end of what is known."""
        if self.last is not None:
            return int(self.last["t"])
        lines = [story[-1] for story in self._stories.values()] + self.faults[-1:]
        return max((int(line.row["t"]) for line in lines), default=0)

    @property
    def result(self) -> dict[str, Any] | None:
        return self.last["result"] if self.last else None
