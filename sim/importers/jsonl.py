"""Our own lists of tasks: one JSON object a line, `{"at": "90s", "duration": "10m", "requires": {...}, "priority": 5}`.

`at` and `duration` are written as in a scenario; `tokens: [read, written]` may stand instead of `duration`; `class`
names a class.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from foreman.durations import duration
from sim.importers.imported import Imported
from sim.importers.lines import BadTrace, Line, text_lines
from sim.kinds import did_you_mean, in_words
from sim.listed import Work

KEYS = ("at", "duration", "tokens", "class", "requires", "priority", "kind", "retry", "agent")
OF_CLASS = ("requires", "priority", "kind", "retry", "agent")


def read(path: Path, limit: int | None, nodes: int, slots: int) -> Imported:
    """The fleet is not in the file: `nodes` equal ones. Raises BadTrace."""
    found = Imported("imported", f"The tasks of {path.name}.")
    for number, text in text_lines(path):
        if not text.strip():
            continue
        if limit is not None and len(found.work) >= limit:
            found.losses["tasks left out (--limit)"] += 1
            continue
        found.work.append(_work(found, Line(path, number, {}), text))
    group: dict[str, Any] = {"count": nodes, "slots": slots}
    if any(each.tokens for each in found.work):
        group["tokensPerSecond"] = 1000
    found.fleet["node"] = group
    found.losses[
        f"fleet not in the file: {nodes} equal nodes with {slots} slots; give them what the tasks require"
    ] += 1
    return found


def _work(found: Imported, line: Line, text: str) -> Work:
    try:
        told = json.loads(text)
    except ValueError:
        raise line.bad("not JSON: expected one object a line; is the file truncated?") from None
    if not isinstance(told, dict):
        raise line.bad(f"expected an object, not {in_words(told)}")
    for key in told:
        if key not in KEYS:
            raise line.bad(f"unknown key {key!r}: expected {', '.join(KEYS)}{did_you_mean(key, KEYS)}")
    if ("duration" in told) == ("tokens" in told):
        raise line.bad("expected either duration or tokens")
    of = found.classify(str(told.get("class", "task")), {key: told[key] for key in OF_CLASS if key in told})
    at = _time(line, told.get("at", 0), "at")
    return Work(at, _time(line, told.get("duration", 0), "duration"), of, _tokens(line, told.get("tokens")))


def _time(line: Line, value: Any, name: str) -> int:
    try:
        return line.span(duration(value), name)
    except BadTrace:
        raise
    except (ValueError, TypeError) as error:
        raise line.bad(f"{name}: {error}") from None


def _tokens(line: Line, told: Any) -> tuple[int, int] | None:
    if told is None:
        return None
    if not (
        isinstance(told, list) and len(told) == 2 and all(type(each) is int and 0 <= each <= 10**8 for each in told)
    ):
        raise line.bad(f"tokens: expected [read, written], not {in_words(told)}")
    return told[0], told[1]
