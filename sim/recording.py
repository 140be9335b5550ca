"""A trace that goes to a file: what happens is noted by reference, and told in bulk.

While the run goes on a row costs little more than a tuple: resources, requests and events are frozen, so later they say what
they say now. A batch at a time they become columns, and those what the file is made of; nothing is held beyond a batch.
"""

from __future__ import annotations

from itertools import count
from typing import Any, NamedTuple, Protocol

from pydantic_core import to_json

from foreman.cluster import Event
from foreman.executors import Execution
from sim.cluster import Request, Watch
from sim.selection import Change
from sim.states import Move, Offer, States
from sim.trace import END, HEADER, Row, Trace, answered

BATCH = 256
"""Requests of a batch. What they bring about is as many again or some times as many; it stays in the processor's cache."""

Log = list[Any]
"""A table, column by column in the order of sim.analysis.tables; `t` in microseconds."""


class Batch(NamedTuple):
    """What has happened since the last one: of each sort by `seq`, which no two rows share."""

    calls: Log
    deliveries: Log
    executions: Log
    changes: list[Move | Offer]
    notes: list[tuple[int, Row]]
    """(seq, row) of faults and violations."""


class Writer(Protocol):
    """Of a trace file. First comes the row that says which run it is of, last the one that says what came of it."""

    def put(self, row: Row) -> None: ...

    def take(self, batch: Batch) -> None: ...


class Recording(Trace):
    """The event log of a run, written to a file. What is not yet written is when it is `flush`ed."""

    def __init__(self, writer: Writer, replay: str = "") -> None:
        super().__init__(writer.put, replay)
        self.writer = writer
        self._seq = count(1).__next__
        self._calls: list[tuple[Any, ...]] = []
        self._deliveries: list[tuple[int, int, str, Event]] = []
        self._executions: list[tuple[int, int, str, str, int, str]] = []
        self._changes: list[tuple[int, int, Change]] = []
        self._notes: list[tuple[int, Row]] = []
        self._states = States(self)

    def add(self, actor: str, what: str, **more: Any) -> None:
        if what in (HEADER, END):
            self.flush()
            super().add(actor, what, **more)
        else:
            self._notes.append((self._seq(), {"t": self.now(), "actor": actor, "what": what, **more}))

    def request(self, request: Request, ok: bool, value: Any) -> None:
        calls, cluster, verb, args = self._calls, request.cluster, request.verb, request.args
        if ok:
            calls.append((self._seq(), cluster.env.now, cluster.actor, verb, args, value))
        else:
            # The error itself would keep the frames it has passed through.
            told = answered(verb, args, False, value)
            calls.append((self._seq(), cluster.env.now, cluster.actor, None, told, None))
        if len(calls) >= BATCH:
            self.flush()

    def watched(self) -> type[Watch]:
        deliver, put, seq = Watch._deliver, self._deliveries.append, self._seq

        class Traced(Watch):
            def _deliver(self, event: Event) -> None:
                # A BOOKMARK is about nothing.
                if event[1] is not None and not (self._ended or self._doomed or self.link.cut_in):
                    put((seq(), self.env.now, self.cluster.actor, event))
                deliver(self, event)

        return Traced

    def changed(self, states: States, change: Change) -> None:
        self._states = states
        self._changes.append((self._seq(), self.now(), change))

    def execution_started(self, holder: str, execution: Execution) -> None:
        key, attempt = execution.task.key, execution.attempt
        self._executions.append((self._seq(), self.now(), holder, key, attempt, "started"))

    def execution_ended(self, holder: str, execution: Execution, completed: bool) -> None:
        how = "completed" if completed else "stopped"
        self._executions.append((self._seq(), self.now(), holder, execution.task.key, execution.attempt, how))

    def flush(self) -> None:
        """Hand on what has happened so far."""
        told = self._states.told
        changes = [told(seq, t, change) for seq, t, change in self._changes]
        executions = [*zip(*self._executions, strict=True)]
        batch = Batch(_calls(self._calls), _deliveries(self._deliveries), executions, changes, self._notes[:])
        for each in (self._calls, self._deliveries, self._executions, self._changes, self._notes):
            each.clear()
        if any(batch):
            self.writer.take(batch)


def _calls(kept: list[tuple[Any, ...]]) -> Log:
    """seq t actor verb kind object read version outcome detail saw"""
    if not kept:
        return []
    told = [
        (seq, t, actor, *(args if verb is None else answered(verb, args, True, value)))
        for seq, t, actor, verb, args, value in kept
    ]
    *columns, saws = zip(*told, strict=True)
    return [*columns, [to_json(saw).decode() if saw else None for saw in saws]]


def _deliveries(kept: list[tuple[int, int, str, Event]]) -> Log:
    """seq t actor event kind object version"""
    if not kept:
        return []
    seqs, times, actors, events = zip(*kept, strict=True)
    how, objects, versions = zip(*events, strict=True)
    return [seqs, times, actors, how, [each.kind for each in objects], [each.key for each in objects], versions]
