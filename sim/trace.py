"""What happened, in order: a digest of every committed write, always; the events themselves, when somebody wants them.

The digest is SHA-256 over one line per write (version, time, actor, verb, object, what the patch said). Equal digests mean
that two runs committed the same writes at the same virtual times.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from foreman.api import Condition, Model
from foreman.cluster import ClusterError
from foreman.executors import Execution
from sim.apiserver import Change
from sim.cluster import Request

_FLUSH = 1024


class Digest:
    """Observes commits. `now()` gives microseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self._sha = hashlib.sha256()
        self._lines: list[str] = []

    def committed(self, change: Change) -> None:
        said = _said(change) if change.fields else ""
        self._lines.append(f"{change.version} {self.now()} {change.actor} {change.verb} {change.kind} {change.key} {said}\n")
        if len(self._lines) >= _FLUSH:
            self._flush()

    def hexdigest(self) -> str:
        self._flush()
        return self._sha.hexdigest()

    def _flush(self) -> None:
        self._sha.update("".join(self._lines).encode())
        self._lines.clear()


def _said(change: Change) -> str:
    """The patch in one line. Conditions that were there before are left out: the line says what is new."""
    parts = []
    for name, value in change.fields.items():
        if name == "conditions" and change.new is not None:
            before = change.old.status.conditions if change.old is not None else ()
            value = [each for each in value if each not in before] if len(before) < 12 else value
        parts.append(f"{name}={_plain(value)}")
    return " ".join(parts)


def _plain(value: Any) -> str:
    if value is None or isinstance(value, str | int | float):
        return f"{value}"
    if isinstance(value, Condition):
        return f"{value.type}/{value.status}/{value.reason}/{value.last_transition_time}/{value.message}"
    if isinstance(value, Model):
        return _plain(value.__dict__)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_plain(each)}" for key, each in value.items()) + "}"
    return "[" + ",".join(map(_plain, value)) + "]"


Row = dict[str, Any]
"""One event: `t` (microseconds), `actor`, `what`, and, where they apply, `kind key version read outcome detail`."""


class Trace:
    """The event log of a run: requests and their answers, executions, faults.

    `only`: keep just the events of this object key; `sink`: write each event as a line of JSON as well.
    """

    def __init__(self, now: Callable[[], int], only: str | None = None, sink: IO[str] | None = None) -> None:
        self.now = now
        self.only = only
        self.sink = sink
        self.keep = sink is None
        self.rows: list[Row] = []

    def add(self, actor: str, what: str, **more: Any) -> None:
        if self.only is not None and more.get("key") not in (self.only, None):
            return
        row: Row = {"t": self.now(), "actor": actor, "what": what, **{k: v for k, v in more.items() if v not in ("", None)}}
        if self.keep:
            self.rows.append(row)
        if self.sink is not None:
            self.sink.write(json.dumps(row, separators=(",", ":")) + "\n")

    def request(self, request: Request, ok: bool, value: Any) -> None:
        """A request has reached the API server and been answered."""
        kind, key, read, detail = _target(request)
        outcome = "ok" if ok else type(value).__name__
        version = value.version if ok and isinstance(value, Model) and hasattr(value, "version") else None
        why = str(value) if isinstance(value, ClusterError) else None
        if request.verb in ("list", "watch") and self.only is not None:
            return
        self.add(
            request.actor, request.verb, kind=kind, key=key, read=read, version=version, outcome=outcome,
            detail=why or detail,
        )

    def execution_started(self, holder: str, execution: Execution) -> None:
        self.add(holder, "execute", key=execution.task.key, detail=f"attempt {execution.attempt}")

    def execution_ended(self, holder: str, execution: Execution, completed: bool) -> None:
        how = "completed" if completed else "stopped"
        self.add(holder, "executed", key=execution.task.key, detail=f"attempt {execution.attempt} {how}")

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)


def _target(request: Request) -> tuple[str, str | None, str | None, str]:
    """(kind, key, version the write was conditional on, what it says) of a request."""
    verb, args = request.verb, request.args
    if verb == "get":
        return args[0], f"{args[2]}/{args[1]}" if args[2] else args[1], None, ""
    if verb == "list":
        return args[0], None, None, ""
    if verb == "watch":
        return args[0].kind, None, args[1], ""
    obj = args[0]
    if verb in ("patch", "patch_status"):
        return obj.kind, obj.key, args[2] or "any", summary(args[1])
    if verb == "delete":
        return obj.kind, obj.key, args[1], ""
    return obj.kind, obj.key, None, ""


def summary(changes: Mapping[str, Any]) -> str:
    """The telling part of a patch: 'phase=Running attempt=2 holder=gpu-0/1', and the newest condition's reason."""
    parts = []
    for name, value in changes.items():
        if name == "conditions":
            parts.extend(f"{each.type}={each.status}/{each.reason}" for each in value[-1:])
        elif isinstance(value, str | int) and value != "":
            parts.append(f"{name}={value}")
        elif isinstance(value, Mapping) and name in ("metadata", "strikes"):
            parts.append(f"{name}={_plain(value)}")
    return " ".join(parts)
