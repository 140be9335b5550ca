"""Which spans tasks waited, and which they held a slot, as commits tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from foreman.api import AgenticTask, Phase
from sim.selection import Change
from sim.stats import HELD

Span = tuple[int, int]
"""(since, until) in microseconds."""


class Holding:
    """Observes commits. Times in microseconds. `claimed`: since when each task holds a slot that holds one."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.claimed: dict[str, int] = {}
        self._waiting: dict[str, int] = {}

    def committed(self, change: Change) -> None:
        if change.kind != "AgenticTask":
            return
        key, old, new = change.key, change.old, change.new
        if old is None:
            self._waiting[key] = now = self.now()
            self.made(now)
            return
        was, phase = old.status.phase, None if new is None else new.status.phase
        if was is phase:
            return
        if phase is Phase.RUNNING:
            self.claimed[key] = self.now()
            if (since := self._waiting.pop(key, None)) is not None:
                self.begun(old, since, self.now())
        elif was in HELD and phase not in HELD:
            self.ended(old, self.claimed.pop(key), self.now())

    def made(self, now: int) -> None:
        """A task has been created."""

    def begun(self, task: AgenticTask, since: int, until: int) -> None:
        """It has been claimed for the first time, and has waited so long."""

    def ended(self, task: AgenticTask, since: int, until: int) -> None:
        """It has held a slot, and holds it no more."""


def within(spans: Iterable[Span], begin: int, end: int) -> int:
    """Microseconds of `spans` between two moments."""
    return sum(max(0, min(until, end) - max(since, begin)) for since, until in spans)
