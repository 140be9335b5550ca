"""How many heartbeats have been left out by a moment, without one step for each: what the versions of the API server count."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable

from sim.apiserver import HISTORY, ApiServer


class Tally:
    """Trains of commits, each `interval` microseconds after the one before. With q(t) whole intervals and r(t) the rest,
    a train that begins at c has made q(t) - q(c) + [r(c) <= r(t)] commits by t."""

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.past = 0
        self._whole = 0
        self._rests: list[int] = []

    def begin(self, first: int) -> None:
        """A train whose first commit comes at `first`, less than an interval from now."""
        whole, rest = divmod(first, self.interval)
        self._whole += whole
        insort(self._rests, rest)

    def end(self, first: int, commits: int) -> None:
        """The train that began at `first` has ended with so many."""
        whole, rest = divmod(first, self.interval)
        self._whole -= whole
        del self._rests[bisect_left(self._rests, rest)]
        self.past += commits

    def by(self, now: int) -> int:
        """Commits of all trains so far."""
        whole, rest = divmod(now, self.interval)
        return self.past + len(self._rests) * whole - self._whole + bisect_right(self._rests, rest)


class CountingServer(ApiServer):
    """An API server whose versions count the commits left out (`elided()` so far) as well, so that it forgets its history when
    the server of an exact run would."""

    def __init__(self, wall: Callable[[], int], history: int = HISTORY) -> None:
        self.elided: Callable[[], int] = lambda: 0
        self._written = self._forgotten = 0
        super().__init__(wall, history)

    @property
    def version(self) -> int:
        return self._written + self.elided()

    @version.setter
    def version(self, version: int) -> None:
        self._written = version - self.elided()

    @property
    def compacted(self) -> int:
        return max(self._forgotten, self.version - self.history)

    @compacted.setter
    def compacted(self, version: int) -> None:
        self._forgotten = version
