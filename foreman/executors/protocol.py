"""The Executor protocol.

An executor returns a Result (whatever its verdict: a NO-GO is a result) or raises: an exception means the *system* failed, not
the work. It returns promptly once the execution is cancelled, by raising Cancelled. It never touches the task object itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from foreman.api import AgenticTask, Result
from foreman.runtime import Signal


class Cancelled(Exception):
    """The execution was told to stop and has stopped."""


@dataclass(frozen=True)
class Execution:
    """One attempt at a task. `attempt` is the fencing token for anything written outside the cluster (branches, jobs). `stamp`
    makes the name of a Job known while it runs; it never raises."""

    task: AgenticTask
    attempt: int
    cancelled: Signal
    stamp: Callable[[str], Awaitable[None]] | None = None


class Executor(Protocol):
    kind: str

    async def execute(self, execution: Execution) -> Result | None:
        """Do the work. None is a contract violation, reported as such."""
        ...
