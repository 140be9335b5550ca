"""Where cells run: processes of this machine, or a Dask cluster. Both are a concurrent.futures Executor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from typing import NamedTuple

from sim.crew import crew
from sim.extras import Missing
from sim.sweep.cell import Cell, Row, labels, run

AHEAD = 4
"""Cells handed out for each worker: none waits, and ^C leaves little undone."""


class NoWorkers(Exception):
    """Why there is nobody to run cells, and how to mend it."""


class Workers(NamedTuple):
    """Who runs cells, and how many at a time."""

    executor: Executor
    size: int

    def run(self, cells: Iterable[Cell], job: Callable[[Cell], Row] = run) -> Iterator[tuple[Cell, Row]]:
        """Rows as they come, each with its cell."""
        under_way: dict[Future[Row], Cell] = {}
        left = iter(cells)
        while True:
            for cell in left:
                under_way[self.executor.submit(job, cell)] = cell
                if len(under_way) >= AHEAD * self.size:
                    break
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                cell = under_way.pop(future)
                yield cell, _row(future, cell)


def _row(future: Future[Row], cell: Cell) -> Row:
    """A worker that dies takes the cells of a process pool with it: there is no going on then."""
    from concurrent.futures.process import BrokenProcessPool

    try:
        return future.result()
    except BrokenProcessPool:
        raise NoWorkers("a process was killed while it ran a cell (out of memory?): try fewer --jobs") from None
    except Exception as error:
        return labels(cell) | {"verdict": "crash", "error": f"{type(error).__name__}: {error}"}


@contextmanager
def processes(jobs: int | None) -> Iterator[Workers]:
    """`jobs` processes; by default one for each core."""
    count = jobs or os.cpu_count() or 1
    with crew(count) as pool:
        yield Workers(pool, count)


@contextmanager
def dask(address: str) -> Iterator[Workers]:
    """The workers of a Dask cluster, which must have Foreman installed. Raises NoWorkers."""
    try:
        from distributed import Client
    except ImportError:
        raise NoWorkers(str(Missing("--dask", "dask", "distributed"))) from None
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise NoWorkers(f"--dask {address}: no Dask scheduler answers there ({error})") from None
    try:
        count = sum(client.nthreads().values())
        if not count:
            raise NoWorkers(f"--dask {address}: the scheduler has no workers")
        yield Workers(client.get_executor(pure=False), count)
    finally:
        client.close()
