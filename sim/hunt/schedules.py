"""The schedules of a hunt: what is quick and what is late, decided so that few runs see many orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, count

from sim.draw import Distribution, Sampler
from sim.schedule import TIE, Chosen, Way, menu
from sim.stream import Stream

BLOCK = 32
_QUICK, _EVEN, _SLOW = (12, 1), (1, 1), (1, 3)
"""How a way is tempered: weights of its quickest delay and of the others."""
TEMPERS = (_QUICK, _EVEN, _EVEN, _SLOW)
RANKS = 3
"""Priorities that hosts begin with, each of them one host before another takes it too."""
FALLS = 3
"""Lower priorities, one for each change. What falls twice as far must wait for whole exchanges of what falls once."""
SLOWEST = 8_000_000
"""Microseconds a message takes at the lowest: below a request's timeout."""
SPREAD = 8
"""A host of the next lower priority is at most so many times as slow."""


class FewValued(Chosen):
    """Each way of each host draws from few delays, mostly the quick, evenly, or mostly the slow ones; half of all messages
    let others of the same moment go first. What happens once is drawn evenly."""

    def __init__(self, seed: int) -> None:
        self._bits = Stream(seed, "schedule").bits

    def delays(self, who: str, way: Way, usual: Distribution) -> Sampler:
        return chain.from_iterable(self._blocks(_table(menu(usual), TEMPERS[self._bits(2)]))).__next__

    def once(self, who: str, way: Way, usual: Distribution, drawn: int) -> int:
        return _table(menu(usual), _EVEN)[self._bits(8)]

    def _blocks(self, table: list[int]) -> Iterator[Iterator[int]]:
        # A block at a time: no line of Python for each draw.
        bits, look_up = self._bits, table.__getitem__
        while True:
            yield map(look_up, bits(8 * BLOCK).to_bytes(BLOCK, "little"))


@cache
def _table(delays: tuple[int, ...], temper: tuple[int, int]) -> list[int]:
    """What each of 256 equally likely bytes stands for."""
    quick, *others = delays
    few, many = temper
    table = [us + tie for us in [quick] * (few * len(others)) + others * many for tie in (0, TIE)]
    return [table[n * len(table) >> 8] for n in range(256)]


class Swerving(Chosen):
    """Everything as quick as can be, but the n-th choice of the run takes its `swerves[n]`-th slower value: 0 is a tie lost.

    `drawn`: choices so far.
    """

    def __init__(self, swerves: Mapping[int, int]) -> None:
        self.swerves = swerves
        self.drawn = 0

    def delays(self, who: str, way: Way, usual: Distribution) -> Sampler:
        quick, *others = menu(usual)
        slower = [quick + TIE, *others]

        def draw() -> int:
            self.drawn += 1
            choice = self.swerves.get(self.drawn)
            return quick if choice is None else slower[min(choice, len(slower) - 1)]

        return draw


class Prioritised(Chosen):
    """Probabilistic concurrency testing (Burckhardt et al.), by delays: each host has a priority and is the slower the lower;
    at the i-th of `changes` (a choice of the run) whoever sends next falls to the i-th priority below all others. What happens
    once is drawn evenly."""

    def __init__(self, seed: int, changes: Sequence[int]) -> None:
        self._stream = Stream(seed, "priorities")
        self._changes = {message: RANKS + fall for fall, message in enumerate(changes)}
        self._rank: dict[str, int] = {}
        self._free: list[int] = []
        self.drawn = 0

    def delays(self, who: str, way: Way, usual: Distribution) -> Sampler:
        ranks, falls = self._rank, self._changes
        if who not in ranks:
            self._free = self._free or list(range(RANKS))
            ranks[who] = self._free.pop(self._stream.below(len(self._free)))
        by_rank = _slower(menu(usual)[0])

        def draw() -> int:
            self.drawn += 1
            if self.drawn in falls:
                ranks[who] = falls[self.drawn]
            return by_rank[ranks[who]]

        return draw

    def once(self, who: str, way: Way, usual: Distribution, drawn: int) -> int:
        return self._stream.pick(menu(usual))


@cache
def _slower(quick: int) -> list[int]:
    """How long a message takes at each priority; the first is at least a tie long, so that there is something to multiply."""
    quick = max(quick, 1)
    lowest = RANKS + FALLS - 1
    spread = next((each for each in range(SPREAD, 1, -1) if quick * each**lowest <= SLOWEST), 2)
    return [quick * spread**rank for rank in range(lowest + 1)]


class Resumed(Chosen):
    """The known choices of a run, others where none is known."""

    def __init__(self, known: Mapping[tuple[str, Way, int], int], then: FewValued) -> None:
        self.known = known
        self.then = then

    def delays(self, who: str, way: Way, usual: Distribution) -> Sampler:
        known, fresh = self.known, self.then.delays(who, way, usual)

        def draws() -> Iterator[int]:
            for nth in count(1):
                takes = known.get((who, way, nth))
                yield fresh() if takes is None else takes

        return draws().__next__
