"""The reconcile loop: watch -> key -> queue -> reconcile -> requeue.

A controller is level-triggered: `reconcile(key)` looks at the cache, decides, and writes at most conditionally; it never
acts on what an event said. The answers every reconciler must expect from a cluster are met here and nowhere else:
Conflict (somebody was faster: look again when the cache has caught up), NotFound (gone: nothing to do), Unavailable (outcome
unknown: look again), Invalid and Forbidden (nothing this process can mend soon: back off).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable

from foreman.cluster import ClusterError, NotFound
from foreman.runtime import Runtime
from foreman.workqueue import WorkQueue

WORKERS = 16


class Controller:
    """Runs `reconcile(key)` for every key of its queue, several keys at a time but never one key twice at a time.

    `reconcile` returns the seconds after which it wants to see the key again, or None.
    """

    def __init__(
        self, name: str, runtime: Runtime, reconcile: Callable[[str], Awaitable[float | None]], workers: int = WORKERS
    ) -> None:
        self.name = name
        self.runtime = runtime
        self.queue = WorkQueue(runtime, self._rouse)
        self.reconcile = reconcile
        self.workers = workers
        self._idle = 0
        self.reconciles = 0
        self.errors: defaultdict[str, int] = defaultdict(int)

    def start(self) -> None:
        """Begin to serve the queue."""
        self._idle = self.workers
        for _ in range(len(self.queue)):
            self._rouse()

    def _rouse(self) -> None:
        """One more worker, unless all are at work: a worker that finds nothing to do ends, which is cheaper than waiting."""
        if self._idle:
            self._idle -= 1
            self.runtime.spawn(self._work(), self.name)

    async def _work(self) -> None:
        queue = self.queue
        while (key := queue.take()) is not None:
            self.reconciles += 1
            try:
                again = await self.reconcile(key)
            except ClusterError as error:
                self._refused(key, error)
            else:
                queue.succeeded(key)
                if again is not None:
                    queue.add_after(key, again)
            queue.done(key)
        self._idle += 1

    def _refused(self, key: str, error: ClusterError) -> None:
        self.errors[type(error).__name__] += 1
        if isinstance(error, NotFound):
            self.queue.succeeded(key)
        else:
            self.queue.add_backing_off(key)
