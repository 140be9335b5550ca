"""What must hold before a task's work can begin, and did not: that is a result with a reason, no failure of the system."""

from __future__ import annotations

from foreman.api import FailureReason


class Precondition(Exception):
    """The text says in one line what is missing and where."""

    def __init__(self, reason: FailureReason, said: str) -> None:
        super().__init__(said)
        self.reason = reason
