"""A queue of keys with the semantics of client-go's work queue.

A key waits at most once however often it is added; a key in work that is added again is handed out again after `done`,
never to two workers at a time; delayed adds keep the earliest due time; failures back off exponentially per key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from foreman.runtime import Runtime

BACKOFF_FIRST = 0.005
BACKOFF_MAX = 1000.0


class WorkQueue:
    """Keys to work on, first come first served. Calls `on_ready()` whenever one more can be taken."""

    def __init__(self, runtime: Runtime, on_ready: Callable[[], None]) -> None:
        self.runtime = runtime
        self.on_ready = on_ready
        self._ready: deque[str] = deque()
        self._dirty: set[str] = set()
        self._busy: set[str] = set()
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: str) -> None:
        """Hand out `key` as soon as a worker is free."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._busy:
            self._ready.append(key)
            self.on_ready()

    def add_after(self, key: str, seconds: float) -> None:
        """Add `key` in `seconds`; of several pending delays for one key the shortest counts."""
        due = self.runtime.now() + seconds
        if due >= self._due.get(key, float("inf")):
            return
        self._due[key] = due
        self.runtime.call_later(seconds, lambda: self._fall_due(key, due))

    def add_backing_off(self, key: str) -> None:
        """Add `key` after 5 ms, 10 ms, 20 ms ... 1000 s, one step more for each failure in a row."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, min(BACKOFF_FIRST * 2 ** min(failures, 30), BACKOFF_MAX))

    def succeeded(self, key: str) -> None:
        """Forget the failures of `key`."""
        if self._failures:
            self._failures.pop(key, None)

    def take(self) -> str | None:
        """The next key, marked as being worked on until `done`; None if there is none."""
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: str) -> None:
        """The work on `key` has ended; if it was added meanwhile it can be taken again.

        `on_ready` is not called for that: who has done with one key comes for the next anyway.
        """
        self._busy.discard(key)
        if key in self._dirty:
            self._ready.append(key)

    def close(self) -> None:
        """Hand out nothing any more, whatever is added."""
        self._ready = deque(maxlen=0)

    def _fall_due(self, key: str, due: float) -> None:
        if self._due.get(key) == due:
            del self._due[key]
            self.add(key)
