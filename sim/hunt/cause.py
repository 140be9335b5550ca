"""When a failing run became inevitable, and what made it so.

The run is branched at many moments: its messages take up to there what they took, from there on what fresh schedules choose,
and faults that have not struck yet may stay away. The share of branches that go wrong all the same rises to 1 on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from foreman.durations import show
from sim.checkers import Violation
from sim.fault import WRITES, fault_names
from sim.hunt.case import run_until_broken
from sim.hunt.schedules import FewValued, Resumed
from sim.hunt.trial import judged
from sim.scenario import Scenario
from sim.schedule import Drawn, Listed, Made, Recorded, Way
from sim.stream import Stream
from sim.trace import Row, Trace
from sim.world import World

BRANCHES = 40
CUTS = 24
"""Moments looked at before the steps between them are halved."""
CERTAIN = 1.0


class NotFailing(ValueError):
    """The run breaks nothing: there is no failure to explain."""


class Moment(NamedTuple):
    """After the first `messages` choices of the run, at virtual microsecond `at`: the share of branches that fails, and
    what came of the last of these choices, in words."""

    messages: int
    at: int
    share: float
    event: str


class Cause(NamedTuple):
    """`moments` in order; `inevitable`: the first from which all branches fail, or None if only the violation itself is
    that; `rise`: (moment before, moment after) of the largest rise between two neighbouring messages."""

    violation: Violation
    branches: int
    moments: tuple[Moment, ...]
    inevitable: Moment | None
    rise: tuple[Moment, Moment]


class _Failing:
    """The failing run: what it breaks, its choices, its trace; `struck`: (choices made, microsecond) when each fault first
    struck."""

    def __init__(self, scenario: Scenario) -> None:
        named = zip(scenario.faults, fault_names(scenario.faults), strict=True)
        # By name, a fault has the same luck when another is left out.
        faults = tuple(fault.model_copy(update={"name": name}) for fault, name in named)
        self.scenario = scenario.model_copy(update={"faults": faults})
        listed = scenario.schedule
        recorded = Recorded(Drawn(scenario.seed) if listed is None else Listed(listed))
        self.trace = Trace()
        world = World(self.scenario, schedule=recorded, trace=self.trace, digest=False)
        recorded.now = world.now
        self.struck: dict[str, tuple[int, int]] = {}
        note = world.faults.note

        def noting(host: str, what: str) -> None:
            note(host, what)
            for name, fired in world.faults.fired:
                if fired:
                    self.struck.setdefault(name, (len(recorded.made), world.now()))

        world.faults.note = noting
        broken = run_until_broken(world, _invariant(scenario))
        if broken is None:
            raise NotFailing(f"{scenario.name}: {_invariant(scenario)} is not violated any more: there is no failure")
        self.violation = broken
        self.made: Sequence[Made] = recorded.made

    def share(self, messages: int, branches: int) -> float:
        """Of the branches after so many messages, how many break the same invariant."""
        known = {(each.who, each.way, each.nth): each.takes for each in self.made[:messages]}
        return sum(self._fails(messages, known, number) for number in range(branches)) / branches

    def _fails(self, messages: int, known: Mapping[tuple[str, Way, int], int], number: int) -> bool:
        coin = Stream(number, "cause/faults")
        faults = tuple(
            each
            for each, stays in ((each, coin.chance(0.5)) for each in self.scenario.faults)
            if stays or self.struck.get(each.name, (len(self.made) + 1, 0))[0] <= messages
        )
        scenario = self.scenario.model_copy(update={"faults": faults})
        schedule = Resumed(known, FewValued(number))
        world = World(scenario, schedule=schedule, digest=False)
        return run_until_broken(world, self.violation.invariant) is not None

    def moment(self, messages: int, share: float) -> Moment:
        struck = [(name, at) for name, (made, at) in self.struck.items() if made == messages]
        if struck:
            # Between this choice and the next: from here on no branch is without these faults.
            return Moment(messages, struck[0][1], share, f"fault strikes: {', '.join(name for name, _ in struck)}")
        return Moment(messages, self.made[messages - 1].at if messages else 0, share, self.event(messages))

    def event(self, messages: int) -> str:
        """What the last of so many messages led to."""
        if not messages:
            return "the run begins"
        last = self.made[messages - 1]
        # A reply is drawn when the API server has answered; the others are in the trace when they arrive.
        due = last.at if last.way == "reply" else last.at + last.takes
        rows = [row for row in self.trace if row["t"] >= due]
        row = next((row for row in rows if row["t"] == due and _is_of(row, last)), next(iter(rows), None))
        return in_words(row) if row is not None else self._on_its_way(last)

    def _on_its_way(self, made: Made) -> str:
        """A message that comes too late for the run: of an event, what it would have told."""
        told = f"{made.who}: {made.way} {made.nth} is on its way, for {show(made.takes)}"
        wrote = (row for row in reversed(self.trace.rows) if row["t"] == made.at and row["what"] in WRITES)
        row = next(wrote, None) if made.way == "event" else None
        return told if row is None else f"{made.who} is not told for {show(made.takes)} of what {in_words(row)}"


def cause(scenario: Scenario, branches: int = BRANCHES, progress: Callable[[int], None] | None = None) -> Cause:
    """Branch the failing run of the scenario. `progress` is told how many moments are done. Raises NotFailing."""
    run = _Failing(scenario)
    shares: dict[int, float] = {}

    def share(messages: int) -> float:
        if messages not in shares:
            shares[messages] = run.share(messages, branches)
            if progress is not None:
                progress(len(shares))
        return shares[messages]

    last = len(run.made)
    for number in range(CUTS):
        share(last * number // (CUTS - 1))
    _halve(share, *_steepest(shares))
    while (edge := _edge(shares)) is not None and edge[1] - edge[0] > 1:
        share(sum(edge) // 2)
    moments = {messages: run.moment(messages, shares[messages]) for messages in sorted(shares)}
    edge = _edge(shares)
    surely = moments[edge[1]] if edge is not None else moments[0]
    before, after = _steepest({each: shares[each] for each in shares if each - 1 in shares or each + 1 in shares})
    inevitable = surely if surely.messages < last or last == 0 else None
    return Cause(run.violation, branches, tuple(moments.values()), inevitable, (moments[before], moments[after]))


def _halve(share: Callable[[int], float], low: int, high: int) -> None:
    """Look in between, where the share rises most, until it is one message that it rises by."""
    while high - low > 1:
        middle = (low + high) // 2
        if share(middle) - share(low) >= share(high) - share(middle):
            high = middle
        else:
            low = middle


def _steepest(shares: Mapping[int, float]) -> tuple[int, int]:
    """The neighbours between which the share rises most."""
    return max(pairwise(sorted(shares)), key=lambda two: shares[two[1]] - shares[two[0]], default=(0, 0))


def _edge(shares: Mapping[int, float]) -> tuple[int, int] | None:
    """The last moment from which a branch got away, and the next; None if none ever did."""
    return next((two for two in reversed([*pairwise(sorted(shares))]) if shares[two[0]] < CERTAIN), None)


def _invariant(scenario: Scenario) -> str:
    if scenario.recorded is not None:
        return scenario.recorded.violates
    broken = judged(World(scenario, digest=False).run())[1]
    if broken is None:
        raise NotFailing(f"{scenario.name}: its run breaks no invariant at seed {scenario.seed}: nothing to explain")
    return broken.invariant


def _is_of(row: Row, made: Made) -> bool:
    host = str(row["actor"]).partition("/")[0]
    return host == made.who and (row["what"] == "event") == (made.way == "event")


def in_words(row: Row) -> str:
    """'operator-1/1: patch_status AgenticTask default/task-0: ok, phase=Scheduled'."""
    what = "is told of" if row["what"] == "event" else row["what"]
    subject = " ".join(row[name] for name in ("kind", "key") if name in row)
    came = ", ".join(str(row[name]) for name in ("outcome", "detail") if name in row)
    return f"{row['actor']}: {what} {subject}".rstrip() + (f": {came}" if came else "")
