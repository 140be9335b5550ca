"""The reconcile loop: watch -> key -> queue -> reconcile -> requeue.

A controller is level-triggered: `reconcile(key)` looks at the cache, decides, and writes at most conditionally; it never
acts on what an event said. The answers every reconciler must expect from a cluster are met here and nowhere else:
Conflict (somebody was faster: look again when the cache has caught up), NotFound (gone: nothing to do), Unavailable (outcome
unknown: look again), Invalid and Forbidden (nothing this process can mend soon: back off).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable

from foreman.cluster import ClusterError, Conflict, NotFound
from foreman.runtime import Runtime
from foreman.workqueue import WorkQueue

WORKERS = 16
BELIEF_SECONDS = 30.0
"""How long a Conflict is believed without the cache showing what it was about."""


class Controller:
    """Runs `reconcile(key)` for every key of its queue, several keys at a time but never one key twice at a time.

    `reconcile` returns the seconds after which it wants to see the key again, or None.
    """

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        reconcile: Callable[[str], Awaitable[float | None]],
        workers: int = WORKERS,
        view: Callable[[str], object | None] = lambda key: None,
    ) -> None:
        """`view(key)`: what a cache shows of the one object that `reconcile` writes to, if there is one."""
        self.name = name
        self.runtime = runtime
        self.queue = WorkQueue(runtime, self._rouse)
        self.reconcile = reconcile
        self.workers = workers
        self.view = view
        self._outdated: dict[str, tuple[object, float]] = {}
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
            seen = self.view(key)
            if self._outdated and self._still_outdated(key, seen):
                queue.add_backing_off(key)
                queue.done(key)
                continue
            self.reconciles += 1
            try:
                again = await self.reconcile(key)
            except ClusterError as error:
                self._refused(key, error, seen)
            else:
                queue.succeeded(key)
                if again is not None:
                    queue.add_after(key, again)
            queue.done(key)
        self._idle += 1

    def _still_outdated(self, key: str, seen: object | None) -> bool:
        """Whether a write made on this very view has met a Conflict lately: another would, for the object is no longer what it
        shows. The cache will say so in its time; if it says nothing for long, the API server may have erred."""
        view, at = self._outdated.get(key, (None, 0.0))
        if view is not None and view is seen and self.runtime.now() - at < BELIEF_SECONDS:
            return True
        self._outdated.pop(key, None)
        return False

    def _refused(self, key: str, error: ClusterError, seen: object | None) -> None:
        self.errors[type(error).__name__] += 1
        if isinstance(error, Conflict) and seen is not None and self.view(key) is seen:
            self._outdated[key] = seen, self.runtime.now()
        if isinstance(error, NotFound):
            self.queue.succeeded(key)
        else:
            self.queue.add_backing_off(key)
