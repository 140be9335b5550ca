"""The schedules of a hunt: who is quick and who is late, decided so that few runs see many orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, count

from sim.draw import Distribution, Sampler
from sim.schedule import TIE, Way, menu
from sim.stream import Stream

BLOCK = 32
_QUICK, _EVEN, _SLOW = (12, 1), (1, 1), (1, 3)
"""How a way is tempered: weights of its quickest delay and of the others."""
TEMPERS = (_QUICK, _EVEN, _EVEN, _SLOW)
SPREAD = 8
"""A host of the next lower priority is so many times as slow."""
RANKS = 4
"""Priorities that differ by their delays; more hosts share the lowest. The slowest message stays below a request's timeout."""


class FewValued:
    """Each way of each host draws from few delays, mostly the quick, evenly, or mostly the slow ones; half of all messages
    let others of the same moment go first."""

    def __init__(self, seed: int) -> None:
        self._bits = Stream(seed, "schedule").bits

    def delays(self, host: str, way: Way, usual: Distribution) -> Sampler:
        return chain.from_iterable(self._blocks(_table(menu(usual), TEMPERS[self._bits(2)]))).__next__

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


class Swerving:
    """Every message as quick as can be, but the n-th of the run takes its `swerves[n]`-th slower choice: 0 is a tie lost.

    `drawn`: messages so far.
    """

    def __init__(self, swerves: Mapping[int, int]) -> None:
        self.swerves = swerves
        self.drawn = 0

    def delays(self, host: str, way: Way, usual: Distribution) -> Sampler:
        quick, *others = menu(usual)
        slower = [quick + TIE, *others]

        def draw() -> int:
            self.drawn += 1
            choice = self.swerves.get(self.drawn)
            return quick if choice is None else slower[min(choice, len(slower) - 1)]

        return draw


class Prioritised:
    """Probabilistic concurrency testing (Burckhardt et al.), by delays: each host has a priority and is the slower the lower;
    at `changes` (message numbers of the run) whoever sends next falls to the lowest."""

    def __init__(self, seed: int, changes: Sequence[int]) -> None:
        self._stream = Stream(seed, "priorities")
        self._changes = frozenset(changes)
        self._rank: dict[str, int] = {}
        self.drawn = 0

    def delays(self, host: str, way: Way, usual: Distribution) -> Sampler:
        ranks, changes = self._rank, self._changes
        if host not in ranks:
            ranks[host] = self._stream.below(RANKS)
        usually = menu(usual)[0] or 1

        def draw() -> int:
            self.drawn += 1
            if self.drawn in changes:
                ranks[host] = RANKS - 1
            return int(usually * SPREAD ** ranks[host])

        return draw


class Resumed:
    """The recorded choices of a run up to its `moment`-th message, others after it."""

    def __init__(self, takes: Mapping[tuple[str, Way, int], int], then: FewValued) -> None:
        self.takes = takes
        self.then = then

    def delays(self, host: str, way: Way, usual: Distribution) -> Sampler:
        takes, fresh = self.takes, self.then.delays(host, way, usual)

        def draws() -> Iterator[int]:
            for nth in count(1):
                known = takes.get((host, way, nth))
                yield fresh() if known is None else known

        return draws().__next__
