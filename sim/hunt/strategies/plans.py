"""All single faults of a run: each fault at each write and watch event, with the reason where it can make no difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sim.fault import Fault
from sim.trace import Row

Planned = tuple[Fault, str]

AT_WRITES = ("lose-request", "lose-reply", "error-after-commit", "delay-request", "crash", "freeze", "partition")
AT_EVENTS = ("drop-event", "duplicate-event", "delay-event")
LATE = "12s"
"""Beyond a request's timeout: its sender has given up when it arrives."""
AWAY = "100s"
"""Beyond the silence after which a node counts as lost."""
_VERBS = ("create", "patch", "patch_status", "delete")
BEAT = "heartbeats like the one before"
UNREAD = "events followed by no write of their receiver before the next of that object"


def plans(rows: list[Row]) -> Iterator[Planned]:
    """`rows`: the trace of the run without them."""
    yield from _at_writes(rows)
    yield from _at_events(rows)


def _at_writes(rows: list[Row]) -> Iterator[Planned]:
    count: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    last: dict[str, tuple[str, str, str]] = {}
    for row in rows:
        if row["what"] not in _VERBS or row["actor"] == "user":
            continue
        actor, verb, kind, key = row["actor"], row["what"], row["kind"], row.get("key") or ""
        count[actor, verb, kind, key] += 1
        said = (verb, key, row.get("detail", ""))
        beat = kind == "FleetNode" and last.get(actor) == said
        last[actor] = said
        on = {"actor": actor, "verb": verb, "kind": kind, "key": key, "nth": count[actor, verb, kind, key]}
        for fault in AT_WRITES:
            draft: dict[str, object] = {"fault": fault, "on": on}
            if fault in ("crash", "freeze", "partition"):
                if row["outcome"] != "ok":
                    continue
                draft["for"] = AWAY
            elif fault == "delay-request":
                draft["by"] = LATE
            yield Fault.model_validate(draft), BEAT if beat else ""


def _at_events(rows: list[Row]) -> Iterator[Planned]:
    acted = _acting(rows)
    count: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    for at, row in enumerate(rows):
        if row["what"] != "event":
            continue
        actor, kind, key, type_ = row["actor"], row["kind"], row["key"], row["detail"]
        count[actor, kind, key, type_] += 1
        on = {"actor": actor, "kind": kind, "key": key, "type": type_, "nth": count[actor, kind, key, type_]}
        for fault in AT_EVENTS:
            late = {"by": LATE} if fault == "delay-event" else {}
            yield Fault.model_validate({"fault": fault, "on": on, **late}), "" if at in acted else UNREAD


def _acting(rows: list[Row]) -> set[int]:
    """The events after which their receiver wrote something before it heard of the same object again."""
    heard: defaultdict[str, dict[tuple[str, str, str], int]] = defaultdict(dict)
    acted: set[int] = set()
    for at, row in enumerate(rows):
        if row["what"] == "event":
            heard[row["actor"]][row["actor"], row["kind"], row["key"]] = at
        elif row["what"] in (*_VERBS, "execute"):
            acted.update(heard[row["actor"]].values())
            heard[row["actor"]].clear()
    return acted
