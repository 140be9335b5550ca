"""The leash on asyncio: work that is let go of is cancelled, and waited for, so that its `finally` can kill a subprocess."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from foreman.executors.loop.leash import OutOfTime, Stopped
from foreman.runtime import Signal

T = TypeVar("T")
LAST_WORDS_SECONDS = 10.0
"""How long cancelled work may take to end. Longer, and it is left behind: a run never hangs on a tool."""


class AsyncioLeash:
    """One run's; `seconds` from now."""

    def __init__(self, cancelled: Signal, seconds: float, last_words: float = LAST_WORDS_SECONDS) -> None:
        self.cancelled = cancelled
        self.deadline = asyncio.get_running_loop().time() + seconds
        self.last_words = last_words

    def _left(self) -> float:
        return self.deadline - asyncio.get_running_loop().time()

    async def hold(self, work: Coroutine[Any, Any, T]) -> T:
        if self.cancelled.is_set() or self._left() <= 0:
            work.close()
            raise Stopped if self.cancelled.is_set() else OutOfTime
        doing = asyncio.ensure_future(work)
        waiting = asyncio.ensure_future(self.cancelled.wait(timeout=self._left()))
        try:
            await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise Stopped if self.cancelled.is_set() else OutOfTime
        finally:
            waiting.cancel()
            await self._end(doing)

    async def _end(self, doing: asyncio.Future[Any]) -> None:
        if doing.done():
            return
        doing.cancel()
        await asyncio.wait({doing}, timeout=self.last_words)
        if doing.done() and not doing.cancelled():
            doing.exception()
