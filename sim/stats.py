"""What a run measured, from the committed writes alone: waits, makespan, utilisation, counts."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from foreman.api import ANNOTATION_AUDITED, IN_FLIGHT, TERMINAL, AgenticTask, Phase
from sim.selection import Change

_SCHEDULED, _RUNNING = Phase.SCHEDULED, Phase.RUNNING
HELD = (Phase.RUNNING, Phase.VERIFYING)


class Stats:
    """Observes commits. Times in microseconds. `audit`: whether a task is only done with once its record is kept;
    `role_of(actor)`: what an actor writes as."""

    def __init__(self, now: Callable[[], int], audit: bool, role_of: Callable[[str], str]) -> None:
        self.now = now
        self.audit = audit
        self.role_of = role_of
        self.created = 0
        self.deleted = 0
        self.settled = 0
        self.attempts = 0
        self.landed = 0
        self.writes = 0
        self._moves: defaultdict[tuple[Phase | None, Phase | None], int] = defaultdict(int)
        self.verdicts: defaultdict[str, int] = defaultdict(int)
        self.waits = array("q")
        self.busy = 0
        self.first_created: int | None = None
        self.last_ended = 0
        self.on_settled: Callable[[AgenticTask], None] = lambda task: None
        self._waiting: dict[str, int] = {}
        self._claimed: dict[str, int] = {}

    def committed(self, change: Change) -> None:
        self.writes += 1
        _, _, actor, kind, key, old, new, _ = change
        if kind != "AgenticTask":
            return
        if old is None:
            self._created(key)
            return
        if new is None:
            self._deleted(key, old)
            return
        before, after = old.status, new.status
        if before is not after:
            if before.phase is not after.phase:
                self._moved(key, before, after, actor)
                if not self.audit and after.phase in TERMINAL:
                    self._settle(new)
        elif self.audit and after.phase in TERMINAL and not _audited(old) and _audited(new):
            self._settle(new)

    def _created(self, key: str) -> None:
        self.created += 1
        now = self.now()
        self._waiting[key] = now
        if self.first_created is None:
            self.first_created = now

    def _moved(self, key: str, before: Any, after: Any, actor: str) -> None:
        move = was, phase = before.phase, after.phase
        self._moves[move] += 1
        now = self.now()
        if was in HELD and phase not in HELD:
            self.busy += now - self._claimed.pop(key, now)
        if phase is _SCHEDULED:
            self.attempts += 1
        elif phase is _RUNNING:
            self._claimed[key] = now
            since = self._waiting.pop(key, None)
            if since is not None:
                self.waits.append(now - since)
        elif phase in TERMINAL:
            self.verdicts[after.verdict or ""] += 1
            self.landed += self.role_of(actor) == "agent"
            self.last_ended = now
            self._waiting.pop(key, None)

    def _deleted(self, key: str, old: AgenticTask) -> None:
        phase = old.status.phase
        if phase in TERMINAL:
            if self.audit and not _audited(old):
                self._settle(old)  # Nobody will record it any more.
            return
        self.deleted += 1
        self._moves[phase, None] += 1
        self._waiting.pop(key, None)
        if phase in IN_FLIGHT:
            now = self.now()
            self.busy += now - self._claimed.pop(key, now)
        self.on_settled(old)

    def _settle(self, task: AgenticTask) -> None:
        self.settled += 1
        self.on_settled(task)

    @property
    def phases(self) -> Counter[str]:
        """How many tasks stand where, the finished ones that are gone included; '' is no phase."""
        phases: Counter[str] = Counter({"": self.created})
        for (was, phase), count in self._moves.items():
            phases[was or ""] -= count
            phases[phase or ""] += count
        phases[""] -= self.deleted
        return phases

    def wait_percentiles(self) -> dict[str, float]:
        """Seconds from creation to the first claim: median, 95th percentile (nearest rank), maximum."""
        waits = sorted(self.waits)
        if not waits:
            return {"p50": 0.0, "p95": 0.0, "max": 0.0}
        return {"p50": nearest_rank(waits, 50) / 1e6, "p95": nearest_rank(waits, 95) / 1e6, "max": waits[-1] / 1e6}

    def makespan(self) -> int:
        """From the first creation to the last end, 0 when nothing has ended."""
        return max(self.last_ended - (self.first_created or 0), 0) if self.last_ended else 0

    def busy_until(self, now: int) -> int:
        """Slot-microseconds spent Running, unfinished claims included."""
        return self.busy + sum(now - since for since in self._claimed.values())


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """The percentile of sorted values, at least one, that is one of them."""
    return ordered[(len(ordered) * percent + 99) // 100 - 1]


def _audited(task: AgenticTask) -> bool:
    return task.metadata.annotations.get(ANNOTATION_AUDITED) == "true"
