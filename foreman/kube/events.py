"""Kubernetes Events: what this process did, told to people where they look (`kubectl describe`, `kubectl events`).

Best effort by design. `tell` only puts the news in a queue; a coroutine of its own writes it, as fast as it may and no faster,
and what does not fit is dropped and counted. The same news about the same object within ten minutes raises a count.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from typing import NamedTuple

from foreman.api import (
    CONDITION_CODER_ALREADY_RESOLVED,
    AgenticTask,
    EventSource,
    FleetNode,
    KubeEvent,
    ObjectMeta,
    ObjectReference,
    Phase,
    Workload,
    WorkloadPhase,
    condition,
)
from foreman.api.meta import Condition, Resource
from foreman.cluster import Cluster, ClusterError, Forbidden, NotFound
from foreman.runtime import Runtime, Signal

QUEUE = 1024
BURST = 50
PER_SECOND = 10.0
SAME_SECONDS = 600
FLUSH_SECONDS = 1.0
REMEMBERED = 4096
MESSAGE_CHARACTERS = 1024
CLUSTER_SCOPED_NAMESPACE = "default"
NO_SUCH_API = "could not find the requested resource"
log = logging.getLogger("foreman.events")


class News(NamedTuple):
    """`reason`: one CamelCase word; `good`: whether nobody needs to worry."""

    reason: str
    message: str
    good: bool


def news(old: Resource, new: Resource) -> News | None:
    """What people should hear about a status write that led from `old` to `new`; None when it is nothing to them."""
    if isinstance(old, AgenticTask) and isinstance(new, AgenticTask):
        return _of_task(old, new)
    if isinstance(old, FleetNode) and isinstance(new, FleetNode) and old.status.phase is not new.status.phase:
        told = _changed(old.status.conditions, new.status.conditions)
        said = (told.reason, told.message) if told else (str(new.status.phase), f"the node is {new.status.phase}")
        return News(*said, good=new.status.phase != "NotReady")
    if isinstance(old, Workload) and isinstance(new, Workload):
        return _of_workload(old, new)
    return None


def _of_workload(old: Workload, new: Workload) -> News | None:
    """An issue that was already resolved is worth a word of its own: it may be closed (#970)."""
    resolved = condition(new.status.conditions, CONDITION_CODER_ALREADY_RESOLVED)
    before = condition(old.status.conditions, CONDITION_CODER_ALREADY_RESOLVED)
    if resolved is not None and resolved.status == "True" and resolved != before:
        return News(resolved.reason, resolved.message, good=True)
    if old.status.phase is new.status.phase:
        return None
    told = _changed(old.status.conditions, new.status.conditions)
    said = (told.reason, told.message) if told else (str(new.status.phase), f"the Workload is {new.status.phase}")
    return News(*said, good=new.status.phase is not WorkloadPhase.FAILED)


def _of_task(old: AgenticTask, new: AgenticTask) -> News | None:
    was, now = old.status.phase, new.status.phase
    if was is now or was is None:
        return None
    told = _changed(old.status.conditions, new.status.conditions)
    reason = told.reason if told else str(now)
    message = told.message if told else f"{was} -> {now}"
    if now is Phase.SUCCEEDED and new.status.verdict:
        message = f"{new.status.verdict}: {message}" if message else str(new.status.verdict)
    lost = now is Phase.PENDING and (new.status.failures, sum(new.status.strikes.values())) != (
        old.status.failures,
        sum(old.status.strikes.values()),
    )
    return News(reason, message, good=now is not Phase.FAILED and not lost)


def _changed(old: tuple[Condition, ...], new: tuple[Condition, ...]) -> Condition | None:
    """The condition that a write has brought or changed."""
    return next((each for each in new if each not in old), None)


class Recorder:
    """Writes Events. `component`: who speaks, e.g. 'foreman-operator'; `instance`: which of its processes."""

    def __init__(self, cluster: Cluster, runtime: Runtime, component: str, instance: str, host: str) -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.component = component
        self.instance = instance
        self.host = host
        self.dropped = 0
        self.written = 0
        self.off = False
        self._queue: deque[tuple[Resource, News, int]] = deque()
        self._told: OrderedDict[tuple[str, ...], KubeEvent] = OrderedDict()
        self._writing = False
        self._written_out: Signal | None = None
        self._tokens = float(BURST)
        self._counted_at = runtime.now()
        self._number = 0

    def tell(self, about: Resource, what: News) -> None:
        """Never blocks, never fails."""
        if self.off or len(self._queue) >= QUEUE:
            self.dropped += 1
            return
        self._queue.append((about, what, self.runtime.wall()))
        if not self._writing:
            self._writing = True
            self.runtime.spawn(self._write_all(), "events")

    async def flush(self) -> None:
        """On the way out: let what is told be written, for at most a second."""
        if self._writing:
            self._written_out = self.runtime.event()
            await self._written_out.wait(timeout=FLUSH_SECONDS)

    async def _write_all(self) -> None:
        while self._queue:
            await self._pace()
            about, what, at = self._queue.popleft()
            try:
                await self._write(about, what, at)
            except ClusterError as error:
                self.dropped += 1
                if isinstance(error, Forbidden) or NO_SUCH_API in str(error):
                    self._give_up(error)
        self._writing = False
        if self._written_out is not None:
            self._written_out.set()

    def _give_up(self, error: ClusterError) -> None:
        self.off = True
        self.dropped += len(self._queue)
        self._queue.clear()
        log.warning("no Events will be written: %s", error)

    async def _pace(self) -> None:
        now = self.runtime.now()
        self._tokens = min(self._tokens + (now - self._counted_at) * PER_SECOND, float(BURST))
        self._counted_at = now
        self._tokens -= 1
        if self._tokens < 0:
            await self.runtime.sleep(-self._tokens / PER_SECOND)

    async def _write(self, about: Resource, what: News, at: int) -> None:
        key = (about.metadata.uid, what.reason, what.message)
        known = self._told.pop(key, None)
        if known is not None and at - (known.last_timestamp or 0) < SAME_SECONDS:
            # Unconditional: this process alone writes this Event.
            changes = {"count": known.count + 1, "last_timestamp": at}
            try:
                written = await self.cluster.patch(known, changes, if_version=None)
            except NotFound:
                written = await self.cluster.create(self._event(about, what, at))
        else:
            written = await self.cluster.create(self._event(about, what, at))
        self.written += 1
        self._told[key] = written
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    def _event(self, about: Resource, what: News, at: int) -> KubeEvent:
        meta = about.metadata
        self._number += 1
        life = self.instance.rpartition("/")[2].rpartition("_")[2].rpartition("-")[2]
        return KubeEvent(
            metadata=ObjectMeta(
                name=f"{meta.name}.{life}{self._number:x}", namespace=meta.namespace or CLUSTER_SCOPED_NAMESPACE
            ),
            involved_object=ObjectReference(
                api_version=about.api_version,
                kind=about.kind,
                namespace=meta.namespace or "",
                name=meta.name,
                uid=meta.uid,
                resource_version=meta.resource_version,
            ),
            reason=what.reason,
            message=what.message[:MESSAGE_CHARACTERS],
            type="Normal" if what.good else "Warning",
            count=1,
            first_timestamp=at,
            last_timestamp=at,
            source=EventSource(component=self.component, host=self.host),
            reporting_component=self.component,
            reporting_instance=self.instance,
        )
