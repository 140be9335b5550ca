"""When a failing run became inevitable, and what made it so.

The run is branched at moments: the share of branches that go wrong all the same rises to 1 on the way. A few moments all along
come first; then the search halves its way to the message by which the share rises most, and to the last from which a branch
gets away. What is inevitable stays so, but a share is known only as well as branches are many: the moment found is tried with
more of them, and with each moment goes the interval in which its probability lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from sim.checkers import Violation
from sim.hunt.branch import Count, Failing, NotFailing, counting
from sim.scenario import Scenario

__all__ = ["Cause", "Moment", "NotFailing", "cause", "wilson"]

BRANCHES = 40
CUTS = 8
"""Moments looked at before the steps between them are halved."""
SURER = 4
"""So many times the branches at the moment found."""
Z95 = 1.959963984540054
Progress = Callable[["Search"], None]


class Moment(NamedTuple):
    """After the first `messages` choices of the run, at virtual microsecond `at`: how many of the `branches` fail, and what
    came of the last of these choices, in words."""

    messages: int
    at: int
    fails: int
    branches: int
    event: str

    @property
    def share(self) -> float:
        return self.fails / self.branches

    @property
    def interval(self) -> tuple[float, float]:
        """In which the probability to fail lies, with 95 %."""
        return wilson(self.fails, self.branches)


class Cause(NamedTuple):
    """`moments` in order; `inevitable`: the first from which all branches fail, or None if only the violation itself is
    that; `rise`: (moment before, moment after) of the largest rise seen, between two neighbouring messages unless the
    search was `interrupted`."""

    violation: Violation
    moments: tuple[Moment, ...]
    inevitable: Moment | None
    rise: tuple[Moment, Moment]
    interrupted: bool


class Search:
    """`counts`: (failing, all) branches after so many messages; `least`: moments that it will have looked at in the end."""

    def __init__(self, run: Failing, count: Count, branches: int, progress: Progress | None = None) -> None:
        self.run = run
        self.last = len(run.made)
        self.branches = branches
        self.counts: dict[int, tuple[int, int]] = {}
        self.least = CUTS + 2 * max(self.last // CUTS, 1).bit_length()
        self._count = count
        self._progress = progress

    def look(self) -> bool:
        """Look at all moments there are to be looked at; False if ^C came first."""
        try:
            for number in range(CUTS):
                self.share(self.last * number // (CUTS - 1))
            self._to_the_edge()
            _halve(self.share, *_steepest(self.shares))
        except KeyboardInterrupt:
            return False
        return True

    @property
    def shares(self) -> Mapping[int, float]:
        return {messages: fails / count for messages, (fails, count) in self.counts.items()}

    @property
    def ran(self) -> int:
        return sum(count for _, count in self.counts.values())

    def share(self, messages: int, branches: int = 0) -> float:
        """Of at least so many branches after so many messages, the share that fails."""
        fails, done = self.counts.get(messages, (0, 0))
        missing = range(done, branches or self.branches)
        if missing:
            self.counts[messages] = fails + self._count(messages, missing), missing.stop
            if self._progress is not None:
                self._progress(self)
        return self.shares[messages]

    def edge(self) -> tuple[int, int] | None:
        """The last moment from which a branch got away, and the next looked at; None if none ever did."""
        shares = self.shares
        return next((two for two in reversed([*pairwise(sorted(shares))]) if shares[two[0]] < 1), None)

    def _to_the_edge(self) -> None:
        while (edge := self.edge()) is not None:
            low, high = edge
            if high - low > 1:
                self.share((low + high) // 2)
            elif high == self.last or self.share(high, SURER * self.branches) == 1:
                return


def cause(scenario: Scenario, branches: int = BRANCHES, jobs: int = 1, progress: Progress | None = None) -> Cause:
    """Branch the failing run of the scenario in so many processes; the result is the same however many there are.

    ^C leaves what is known so far. `progress` is told after each moment. Raises NotFailing.
    """
    run = Failing(scenario)
    with counting(run.trunk, jobs) as count:
        search = Search(run, count, branches, progress)
        whole = search.look()
    if not search.counts:
        raise KeyboardInterrupt
    moments = {messages: _moment(search, messages) for messages in sorted(search.counts)}
    before, after = _rise(search.shares, 1 if whole else search.last)
    return Cause(
        run.violation,
        tuple(moments.values()),
        _inevitable(search, moments),
        (moments[before], moments[after]),
        not whole,
    )


def wilson(fails: int, branches: int) -> tuple[float, float]:
    """The interval in which a probability lies with 95 % that made `fails` of `branches` fail (Wilson's score)."""
    share, spread = fails / branches, Z95 * Z95 / branches
    middle = share + spread / 2
    half = sqrt(spread * (share * (1 - share) + spread / 4))
    low = (middle - half) / (1 + spread) if fails else 0.0
    return low, (middle + half) / (1 + spread) if fails < branches else 1.0


def _moment(search: Search, messages: int) -> Moment:
    at, event = search.run.after(messages)
    return Moment(messages, at, *search.counts[messages], event)


def _inevitable(search: Search, moments: Mapping[int, Moment]) -> Moment | None:
    edge = search.edge()
    surely = moments[edge[1] if edge is not None else min(moments)]
    return surely if surely.share == 1 and (surely.messages < search.last or search.last == 0) else None


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
    return _rise(shares, max(shares))


def _rise(shares: Mapping[int, float], apart: int) -> tuple[int, int]:
    """The same of neighbours that are at most so many messages apart."""
    first = min(shares)
    close = (two for two in pairwise(sorted(shares)) if two[1] - two[0] <= apart)
    return max(close, key=lambda two: shares[two[1]] - shares[two[0]], default=(first, first))
