"""Tasks that rest before they are placed again: the backoff of a retry, and a damper on tasks that keep coming back unfinished.

Measured on this operator's own clock. `status.retryAfter` was written by an agent, whose clock may be hours ahead:
it is believed only as far as the task's own backoff goes.
"""

from __future__ import annotations

from foreman.api import AgenticTask, Phase
from foreman.runtime import Runtime

HANDBACK_FIRST = 0.25
HANDBACK_MAX = 30.0


class Resting:
    """Until when which task rests."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.until: dict[str, float] = {}

    def changed(self, key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
        """Take note of a change the cache has seen."""
        if new is None or new.status.phase is not Phase.PENDING:
            self.until.pop(key, None)
            return
        seconds = self._owed(old, new)
        if seconds > 0:
            self.until[key] = self.runtime.now() + seconds

    def _owed(self, old: AgenticTask | None, new: AgenticTask) -> float:
        status = new.status
        backoff = new.spec.retry_policy.backoff_seconds
        if old is None:
            left = status.retry_after - self.runtime.wall() if status.retry_after is not None else 0
            return float(min(left, backoff))
        if status.failures > old.status.failures:
            return float(backoff)
        if status.handbacks > old.status.handbacks:
            return min(HANDBACK_FIRST * float(1 << min(status.handbacks - 1, 10)), HANDBACK_MAX)
        return 0.0

    def left(self, key: str) -> float:
        """Seconds the task still has to rest."""
        until = self.until.get(key)
        if until is None:
            return 0.0
        left = until - self.runtime.now()
        if left <= 0:
            del self.until[key]
        return max(left, 0.0)
