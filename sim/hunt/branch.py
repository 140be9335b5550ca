"""A failing run, and its branches: its messages take what they took up to a moment, what a fresh schedule chooses after it.

A fault that has not struck by then may stay away. Branches run in this process or in several; each has its number, and how
many there are of them is all that their processes decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from foreman.durations import show
from sim.collector import sweep, uncollected
from sim.crew import crew
from sim.fault import WRITES, fault_names
from sim.hunt.case import run_until_broken
from sim.hunt.schedules import FewValued, Resumed
from sim.hunt.trial import judged
from sim.scenario import Scenario
from sim.schedule import Drawn, Listed, Made, Recorded
from sim.stream import Stream
from sim.trace import Row, Trace
from sim.world import World

Count = Callable[[int, range], int]
"""Of the branches with these numbers after so many messages, how many fail."""


class NotFailing(ValueError):
    """The run breaks nothing: there is no failure to explain."""


class Trunk(NamedTuple):
    """What a branch needs of the failing run: `made`, its choices in order; `struck`: how many of them had been made when each
    fault first struck."""

    scenario: Scenario
    invariant: str
    made: Sequence[Made]
    struck: Mapping[str, int]

    def failing(self, messages: int, numbers: range) -> int:
        """Of these branches after so many messages, how many break the same invariant."""
        known = {(each.who, each.way, each.nth): each.takes for each in self.made[:messages]}
        fails = 0
        with uncollected():
            for number in numbers:
                fails += self._fails(messages, Resumed(known, FewValued(number)), number)
                sweep()
        return fails

    def _fails(self, messages: int, schedule: Resumed, number: int) -> bool:
        coin = Stream(number, "cause/faults")
        never = len(self.made) + 1
        faults = tuple(
            each
            for each, stays in ((each, coin.chance(0.5)) for each in self.scenario.faults)
            if stays or self.struck.get(each.name, never) <= messages
        )
        world = World(self.scenario.model_copy(update={"faults": faults}), schedule=schedule, digest=False)
        return run_until_broken(world, self.invariant) is not None


class Failing:
    """The failing run: `violation`, its choices (`made`), its trace; `struck`: (choices made, microsecond) when each fault
    first struck. Raises NotFailing."""

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

    @property
    def trunk(self) -> Trunk:
        struck = {name: messages for name, (messages, _) in self.struck.items()}
        return Trunk(self.scenario, self.violation.invariant, self.made, struck)

    def after(self, messages: int) -> tuple[int, str]:
        """When the last of so many choices was made, and what came of it, in words."""
        struck = [(name, at) for name, (made, at) in self.struck.items() if made == messages]
        if struck:
            # Between this choice and the next: from here on no branch is without these faults.
            return struck[0][1], f"fault strikes: {', '.join(name for name, _ in struck)}"
        return (self.made[messages - 1].at if messages else 0), self.event(messages)

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


@contextmanager
def counting(trunk: Trunk, jobs: int) -> Iterator[Count]:
    """Count failing branches in so many processes. ^C ends them."""
    if jobs == 1:
        yield trunk.failing
        return
    with crew(jobs, _adopt, trunk) as pool:

        def count(messages: int, numbers: range) -> int:
            shares = [numbers[job::jobs] for job in range(jobs)]
            return sum(pool.map(_failing, [messages] * jobs, shares))

        yield count


_trunk: list[Trunk] = []


def _adopt(trunk: Trunk) -> None:
    _trunk[:] = [trunk]


def _failing(messages: int, numbers: range) -> int:
    return _trunk[0].failing(messages, numbers)


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
