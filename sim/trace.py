"""What happened, in order: a digest of every committed write, always; the events themselves, when somebody wants them.

The digest is SHA-256 over one line per write (version, time, actor, verb, object, what the patch said). Equal digests mean
that two runs committed the same writes at the same virtual times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

from foreman import __version__
from foreman.api import AgenticTask, Condition, Model, ObjectMeta, Phase, Verdict
from foreman.cluster import ClusterError, Event
from foreman.executors import Execution
from sim.cluster import Request, Watch
from sim.once import once
from sim.selection import Change

if TYPE_CHECKING:
    from sim.states import States

FORMAT = 1
"""Of trace files: raised when rows, tables or columns change their meaning."""
MACHINE = frozenset({"wall_seconds", "tasks_per_second"})
"""What of a result differs between equal runs."""
_FLUSH = 64


class Digest:
    """Observes commits. `now()` gives microseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self._sha = hashlib.sha256()
        self._lines: list[str] = []

    def committed(self, change: Change) -> None:
        version, verb, actor, kind, key, old, new, fields = change
        if fields:
            said = _said(fields, old)
        else:
            said = "" if new is None else self._created(new) + _marked(new.metadata)
        lines = self._lines
        lines.append(f"{version} {self.now()} {actor} {verb} {kind} {key} {said}\n")
        if len(lines) >= _FLUSH:
            self._flush()

    def _created(self, obj: Any) -> str:
        """What a new object says beyond its name. A spec is shared by all tasks of a class, so its text is kept by identity."""
        if obj.kind == "ConfigMap":
            # Long texts that repeat what the task's own writes have said: a checksum of each will do.
            sums = [f"{name}={crc32(text.encode()):08x}" for name, text in obj.data.items()]
            return " ".join(sums)
        return _text(getattr(obj, "spec", None))  # an Event has none

    def hexdigest(self) -> str:
        self._flush()
        return self._sha.hexdigest()

    def _flush(self) -> None:
        self._sha.update("".join(self._lines).encode())
        self._lines.clear()


def _marked(meta: ObjectMeta) -> str:
    """What the metadata of a new object says, if anything."""
    labels = meta.labels
    if meta.annotations or meta.owner_references or meta.finalizers:
        return f" {_plain((labels, meta.annotations, meta.owner_references, meta.finalizers))}"
    return f" [{_plain(labels)},{{}},[],[]]" if labels else ""


def _said(fields: Mapping[str, Any], old: Any) -> str:
    """The patch in one line. Conditions that are the very objects there before are only counted: the line says what is new."""
    if not _PLAIN.issuperset(map(type, fields.values())):
        told = dict(fields)
        conditions, result = told.get("conditions"), told.get("result")
        if conditions and old is not None:
            told["conditions"] = _conditions(old.status.conditions, conditions)
        if type(result) is dict:
            # Plain JSON values only, whose repr is the same everywhere.
            told["result"] = repr(result)
        if not _PLAIN.issuperset(map(type, told.values())):
            told = {name: _plain(value) for name, value in told.items()}
        fields = told
    return _form(tuple(fields)) % (*fields.values(),)


@cache
def _form(names: tuple[str, ...]) -> str:
    return " ".join(name.replace("%", "%%") + "=%s" for name in names)


def _conditions(before: tuple[Condition, ...], after: tuple[Condition, ...]) -> str:
    known = {*map(id, before)}
    told = str(len(after))
    for each in after:
        if id(each) not in known:
            told += f" {each.type}/{each.status}/{each.reason}/{each.last_transition_time}/{each.message}"
    return told


def _plain(value: Any) -> str:
    """The same text in every Python: enum members as the words they are, models as their fields."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, str):
        return f"{value}"
    if kind is Condition:
        return f"{value.type}/{value.status}/{value.reason}/{value.last_transition_time}/{value.message}"
    if isinstance(value, Model):
        value = {**value.__dict__, **value.__pydantic_extra__} if value.__pydantic_extra__ else value.__dict__
    if kind is dict or isinstance(value, Mapping):
        if not _PLAIN.issuperset(map(type, value.values())):
            value = {k: _plain(v) for k, v in value.items()}
        return "{" + ",".join(map(_PAIR, value.items())) + "}"
    return "[" + ",".join(map(_plain, value)) + "]"


_text = once(_plain)
"""Of what many share: a spec, a patch that marks objects."""
_PAIR = "%s:%s".__mod__
_PLAIN = frozenset({str, int, float, bool, type(None), Phase, Verdict})


Row = dict[str, Any]
"""One event: `t` (microseconds), `actor`, `what`, and, where they apply, `kind key version read outcome detail saw`
(what a list showed: key -> version).

The first of a trace file is of another sort, `what` = HEADER: it holds the scenario, so that a trace can be run again. Between
the others stand those of sim.states, MOVED and NODE; the last is END: the result of the run.
"""
HEADER, MOVED, NODE, END = "scenario", "moved", "node", "end"
STATES = frozenset({MOVED, NODE, END})
"""Rows of a file that follow from its others."""
Sink = Callable[[Row], object]


class Trace:
    """The event log of a run: requests and their answers, executions, faults.

    `sink` is given each row, and none is kept; `replay`: the command that makes the run. The World it is given to sets `now`.
    """

    def __init__(self, sink: Sink | None = None, replay: str = "") -> None:
        self.now: Callable[[], int] = lambda: 0
        self.sink = sink
        self.replay = replay
        self.rows: list[Row] = []
        self.put: Sink = sink or self.rows.append

    def add(self, actor: str, what: str, **more: Any) -> None:
        row = {"t": self.now(), "actor": actor, "what": what}
        self.put(row | {k: v for k, v in more.items() if v not in ("", None)})

    def begin(self, scenario: Mapping[str, Any], seed: int, check: bool) -> None:
        """A file says first which run it is the trace of."""
        told = {"scenario": scenario, "seed": seed, "check": check, "version": __version__, "replay": self.replay}
        self.add("world", HEADER, **told, format=FORMAT)

    def end(self, result: Mapping[str, Any]) -> None:
        """And last what came of it, but for what the machine had to do with it."""
        self.add("world", END, result={k: v for k, v in result.items() if k not in MACHINE})

    def request(self, request: Request, ok: bool, value: Any) -> None:
        """A request has reached the API server and been answered."""
        verb, kind, key, read, version, outcome, detail, saw = answered(request.verb, request.args, ok, value)
        row: Row = {"t": self.now(), "actor": request.actor, "what": verb, "kind": kind}
        if key is not None:
            row["key"] = key
        if read:
            row["read"] = read
        if version:
            row["version"] = version
        row["outcome"] = outcome
        if detail:
            row["detail"] = detail
        if saw:
            row["saw"] = saw
        self.put(row)

    def delivered(self, actor: str, event: Event) -> None:
        """A watch event has reached its client."""
        obj = event.object
        if obj is not None:
            row = {"t": self.now(), "actor": actor, "what": "event", "kind": obj.kind, "key": obj.key}
            if event.version:
                row["version"] = event.version
            row["detail"] = event.type
            self.put(row)

    def watched(self) -> type[Watch]:
        """The class of watches that tell what they deliver: one of its own, so that an untraced run has nothing to ask."""
        told, deliver = self.delivered, Watch._deliver

        class Traced(Watch):
            def _deliver(self, event: Event) -> None:
                if not (self._ended or self._doomed or self.link.cut_in):
                    told(self.cluster.actor, event)
                deliver(self, event)

        return Traced

    def changed(self, states: States, change: Change) -> None:
        """A task has changed its phase, or a node what it offers."""
        self.put(states.row(self.now(), change))

    def execution_started(self, holder: str, execution: Execution) -> None:
        self.add(holder, "execute", key=execution.task.key, detail=f"attempt {execution.attempt}")

    def execution_ended(self, holder: str, execution: Execution, completed: bool) -> None:
        how = "completed" if completed else "stopped"
        self.add(holder, "executed", key=execution.task.key, detail=f"attempt {execution.attempt} {how}")

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)


Told = tuple[str, str, str | None, str | None, str | None, str, str | None, dict[str, str] | None]
"""Of a request: verb, kind, key, the version a write was conditional on, the version afterwards, outcome, what was said or why
it was refused, what a list showed."""


def answered(verb: str, args: tuple[Any, ...], ok: bool, value: Any) -> Told:
    """What is told of a request, and of its answer: True and a value, or False and an error."""
    if ok and (verb == "patch_status" or verb == "patch"):
        obj, changes, read = args
        version = value.metadata.resource_version
        said = summary(changes, getattr(obj, "status", None)) or None
        return verb, obj.kind, obj.key, read or "any", version, "ok", said, None
    kind, key, read, said = _asked(verb, args)
    if not ok:
        why = str(value) if isinstance(value, ClusterError) else None
        return verb, kind, key, read, None, type(value).__name__, why or said, None
    if verb == "list":
        saw = {obj.key: obj.metadata.resource_version for obj in value.items}
        return verb, kind, None, None, None, "ok", None, saw or None
    if verb == "watch" or value is None:
        return verb, kind, key, read, None, "ok", said, None
    if verb == "get" and kind == "AgenticTask":
        said = _seen(value)
    return verb, kind, key, read, value.metadata.resource_version or None, "ok", said, None


def _seen(task: AgenticTask) -> str:
    """What a get has shown of a task."""
    status = task.status
    held = f" held by {status.holder}" if status.holder else ""
    return f"saw {status.phase} attempt={status.attempt}{held}"


def _asked(verb: str, args: tuple[Any, ...]) -> tuple[str, str | None, str | None, str | None]:
    """(kind, key, version the write was conditional on, what it says) of a request."""
    obj = args[0]
    if verb == "patch_status" or verb == "patch":
        return obj.kind, obj.key, args[2] or "any", summary(args[1], getattr(obj, "status", None)) or None
    if verb == "get":
        return obj, f"{args[2]}/{args[1]}" if args[2] else args[1], None, None
    if verb == "list":
        return obj, None, None, None
    if verb == "watch":
        return obj.kind, None, args[1] or None, None
    return obj.kind, obj.key, (args[1] or None) if verb == "delete" else None, None


def summary(changes: Mapping[str, Any], before: Any = None) -> str:
    """The telling part of a patch: 'phase=Running holder=gpu-0/1 Running=True/Claimed'. `before`: the status it was
    made for."""
    parts: list[str] = []
    for name, value in changes.items():
        kind = type(value)
        if name == "conditions":
            new = news(value, before.conditions if before is not None else ())
            parts += [f"{each.type}={each.status}/{each.reason}" for each in new]
        elif kind in _WORDS:
            if value and name[-3:] != "_at":
                parts.append(name + "=" + value)
        elif kind is int or isinstance(value, (str, int)):
            if value != "" and name[-3:] != "_at":
                parts.append(f"{name}={value}")
        elif isinstance(value, Mapping) and name in ("metadata", "strikes"):
            parts.append(f"{name}={_plain(value) if name == 'strikes' else _text(value)}")
    return " ".join(parts)


def news(now: Sequence[Condition], before: Sequence[Condition]) -> list[Condition]:
    """The conditions that are new or say something else."""
    known = {*map(id, before)}
    new = [each for each in now if id(each) not in known]
    # Comparing models costs: only those of one type can be equal.
    return [each for each in new if not any(old.type == each.type and old == each for old in before)] if before else new


_WORDS = frozenset({str, Phase, Verdict})
