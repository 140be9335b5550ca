"""AsyncioRuntime: the Runtime protocol on one asyncio loop. `run` drives a program to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any


class Signal:
    """A one-shot event."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self, timeout: float | None = None) -> bool:
        if self._event.is_set():
            return True
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return self._event.is_set()
        return True


class AsyncioRuntime:
    """Made inside a running loop; one for each program."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = self._loop.create_future()

    def now(self) -> float:
        return self._loop.time()

    def wall(self) -> int:
        return int(time.time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, fn: Callable[[], None]) -> None:
        self._loop.call_later(seconds, self._call, fn)

    def event(self) -> Signal:
        return Signal()

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        task = self._loop.create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run `main` until it returns, or until it or anything spawned raises: then everything stops and that is raised."""
        leading = self._loop.create_task(main, name="main")
        try:
            await asyncio.wait({leading, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
            await leading
        finally:
            await self._stop(leading)

    async def _stop(self, leading: asyncio.Task[None]) -> None:
        self._failure.cancel()
        while pending := [task for task in (leading, *self._tasks) if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending)

    def _call(self, fn: Callable[[], None]) -> None:
        if self._failure.done():
            return
        try:
            fn()
        except Exception as error:
            self._fail(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)
