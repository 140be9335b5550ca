"""What happened, in order: a digest of every committed write, always; the events themselves, when somebody wants them.

The digest is SHA-256 over one line per write (version, time, actor, verb, object, what the patch said). Equal digests mean
that two runs committed the same writes at the same virtual times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from zlib import crc32

from foreman import __version__
from foreman.api import AgenticTask, Condition, Model, ObjectMeta, Phase, Verdict
from foreman.api.meta import Resource
from foreman.cluster import ClusterError, Event
from foreman.executors import Execution
from sim.cluster import Request
from sim.selection import Change

FORMAT = 1
"""Of trace files: raised when rows, tables or columns change their meaning."""
MACHINE = frozenset({"wall_seconds", "tasks_per_second"})
"""What of a result differs between equal runs."""
_FLUSH = 64
_SPECS = 256


class Digest:
    """Observes commits. `now()` gives microseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self._sha = hashlib.sha256()
        self._lines: list[str] = []
        self._specs: dict[int, tuple[Any, str]] = {}

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
        spec = getattr(obj, "spec", None)  # an Event has none
        known = self._specs.get(id(spec))
        if known is None:
            if len(self._specs) >= _SPECS:
                self._specs.clear()
            # The spec itself is kept too: as long as it lives nothing else has its id.
            known = self._specs[id(spec)] = spec, _plain(spec)
        return known[1]

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
        kind, key, read, detail = _target(request)
        verb = request.verb
        version = why = None
        if not ok:
            outcome = type(value).__name__
            why = str(value) if isinstance(value, ClusterError) else None
        else:
            outcome = "ok"
            if isinstance(value, Resource):
                version = value.version
            if verb == "get":
                why = _seen(value)
        row: Row = {"t": self.now(), "actor": request.actor, "what": verb, "kind": kind}
        if key is not None:
            row["key"] = key
        if read:
            row["read"] = read
        if version:
            row["version"] = version
        row["outcome"] = outcome
        if told := why or detail:
            row["detail"] = told
        if ok and verb == "list" and (saw := {obj.key: obj.version for obj in value.items}):
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

    def execution_started(self, holder: str, execution: Execution) -> None:
        self.add(holder, "execute", key=execution.task.key, detail=f"attempt {execution.attempt}")

    def execution_ended(self, holder: str, execution: Execution, completed: bool) -> None:
        how = "completed" if completed else "stopped"
        self.add(holder, "executed", key=execution.task.key, detail=f"attempt {execution.attempt} {how}")

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)


def _seen(value: Any) -> str | None:
    """What a get has shown of a task."""
    if not isinstance(value, AgenticTask):
        return None
    status = value.status
    held = f" held by {status.holder}" if status.holder else ""
    return f"saw {status.phase} attempt={status.attempt}{held}"


def _target(request: Request) -> tuple[str, str | None, str | None, str]:
    """(kind, key, version the write was conditional on, what it says) of a request."""
    verb, args = request.verb, request.args
    if verb == "patch_status" or verb == "patch":
        obj = args[0]
        return obj.kind, obj.key, args[2] or "any", summary(args[1], getattr(obj, "status", None))
    if verb == "get":
        return args[0], f"{args[2]}/{args[1]}" if args[2] else args[1], None, ""
    if verb == "list":
        return args[0], None, None, ""
    if verb == "watch":
        return args[0].kind, None, args[1], ""
    obj = args[0]
    if verb == "delete":
        return obj.kind, obj.key, args[1], ""
    return obj.kind, obj.key, None, ""


def summary(changes: Mapping[str, Any], before: Any = None) -> str:
    """The telling part of a patch: 'phase=Running holder=gpu-0/1 Running=True/Claimed'. `before`: the status it was
    made for."""
    parts: list[str] = []
    for name, value in changes.items():
        if name == "conditions":
            known = getattr(before, "conditions", ())
            parts += [f"{each.type}={each.status}/{each.reason}" for each in value if not _among(each, known)]
        elif type(value) in _SCALARS or isinstance(value, (str, int)):
            if value != "" and name[-3:] != "_at":
                parts.append(f"{name}={value}")
        elif name in ("metadata", "strikes") and isinstance(value, Mapping):
            parts.append(f"{name}={_plain(value)}")
    return " ".join(parts)


def _among(condition: Condition, known: tuple[Condition, ...]) -> bool:
    # Comparing models costs: only those of one type can be equal.
    kind = condition.type
    return any(each is condition or (each.type == kind and each == condition) for each in known)


_SCALARS = frozenset({str, int, Phase, Verdict})
