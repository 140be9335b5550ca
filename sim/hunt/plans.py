"""All single faults of a run: each fault at each write and watch event, with the reason why it need not be tried, or ''.

A fault need not be tried where it does what another one does that is tried. What is in the way of that being so exactly, if
anything, is said at each reason.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from sim.fault import WRITES, Fault
from sim.trace import Row

AT_WRITES = ("lose-request", "lose-reply", "delay-request")
AT_COMMITS = ("error-after-commit", "crash", "freeze", "partition")
AT_EVENTS = ("drop-event", "duplicate-event", "delay-event")
NEVER = 1 << 62
LATE = "12s"
"""Beyond a request's timeout: its sender has given up when it arrives."""
AWAY = "100s"
"""Beyond the silence after which a node counts as lost."""

REFUSED = "at writes that are refused or change nothing: lost, late or unanswered is the same"
"""Neither changes the cluster, and the sender learns nothing, at the same moment. A late one is refused as well: versions do
not come back, nor are names free again unless somebody deletes what has them."""
NOTHING = "after commits, where nothing is committed"
"""The cluster stands as after the write before, at which they are tried."""
OVERTAKEN = "lost requests, where the late one was refused when it came"
"""Its sender had given up, as with a lost one; and what is refused changes nothing."""
MOMENT = "of a machine that is struck the same at the same moment"
"""A machine is struck when all that arrives at that microsecond has arrived."""
REPLICA = "of an operator that has done so far exactly what another has"
"""Replicas run one program and differ by name only: what becomes of one becomes of the other, up to the order of ties."""
BEAT = "heartbeats like the one before"
"""The agent has written nothing else between the two."""
UNREAD = "events followed by no write of their receiver before the next of that object"
"""The next one tells all that this one does. (Not that it is of no use: what would have been done upon it comes later.)"""
DOUBLE = "doubled events of a process that writes the same when all of its events are"
"""Striking together they change no write of the whole run. What this does not exclude is that one hides what another did."""


class Place(NamedTuple):
    """A message of the run: the `nth` of `actor` with this verb (of a request) or type (of an event), kind and key."""

    actor: str
    verb: str
    kind: str
    key: str
    nth: int


class Planned(NamedTuple):
    """A `sort` of fault that strikes at `place`, the `nth` such message it counts, unless there is a reason `why_not`."""

    sort: str
    place: Place
    nth: int
    why_not: str
    call: int = 0
    """The request of the run upon which the message is sent, or that it is."""

    @property
    def fault(self) -> Fault:
        """Made when it is asked for: of thousands most are pruned."""
        place = self.place
        word = "type" if self.sort in AT_EVENTS else "verb"
        on = {"actor": place.actor, word: place.verb, "kind": place.kind, "key": place.key, "nth": self.nth}
        late = {"by": LATE} if self.sort in ("delay-request", "delay-event") else {}
        away = {"for": AWAY} if self.sort in ("crash", "freeze", "partition") else {}
        return Fault.model_validate({"fault": self.sort, "on": on, **late, **away})


Order = tuple[int, int]
"""(requests so far, messages so far)"""


class Travel(NamedTuple):
    """Microseconds a request of the run takes to the API server."""

    least: int
    most: int


def plans(
    rows: Sequence[Row], order: Mapping[Place, Order], travel: Travel, doubles: frozenset[str] = frozenset()
) -> list[Planned]:
    """In the order in which they strike. `rows`: the trace of the run without them, in which requests `travel` so long;
    `order`: of its messages; `doubles`: the processes that write the same when all of their events come twice."""
    alike = _replicas(rows)
    found = [*_at_writes(rows, alike), *_at_events(rows, _acting(rows, travel), alike, doubles)]
    never = NEVER, 0
    found.sort(key=lambda each: order.get(each.place, never))
    return [each._replace(call=order.get(each.place, never)[0]) for each in found]


def _at_writes(rows: Sequence[Row], alike: frozenset[int]) -> Iterator[Planned]:
    count: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    landed: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    beats, commits, deleted = _beats(rows), _commits(rows), _deleted(rows)
    moments: set[tuple[str, int]] = set()
    for at, row in enumerate(rows):
        if row["what"] not in WRITES or row["actor"] == "user":
            continue
        about = (row["actor"], row["what"], row["kind"], row.get("key") or "")
        count[about] += 1
        landed[about] += at in commits
        place = Place(*about, count[about])
        skipped = REPLICA if at in alike else BEAT if at in beats else ""
        again = row["outcome"] == "Conflict" or (row["outcome"] == "AlreadyExists" and about[3] not in deleted)
        for name in AT_WRITES:
            same = name == "lose-reply" or (name == "delay-request" and again)
            why_not = skipped or (REFUSED if same and at not in commits else "")
            yield Planned(name, place, place.nth, why_not)
        moment = (row["actor"], row["t"])
        for name in AT_COMMITS:
            why_not = NOTHING if at not in commits else skipped
            if not why_not and name != "error-after-commit" and moment in moments:
                why_not = MOMENT
            yield Planned(name, place, max(landed[about], 1), why_not)
        if at in commits and not skipped:
            moments.add(moment)


def _at_events(
    rows: Sequence[Row], acted: set[int], alike: frozenset[int], doubles: frozenset[str]
) -> Iterator[Planned]:
    count: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    for at, row in enumerate(rows):
        if row["what"] != "event":
            continue
        about = (row["actor"], row["detail"], row["kind"], row["key"])
        count[about] += 1
        place = Place(*about, count[about])
        skipped = REPLICA if at in alike else "" if at in acted else UNREAD
        for name in AT_EVENTS:
            why_not = skipped or (DOUBLE if name == "duplicate-event" and place.actor in doubles else "")
            yield Planned(name, place, place.nth, why_not)


def _commits(rows: Sequence[Row]) -> set[int]:
    """The writes that changed something: versions rise, and the answer to one that says nothing new has an old one."""
    found, newest = set(), 0
    for at, row in enumerate(rows):
        if row["what"] in WRITES and row["outcome"] == "ok":
            version = int(row.get("version") or newest + 1)
            if version > newest:
                found.add(at)
                newest = max(newest, version)
    return found


def _deleted(rows: Sequence[Row]) -> set[str]:
    return {row.get("key") or "" for row in rows if row["what"] == "delete"}


def _beats(rows: Sequence[Row]) -> set[int]:
    found: set[int] = set()
    last: dict[str, tuple[str, str, str]] = {}
    for at, row in enumerate(rows):
        if row["what"] in WRITES:
            said = (row["what"], row.get("key") or "", row.get("detail", ""))
            if row["kind"] == "FleetNode" and last.get(row["actor"]) == said:
                found.add(at)
            last[row["actor"]] = said
    return found


def _replicas(rows: Sequence[Row]) -> frozenset[int]:
    """What operators did and heard that another with a lower number did and heard too, at the same moments from the start."""
    histories: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for at, row in enumerate(rows):
        if row["actor"].startswith("operator-"):
            name = row["actor"]
            said = [str(row.get(field)) for field in ("t", "what", "kind", "key", "read", "outcome", "detail")]
            told = "\0".join(said).replace(name, "me").replace(name.partition("/")[0], "me")
            before = histories[name][-1][1] if histories[name] else 0
            histories[name].append((at, hash((before, told))))
    found = set()
    names = sorted(histories)
    for position, name in enumerate(names):
        for other in names[:position]:
            for (at, mine), (_, theirs) in zip(histories[name], histories[other], strict=False):
                if mine != theirs:
                    break
                found.add(at)
    return frozenset(found)


def _acting(rows: Sequence[Row], travel: Travel) -> set[int]:
    """The events after which their receiver sent a write before it heard of the same object again."""
    came: defaultdict[str, list[int]] = defaultdict(list)
    heard: defaultdict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    for at, row in enumerate(rows):
        if row["what"] == "event":
            heard[row["actor"], row["kind"], row["key"]].append((row["t"], at))
        elif row["what"] in WRITES:
            came[row["actor"]].append(row["t"])
        elif row["what"] == "execute":
            came[row["actor"]].append(row["t"] + travel.least)
    acted: set[int] = set()
    for (actor, _, _), events in heard.items():
        writes = sorted(came[actor])
        for (begins, at), (ends, _) in pairwise([*events, (NEVER, 0)]):
            first = bisect_left(writes, begins + travel.least)
            if first < len(writes) and writes[first] <= ends + travel.most:
                acted.add(at)
    return acted
