"""The Runtime protocol: time, waiting, spawning. `sim.host.Process` and `foreman.kube.AsyncioRuntime` implement it.

Two clocks, because they fail differently: `now()` measures elapsed time on this process and never jumps; `wall()` is what
this machine believes the date to be, goes into API timestamps, and may be wrong. Decisions compare `now()` with `now()`.

An exception that leaves a spawned coroutine ends the whole process, as an unhandled error in any part of it should.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol


class ProcessExit(Exception):
    """A reason for which this process must end and be restarted by its supervisor (exit code 1)."""


class Signal(Protocol):
    """A one-shot event: once set it stays set."""

    def set(self) -> None: ...

    def is_set(self) -> bool: ...

    async def wait(self, timeout: float | None = None) -> bool:
        """True once set, False if `timeout` seconds pass first."""
        ...


class Runtime(Protocol):
    """What a process can do besides talking to the cluster. Seconds are floats with microsecond resolution."""

    def now(self) -> float:
        """Seconds on a clock that only moves forward; its zero means nothing."""
        ...

    def wall(self) -> int:
        """Unix time in whole seconds by this machine's clock."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def call_later(self, seconds: float, fn: Callable[[], None]) -> None: ...

    def event(self) -> Signal: ...

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None: ...
