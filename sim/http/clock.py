"""A clock of real time for what the simulator schedules in virtual time: the garbage collector."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class LoopClock:
    """`at` as sim.clock.Clock has it, on the running event loop. `stop()` forgets what is still due."""

    def __init__(self) -> None:
        self._due: set[asyncio.TimerHandle] = set()

    def at(self, delay: int, call: Callable[[Any], None], argument: Any = None) -> None:
        """`call(argument)` in `delay` microseconds."""

        def fire() -> None:
            self._due.discard(handle)
            call(argument)

        handle = asyncio.get_running_loop().call_later(delay / 1_000_000, fire)
        self._due.add(handle)

    def stop(self) -> None:
        for handle in self._due:
            handle.cancel()
        self._due.clear()
