"""The life of a process: signals, the drain, and the exit code.

0    it was told to end (SIGTERM, SIGINT) and did
1    the world or a bug ended it: lost leadership, a stalled watch, a name taken over ...; a supervisor restarts it
2    what the user gave cannot be used: restarting does not help
143, 130    told to end a second time (SIGTERM, SIGINT), it did so at once
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from foreman.kube.logs import one_line
from foreman.kube.runtime import AsyncioRuntime
from foreman.runtime import ProcessExit, Signal

log = logging.getLogger("foreman.process")

OK, FAILED = 0, 1


class Life(NamedTuple):
    """What a program is given: `stop` is set by the first SIGTERM or SIGINT; what is put on `closing` is closed once every
    coroutine of the program has ended, for until then any of them may use it."""

    runtime: AsyncioRuntime
    stop: Signal
    closing: AsyncExitStack


Program = Callable[[Life], Coroutine[Any, Any, None]]


class Unusable(Exception):
    """What the user gave cannot be used; the message is one line that says how to mend it. Exit code 2."""


def run(program: Program) -> int:
    """Run the program to its end; the exit code.

    A ProcessExit is the program's own decision and costs one line in the log; any other exception is a bug and comes with its
    traceback. Raises Unusable, for the command line to say.
    """
    return asyncio.run(_live(program))


async def _live(program: Program) -> int:
    runtime = AsyncioRuntime()
    stop = runtime.event()
    _obey(stop)
    try:
        async with AsyncExitStack() as closing:
            await runtime.run(program(Life(runtime, stop, closing)))
    except Unusable:
        raise
    except ProcessExit as end:
        log.error("ending: %s", one_line(end), extra={"exit": FAILED})
        return FAILED
    except Exception:
        log.exception("ending because of a bug in foreman", extra={"exit": FAILED})
        return FAILED
    log.info("ended as told", extra={"exit": OK})
    return OK


def _obey(stop: Signal) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, number, stop)


def _end(number: signal.Signals, stop: Signal) -> None:
    log.info("%s: ending in order; a second signal ends at once", number.name)
    stop.set()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(each)
        # Not the default action: the first process of a container has none.
        signal.signal(each, lambda number, frame: os._exit(128 + number))
