"""A user's side of a task or Workload: create it once although answers get lost, follow it although streams break."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, cast

from foreman.api import PREFIX, TERMINAL, AgenticTask, Workload, WorkloadPhase
from foreman.cluster import AlreadyExists, Cluster, ClusterError, Expired, Forbidden, Invalid, NotFound, Unavailable
from foreman.runtime import Runtime

ANNOTATION_SUBMISSION = PREFIX + "submission"
"""Tells the submission that created a task, so that one whose answer was lost recognises its own."""
RETRY_FIRST = 0.5
RETRY_MAX = 15.0
PATIENCE_SECONDS = 60.0

Order = TypeVar("Order", bound=AgenticTask | Workload)
"""What a user submits and follows."""
OnOutage = Callable[[ClusterError | None], None]


def is_over(order: AgenticTask | Workload) -> bool:
    """Whether it has come to its end."""
    if isinstance(order, Workload):
        return order.status.phase in (WorkloadPhase.COMPLETED, WorkloadPhase.FAILED)
    return order.status.phase in TERMINAL


async def submit(cluster: Cluster, runtime: Runtime, task: Order, submission: str) -> Order:
    """Create the task or Workload, once; it as created. `submission`: a word nobody else uses.

    An answer that is missing is not the end: it is looked whether the task is there before it is tried again, for
    PATIENCE_SECONDS. Raises AlreadyExists when the name belongs to another task, and what else the cluster raises.
    """
    meta = task.metadata
    annotations = {**meta.annotations, ANNOTATION_SUBMISSION: submission}
    marked = cast(Order, task.evolve(metadata=meta.evolve(annotations=annotations)))
    give_up = runtime.now() + PATIENCE_SECONDS
    pause = RETRY_FIRST
    while True:
        try:
            return await cluster.create(marked)
        except (AlreadyExists, Unavailable) as error:
            there = await _there(cluster, task)
            if there is not None and there.metadata.annotations.get(ANNOTATION_SUBMISSION) == submission:
                return there
            if runtime.now() >= give_up or (there is not None and isinstance(error, AlreadyExists)):
                raise
        await runtime.sleep(pause)
        pause = min(2 * pause, RETRY_MAX)


async def _there(cluster: Cluster, task: Order) -> Order | None:
    """The one of that name, None when there is none or the question gets no answer either."""
    try:
        return cast(Order, await cluster.get(task.kind, task.metadata.name, task.metadata.namespace))
    except (NotFound, Unavailable):
        return None


async def follow(
    cluster: Cluster, runtime: Runtime, task: Order, on_change: Callable[[Order, Order], None], on_outage: OnOutage
) -> Order | None:
    """The task or Workload in its final state, or None when it was deleted before that.

    `on_change(old, new)` hears of every version seen; `on_outage(error)` that the API server went away, and with None
    that it is back. Raises Forbidden and Invalid.
    """
    followed = _Followed(cluster, task, on_change, on_outage)
    pause = RETRY_FIRST
    while not followed.over():
        try:
            await followed.watch()
            pause = RETRY_FIRST
        except Expired:
            followed.stale = True
        except (Forbidden, Invalid):
            raise
        except ClusterError as error:
            followed.away(error)
            await runtime.sleep(pause)
            pause = min(2 * pause, RETRY_MAX)
    return followed.task


class _Followed(Generic[Order]):
    """A task or Workload as last seen. `task` is None once it is gone; `stale`: it must be read before it is watched."""

    def __init__(
        self, cluster: Cluster, task: Order, on_change: Callable[[Order, Order], None], on_outage: OnOutage
    ) -> None:
        self.cluster = cluster
        self.meta = task.metadata
        self.kind = task.kind
        self.task: Order | None = task
        self.since = task.version
        self.stale = False
        self.on_change = on_change
        self.on_outage = on_outage
        self._away = False

    def over(self) -> bool:
        return self.task is None or is_over(self.task)

    def away(self, error: ClusterError) -> None:
        self.stale = True
        if not self._away:
            self.on_outage(error)
        self._away = True

    async def watch(self) -> None:
        """One stream to its end, after a look at the task when something may have been missed."""
        if self.stale:
            await self._look()
        if self.over():
            return
        fields = {"metadata.name": self.meta.name}
        stream = self.cluster.watch(self.kind, since=self.since, namespace=self.meta.namespace, fields=fields)
        async for event in stream:
            self._back()
            self.since = event.version
            if event.object is not None:
                self._take(None if event.type == "DELETED" else cast(Order, event.object))
            if self.over():
                return

    async def _look(self) -> None:
        try:
            now = cast(Order, await self.cluster.get(self.kind, self.meta.name, self.meta.namespace))
        except NotFound:
            self._back()
            self.task = None
            return
        self._back()
        self.stale = False
        self.since = now.version
        self._take(now)

    def _take(self, now: Order | None) -> None:
        before, self.task = self.task, now
        if now is not None and now.metadata.uid != self.meta.uid:
            # Deleted, and made anew by somebody: another task.
            self.task = None
        elif now is not None and before is not None:
            self.on_change(before, now)

    def _back(self) -> None:
        if self._away:
            self._away = False
            self.on_outage(None)
