"""Several processes that end with the one that began them, at ^C too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import active_children, get_context


@contextmanager
def crew(
    jobs: int, adopt: Callable[..., None] | None = None, *what: object, start: str | None = None
) -> Iterator[ProcessPoolExecutor]:
    """A pool of so many processes, each of which begins by `adopt(*what)`; `start`: how, as multiprocessing calls it."""
    pool = ProcessPoolExecutor(jobs, get_context(start), initializer=partial(_begin, adopt, *what))
    try:
        yield pool
    finally:
        _dismiss(pool)


def _begin(adopt: Callable[..., None] | None, *what: object) -> None:
    import signal

    # ^C reaches all processes of a terminal: it is for the first one to end the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if adopt is not None:
        adopt(*what)


def _dismiss(pool: ProcessPoolExecutor) -> None:
    """Nobody waits for what is still under way: its processes are ended first, then the pool, which notices. The other way
    round a second ^C could leave processes behind that wait for work for ever, or the pool's thread on closed pipes."""
    for process in active_children():
        process.terminate()
    pool.shutdown(cancel_futures=True)
