"""A schedule says how long everything takes that a scenario leaves to chance, made a choice: messages, boots, arrivals, work.

Hosts meet only at the API server, so the order in which things happen to them is the order in which messages arrive. One more
microsecond puts a message behind the others of the same moment: ties are choices of the same kind.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import count
from typing import Annotated, Literal, NamedTuple, Protocol

from pydantic import model_validator

from foreman.durations import show
from sim.draw import Choices, Distribution, Sampler, distribution
from sim.kinds import Strict, Whole, refusal
from sim.once import once
from sim.stream import Stream
from sim.units import Duration

Way = Literal["request", "reply", "event", "decision", "boot", "arrival", "work"]
"""Messages between a host and the API server, and decisions of an operator that takes time to decide, many of each; then what
happens once: until a host boots, until a task arrives after the one before, and how long an execution of a task takes."""
OF_TASKS = ("arrival", "work")
ONCE = ("boot", *OF_TASKS)
TIE = 1
"""Microseconds that let what is due at the same moment go first."""
LONGER = 9
"""A message that always takes as long may take so many times as long."""
MILLISECOND = 1_000
_DEFAULT = "default/"
_STREAMS = {"request": "up", "reply": "down", "event": "watch", "decision": "decision"}
_SAMPLE = 65


BOOT = distribution({"choices": ["0s", "9ms", "6s"]})
"""When a host may boot: with the others, one exchange after them, or when they are settled."""


class Schedule(Protocol):
    """Who decides, in microseconds. `who`: a host, or a task by key; `usual`: what the scenario says of such a thing."""

    def delays(self, who: str, way: Way, usual: Distribution) -> Sampler:
        """Of all messages of this way."""

    def once(self, who: str, way: Way, usual: Distribution, drawn: int) -> int:
        """Of what happens once; `drawn` is what chance would have, by the seed."""


class Late(Strict):
    """What is not as quick as can be: the `nth` message of its way between a host and the API server, the `nth` decision of an
    operator, a host's boot, the arrival of a task, or its work `takes` so long. A task of another namespace than `default` is
    written `namespace/name`."""

    host: str = ""
    task: str = ""
    way: Way
    nth: Annotated[int, Whole(1, 10**9)] = 1
    takes: Duration

    @model_validator(mode="after")
    def _of_its_kind(self) -> Late:
        owner, other = ("task", "host") if self.way in OF_TASKS else ("host", "task")
        if not getattr(self, owner) or getattr(self, other):
            raise refusal(f"way {self.way} is of a {owner}: expected {owner!r}, and no {other!r}")
        if self.way in ONCE and self.nth != 1:
            raise refusal(f"way {self.way} happens once: expected no 'nth', not {self.nth}")
        return self

    @property
    def who(self) -> str:
        if self.way not in OF_TASKS:
            return self.host
        return self.task if "/" in self.task else _DEFAULT + self.task

    def __str__(self) -> str:
        which = self.way if self.way in ONCE else f"{self.way} {self.nth}"
        return f"{self.host or self.task}: {which} takes {show(self.takes)}"


class Drawn:
    """Everything by chance, as its distribution has it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def delays(self, who: str, way: Way, usual: Distribution) -> Sampler:
        return usual.ahead(Stream(self.seed, f"net/{who}/{_STREAMS[way]}"))

    def once(self, who: str, way: Way, usual: Distribution, drawn: int) -> int:
        return drawn


class Chosen:
    """A schedule that leaves nothing to chance: what happens once is the first and only one of its way."""

    @abstractmethod
    def delays(self, who: str, way: Way, usual: Distribution) -> Sampler: ...

    def once(self, who: str, way: Way, usual: Distribution, drawn: int) -> int:
        return self.delays(who, way, usual)()


class Listed(Chosen):
    """Everything as quick as can be, except what is listed."""

    def __init__(self, late: Iterable[Late]) -> None:
        self.late = {(each.who, each.way, each.nth): each.takes for each in late}

    def delays(self, who: str, way: Way, usual: Distribution) -> Sampler:
        quick, late = menu(usual)[0], self.late
        return (late.get((who, way, nth), quick) for nth in count(1)).__next__


class Made(NamedTuple):
    """One choice that was made, at `at` microseconds; `menu`: what it could take, the quickest first."""

    at: int
    who: str
    way: Way
    nth: int
    takes: int
    menu: tuple[int, ...]

    def late(self) -> Late:
        owner = "task" if self.way in OF_TASKS else "host"
        who = self.who.removeprefix(_DEFAULT) if owner == "task" else self.who
        return Late.model_validate({owner: who, "way": self.way, "nth": self.nth, "takes": f"{self.takes}us"})


class Recorded:
    """Notes what another schedule chooses, in the order of choosing. The World sets `now`."""

    def __init__(self, inner: Schedule) -> None:
        self.inner = inner
        self.made: list[Made] = []
        self.now: Callable[[], int] = lambda: 0

    def delays(self, who: str, way: Way, usual: Distribution) -> Sampler:
        return self._noting(who, way, menu(usual), self.inner.delays(who, way, usual)).__next__

    def once(self, who: str, way: Way, usual: Distribution, drawn: int) -> int:
        takes = self.inner.once(who, way, usual, drawn)
        self.made.append(Made(self.now(), who, way, 1, takes, menu(usual)))
        return takes

    def _noting(self, who: str, way: Way, choices: tuple[int, ...], draw: Sampler) -> Iterator[int]:
        for nth in count(1):
            takes = draw()
            self.made.append(Made(self.now(), who, way, nth, takes, choices))
            yield takes

    @property
    def late(self) -> list[Made]:
        """The choices that are not the quickest."""
        return [each for each in self.made if each.takes != each.menu[0]]


@cache
def _quantiles(usual: Distribution) -> list[int]:
    draw = usual.sampler(Stream(0, "menu"))
    drawn = sorted(draw() for _ in range(_SAMPLE))
    return sorted({drawn[0], drawn[_SAMPLE // 2], drawn[-1]})


@once
def menu(usual: Distribution) -> tuple[int, ...]:
    """The few delays that stand for a distribution, quickest first, at least two: whole exchanges overtake each other by them,
    which a small spread never does."""
    if isinstance(usual, Choices):
        found = sorted({us for us, weight in usual.choices if weight})
    else:
        found = _quantiles(usual)
    return tuple(found) if len(found) > 1 else (found[0], LONGER * (found[0] or MILLISECOND))
