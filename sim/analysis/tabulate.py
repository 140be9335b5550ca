"""From the rows of a trace to the records of its tables, one row at a time, holding only what is not over yet."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from sim.analysis.tables import TABLES
from sim.states import DELETED, Move, Offer, move_of, offer_of
from sim.trace import MOVED, NODE, Row

Record = Sequence[Any]
"""A record of `tasks`, `attempts` or `nodes`, in the order of its columns."""

Columns = dict[str, list[Any]]
"""Column -> its values."""

LOGS = {
    **dict.fromkeys(("get", "list", "watch", "create", "patch", "patch_status", "delete"), "api_calls"),
    "event": "deliveries",
    "execute": "executions",
    "executed": "executions",
    "fault": "faults",
    "violation": "violations",
}
_NOTES = {"fault": "faults", "violation": "violations"}
_RUNNING = frozenset({"Running", "Verifying"})
_IN_FLIGHT = _RUNNING | {"Scheduled"}
_OVER = frozenset({"Succeeded", "Failed", DELETED})
_UNTOLD = (None,) * 6


class _Task:
    __slots__ = ("attempts", "claimed", "created", "current", "facts", "name", "node", "phase", "verdict")

    def __init__(self, move: Move) -> None:
        self.name = move.task
        self.facts = move.facts or _UNTOLD
        self.created = move.t
        self.claimed: int | None = None
        self.attempts = 0
        self.phase = ""
        self.verdict: str | None = None
        self.node: str | None = None
        self.current: _Attempt | None = None

    def record(self, ended: int | None) -> Record:
        claimed, created = self.claimed, self.created
        wait = None if claimed is None else (claimed - created) / 1e6
        times = (created / 1e6, _s(claimed), _s(ended), wait)
        return (self.name, *self.facts, *times, self.attempts, self.phase, self.verdict, self.node)


class _Attempt:
    __slots__ = ("assigned", "claimed", "holder", "node", "number")

    def __init__(self, number: int | None, node: str | None, assigned: int) -> None:
        self.number = number
        self.node = node
        self.assigned = assigned
        self.claimed: int | None = None
        self.holder: str | None = None


class _Node:
    __slots__ = ("accelerator", "holding", "phase", "ram_gb", "running", "slots")

    def __init__(self) -> None:
        self.phase: str | None = None
        self.accelerator: str | None = None
        self.ram_gb: int | None = None
        self.slots: int | None = None
        self.holding = self.running = 0


class Tabulator:
    """Give it the rows in order, in batches, then `end`. Each answers with the columns that have been added to each table."""

    def __init__(self) -> None:
        self.seq = 0
        self._logs: dict[str, list[tuple[int, Row]]] = {name: [] for name in dict.fromkeys(LOGS.values())}
        self._records: dict[str, list[Record]] = {name: [] for name in TABLES if name not in self._logs}
        self._tasks: dict[str, _Task] = {}
        self._nodes: defaultdict[str, _Node] = defaultdict(_Node)
        self._log_of = {what: self._logs[table] for what, table in LOGS.items()}

    def take(self, rows: Iterable[Row]) -> dict[str, Columns]:
        log_of, changes = self._log_of, list[Move | Offer]()
        for seq, row in enumerate(rows, self.seq + 1):
            self.seq = seq
            what = row["what"]
            if what == MOVED:
                changes.append(move_of(seq, row))
            elif what == NODE:
                changes.append(offer_of(seq, row))
            else:
                log_of[what].append((seq, row))
        made = {name: columns_of_log(name, log) for name, log in self._logs.items() if log}
        for log in self._logs.values():
            log.clear()
        return made | self.follow(changes)

    def follow(self, changes: Iterable[Move | Offer]) -> dict[str, Columns]:
        """The same for changes alone."""
        moves = []
        for change in changes:
            if isinstance(change, Move):
                moves.append(change)
                self._moved(change)
            else:
                self._node(change)
        made = {"transitions": timed("transitions", [*zip(*moves, strict=True)][:-1])} if moves else {}
        return made | self._ended()

    def _ended(self) -> dict[str, Columns]:
        made = {name: columns_of_records(name, kept) for name, kept in self._records.items() if kept}
        for kept in self._records.values():
            kept.clear()
        return made

    def end(self) -> dict[str, Columns]:
        """What is not over at the end of the run."""
        for task in self._tasks.values():
            if (attempt := task.current) is not None:
                self._attempted(task, attempt, None, None, None, None)
            self._records["tasks"].append(task.record(None))
        self._tasks.clear()
        return self._ended()

    def _moved(self, move: Move) -> None:
        name, phase = move.task, move.phase
        task = self._tasks.get(name)
        if task is None:
            if phase == DELETED:
                return  # It was over before.
            task = self._tasks[name] = _Task(move)
        task.phase = phase
        if phase in _IN_FLIGHT:
            self._in_flight(task, move)
        elif (attempt := task.current) is not None:
            self._attempted(task, attempt, move.t, phase, move.verdict, move.reason)
            self._count(move.t, attempt.node, -1, -(attempt.claimed is not None))
            task.current = None
        if phase in _OVER:
            task.verdict = move.verdict
            self._records["tasks"].append(task.record(move.t))
            del self._tasks[name]

    def _in_flight(self, task: _Task, move: Move) -> None:
        t, phase, number, attempt = move.t, move.phase, move.attempt, task.current
        if attempt is None or attempt.number != number:
            if attempt is not None:
                self._attempted(task, attempt, t, phase, None, move.reason)
                self._count(t, attempt.node, -1, -(attempt.claimed is not None))
            task.attempts += 1
            task.node = move.node
            attempt = task.current = _Attempt(number, task.node, t)
            self._count(t, attempt.node, 1, 0)
        if phase in _RUNNING and attempt.claimed is None:
            attempt.claimed, attempt.holder = t, move.holder
            if task.claimed is None:
                task.claimed = t
            self._count(t, attempt.node, 0, 1)

    def _attempted(
        self, task: _Task, attempt: _Attempt, ended: int | None, phase: str | None, verdict: Any, reason: Any
    ) -> None:
        times = (attempt.assigned / 1e6, _s(attempt.claimed), _s(ended))
        what = (task.name, task.facts[0], attempt.number, attempt.node, attempt.holder)
        self._records["attempts"].append((*what, *times, phase, verdict, reason))

    def _count(self, t: int, name: str | None, holding: int, running: int) -> None:
        if name:
            node = self._nodes[name]
            node.holding += holding
            node.running += running
            self._told(t, name, node)

    def _node(self, offer: Offer) -> None:
        node = self._nodes[offer.node]
        node.phase = offer.phase
        if offer.slots is not None:
            node.slots = offer.slots
        if offer.accelerator is not None:
            node.accelerator, node.ram_gb = offer.accelerator, offer.ram_gb
        self._told(offer.t, offer.node, node)

    def _told(self, t: int, name: str, node: _Node) -> None:
        offer = (node.phase, node.accelerator, node.ram_gb, node.slots)
        self._records["nodes"].append((t / 1e6, name, *offer, node.holding, node.running))


def _s(us: int | None) -> float | None:
    return None if us is None else us / 1e6


# columns

_ALWAYS = frozenset({"actor", "what"})
_AS_ROWS: dict[str, dict[str, str]] = {
    "api_calls": {"verb": "what", "object": "key"},
    "deliveries": {"event": "detail", "object": "key"},
    "executions": {"task": "key"},
    "faults": {"host": "actor"},
    "violations": {"task": "key"},
}


def columns_of_records(table: str, records: Sequence[Record]) -> Columns:
    return dict(zip(TABLES[table].columns, map(list, zip(*records, strict=True)), strict=True))


def timed(table: str, log: Sequence[Sequence[Any]]) -> Columns:
    """The columns of a table whose times are in microseconds."""
    made: Columns = dict(zip(TABLES[table].columns, map(list, log), strict=True))
    made["t"] = [t / 1e6 for t in made["t"]]
    return made


def notes(told: Sequence[tuple[int, Row]]) -> dict[str, Columns]:
    """Faults and violations."""
    logs = {table: [(seq, row) for seq, row in told if row["what"] == what] for what, table in _NOTES.items()}
    return {table: columns_of_log(table, log) for table, log in logs.items() if log}


def columns_of_log(table: str, log: Sequence[tuple[int, Row]]) -> Columns:
    """The rows of a log, column by column."""
    called, special = _AS_ROWS[table], _SPECIAL.get(table, {})
    made: Columns = {}
    rows = [row for _, row in log]
    for name in TABLES[table].columns:
        if name == "seq":
            made[name] = [pair[0] for pair in log]
        elif name == "t":
            made[name] = [row["t"] / 1e6 for row in rows]
        elif name in special:
            made[name] = [*map(special[name], rows)]
        else:
            key = called.get(name, name)
            made[name] = [*map(itemgetter(key), rows)] if key in _ALWAYS else [row.get(key) for row in rows]
    return made


def _saw(row: Row) -> str | None:
    return json.dumps(row["saw"], separators=(",", ":")) if "saw" in row else None


_SPECIAL: dict[str, dict[str, Callable[[Row], Any]]] = {
    "api_calls": {"saw": _saw},
    "executions": {
        "attempt": lambda row: int(row["detail"].split()[1]),
        "event": lambda row: "started" if row["what"] == "execute" else row["detail"].split()[2],
    },
    "faults": {
        "fault": lambda row: row["detail"].split()[0],
        "over": lambda row: row["detail"].endswith(" over"),
    },
    "violations": {
        "invariant": lambda row: row["detail"].partition(": ")[0],
        "message": lambda row: row["detail"].partition(": ")[2],
    },
}
