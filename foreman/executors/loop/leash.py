"""What keeps a run within its time: every wait of the loop is held on a leash that ends with the budget or a cancellation."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from foreman.runtime import Runtime, Signal

T = TypeVar("T")


class Stopped(Exception):
    """The execution was cancelled."""


class OutOfTime(Exception):
    """The budget of the whole loop has passed."""


class Leash(Protocol):
    async def hold(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises. Raises Stopped or OutOfTime when that comes first; the work is then left or ended."""
        ...


class RuntimeLeash:
    """On any Runtime. Work that is let go of is abandoned, not ended: for models and tools that hold nothing."""

    def __init__(self, runtime: Runtime, cancelled: Signal, seconds: float) -> None:
        self.runtime = runtime
        self.cancelled = cancelled
        self.deadline = runtime.now() + seconds
        self._current = runtime.event()
        runtime.spawn(self._watch(seconds), "leash")

    async def _watch(self, seconds: float) -> None:
        await self.cancelled.wait(timeout=seconds)
        self._current.set()

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Stopped
        if self.runtime.now() >= self.deadline:
            raise OutOfTime

    async def hold(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            self._check()
        except BaseException:
            work.close()
            raise
        outcome: list[T | Exception] = []
        ended = self._current = self.runtime.event()

        async def carry_out() -> None:
            try:
                outcome.append(await work)
            except Exception as error:
                outcome.append(error)
            ended.set()

        self.runtime.spawn(carry_out(), "work")
        await ended.wait()
        if not outcome:
            self._check()
            raise Stopped
        [value] = outcome
        if isinstance(value, Exception):
            raise value
        return value
