"""A schedule says how long each message takes: all that the network leaves to chance, made a choice.

Hosts meet only at the API server, so the order in which things happen to them is the order in which messages arrive. One more
microsecond puts a message behind the others of the same moment: ties are choices of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import count
from typing import Annotated, Literal, NamedTuple, Protocol

from sim.draw import Choices, Distribution, Sampler
from sim.kinds import Strict, Whole
from sim.once import once
from sim.stream import Stream
from sim.units import Duration

Way = Literal["request", "reply", "event"]
TIE = 1
"""Microseconds that let what is due at the same moment go first."""
LONGER = 9
"""A message that always takes as long may take so many times as long."""
MILLISECOND = 1_000
_STREAMS = {"request": "up", "reply": "down", "event": "watch"}
_SAMPLE = 65


class Schedule(Protocol):
    """Who decides. `usual` is what the scenario says of such a message; the sampler gives microseconds."""

    def delays(self, host: str, way: Way, usual: Distribution) -> Sampler: ...


class Late(Strict):
    """A message that is not as quick as can be: the `nth` of its way between a host and the API server `takes` so long."""

    host: str
    way: Way
    nth: Annotated[int, Whole(1, 10**9)]
    takes: Duration


class Drawn:
    """Every delay as its distribution has it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def delays(self, host: str, way: Way, usual: Distribution) -> Sampler:
        return usual.ahead(Stream(self.seed, f"net/{host}/{_STREAMS[way]}"))


class Listed:
    """Every message as quick as can be, except those listed."""

    def __init__(self, late: Iterable[Late]) -> None:
        self.late = {(each.host, each.way, each.nth): each.takes for each in late}

    def delays(self, host: str, way: Way, usual: Distribution) -> Sampler:
        quick, late = menu(usual)[0], self.late
        return (late.get((host, way, nth), quick) for nth in count(1)).__next__


class Made(NamedTuple):
    """One choice that was made: the `nth` message of this way, at `at` microseconds; `quick` is what it takes at least."""

    at: int
    host: str
    way: Way
    nth: int
    takes: int
    quick: int

    def late(self) -> Late:
        return Late(host=self.host, way=self.way, nth=self.nth, takes=f"{self.takes}us")  # type: ignore[arg-type]


class Recorded:
    """Notes what another schedule chooses, in the order of choosing. The World sets `now`."""

    def __init__(self, inner: Schedule) -> None:
        self.inner = inner
        self.made: list[Made] = []
        self.now: Callable[[], int] = lambda: 0

    def delays(self, host: str, way: Way, usual: Distribution) -> Sampler:
        return self._noting(host, way, menu(usual)[0], self.inner.delays(host, way, usual)).__next__

    def _noting(self, host: str, way: Way, quick: int, draw: Sampler) -> Iterator[int]:
        for nth in count(1):
            takes = draw()
            self.made.append(Made(self.now(), host, way, nth, takes, quick))
            yield takes

    @property
    def late(self) -> list[Made]:
        """The choices that are not the quickest."""
        return [each for each in self.made if each.takes != each.quick]


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
