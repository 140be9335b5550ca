"""Two runs side by side: the first committed write in which they differ.

Both go forward together, write by write, so neither is held in memory. Two runs are compared by the lines of their digests:
equal digests are equal runs. A trace file has no digest; where one takes part, both are compared by what traces tell
of a write, so writes that clients have not made (garbage collection, deletions by faults) are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sim.collector import uncollected
from sim.scenario import Scenario
from sim.selection import Change
from sim.trace import Digest, Row, Trace, summary
from sim.tracefile import read_trace
from sim.world import World

T = TypeVar("T")
WRITES = ("create", "patch", "patch_status", "delete")


class Write(NamedTuple):
    """One committed write. `t` in microseconds; `said`: all it says, as far as it is known; `what`: the telling part."""

    t: int
    actor: str
    verb: str
    object: str
    what: str
    said: str

    def aspects(self, times: bool) -> tuple[Any, ...]:
        return (self.t, *self[1:4], self.said) if times else self[1:5]


class Difference(NamedTuple):
    """`writes`: how many are the same before; `before`: the last of them; `one`, `other`: the first that differ, None where a
    run makes no further one; `aspects`: in what they differ. Equal runs have neither."""

    writes: int
    before: list[Write]
    one: Write | None
    other: Write | None
    aspects: list[str]

    @property
    def equal(self) -> bool:
        return self.one is None and self.other is None


class _Lines(Digest):
    """The line that each write adds to the digest."""

    def line(self, change: Change) -> str:
        self.committed(change)
        return self._lines.pop().rstrip("\n")


def writes_of_run(scenario: Scenario) -> Iterator[Write]:
    """The writes of a run, as it makes them."""
    world = World(scenario)
    lines, written = _Lines(world.now), list[Write]()

    def committed(change: Change) -> None:
        said = lines.line(change)
        what = summary(change.fields, getattr(change.old, "status", None))
        written.append(Write(world.now(), change.actor, change.verb, f"{change.kind} {change.key}", what, said))

    world.server.observers.append(committed)
    yield from _drained(world, written)


def told_of_run(scenario: Scenario) -> Iterator[Write]:
    """The same as a trace of the run would tell them."""
    trace = Trace()
    world = World(scenario, trace=trace)
    yield from _told(_drained(world, trace.rows))


def told_by_trace(path: Path) -> Iterator[Write]:
    """The writes of a trace file. Raises OSError, ValueError."""
    return _told(read_trace(path))


def _drained(world: World, kept: list[T]) -> Iterator[T]:
    """What the run puts into the list, step by step."""
    for _ in world.steps():
        yield from kept
        kept.clear()
    world.drop_unstarted()


def _told(rows: Iterable[Row]) -> Iterator[Write]:
    newest = 0
    for row in rows:
        if row["what"] not in WRITES or row.get("outcome") != "ok":
            continue
        version, what = row.get("version", ""), row.get("detail", "")
        if version and int(version) <= newest:
            continue  # It changed nothing: every write that does raises the version.
        newest = int(version or newest)
        yield Write(row["t"], row["actor"], row["what"], f"{row['kind']} {row['key']}", what, f"{version} {what}")


def diff(one: Iterable[Write], other: Iterable[Write], context: int, times: bool = True) -> Difference:
    """`context`: how many writes before the difference to keep; `times` False: what was written in which order, not when."""
    before: deque[Write] = deque(maxlen=context)
    same = 0
    with uncollected():
        for left, right in zip_longest(one, other):
            if left is None or right is None or left.aspects(times) != right.aspects(times):
                return Difference(same, list(before), left, right, _aspects(left, right, times))
            before.append(left)
            same += 1
    return Difference(same, list(before), None, None, [])


_ASPECTS: tuple[tuple[str, Callable[[Write], object]], ...] = (
    ("time", lambda write: write.t),
    ("actor", lambda write: write.actor),
    ("verb", lambda write: write.verb),
    ("object", lambda write: write.object),
    ("content", lambda write: write.what),
)


def _aspects(one: Write | None, other: Write | None, times: bool) -> list[str]:
    if one is None or other is None:
        return ["end"]
    found = [name for name, of in _ASPECTS if of(one) != of(other) and (times or name != "time")]
    return found or ["content"]
