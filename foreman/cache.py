"""An informer: list and watch one kind, hold the objects, tell listeners what changed.

The cache is always a little behind the API server, and says so by design: `position` is the version up to which it has seen
everything. Two rules keep it from going back in time. An object replaces another only if it is newer. The answer to one's own
write may be put in early (`observe`, client-go's "assume"), but only if the stream has not yet passed that version: else a
reply that was slower than the DELETED event would raise the dead.

When the server closes the stream the cache resumes where it stands; when the stream breaks, or the server has forgotten that
version (410), or every `resync` seconds, it lists again, which also mends an event that was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar, cast

from foreman.api.meta import Resource
from foreman.cluster import (
    Cluster,
    ClusterError,
    Event,
    Expired,
    Forbidden,
    Listing,
    NotFound,
    Selector,
    Unavailable,
    follow,
)
from foreman.runtime import ProcessExit, Runtime

R = TypeVar("R", bound=Resource)
Listener = Callable[[str, R | None, R | None], None]

RETRY_FIRST = 1.0
RETRY_MAX = 30.0
RESYNC = 600.0


class Stalled(ProcessExit):
    """Listing failed so often in a row that this process had better be restarted."""


class Cache(Generic[R]):
    """The objects of one kind, by key, as a watch shows them. `get(key)`: the object, or None."""

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        kind: str,
        *,
        namespace: str | None = None,
        fields: Selector | None = None,
        retry: float | None = None,
        resync: float = RESYNC,
        stall_after: int | None = None,
    ) -> None:
        """All in seconds or counts.

        `retry`: pause after a failure (default: 1 s doubling to 30 s); `resync`: list anew at least so often;
        `stall_after`: failed lists in a row that end the process.
        """
        self.cluster = cluster
        self.runtime = runtime
        self.kind = kind
        self.namespace = namespace
        self.fields = fields
        self.retry = retry
        self.resync = resync
        self.stall_after = stall_after
        self.objects: dict[str, R] = {}
        self.get: Callable[[str], R | None] = self.objects.get
        self.position = 0
        self.synced = runtime.event()
        self.relist_at = 0.0
        self.relists = 0
        self.failures = 0
        self.refusals = 0
        self.on_recovery: list[Callable[[], None]] = []
        self.on_loss: list[Callable[[ClusterError], None]] = []
        self._blind = False
        self._listeners: list[Listener[R]] = []

    def listen(self, listener: Listener[R]) -> None:
        """Call `listener(key, old, new)` after each change; None stands for 'did not exist'."""
        self._listeners.append(listener)

    def __iter__(self) -> Iterator[R]:
        return iter(list(self.objects.values()))

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def watching(self) -> bool:
        """Whether the cache has listed, and has not lost sight of the server since."""
        return self.synced.is_set() and not self._blind

    def _lost(self, error: ClusterError) -> None:
        """The stream has broken, or has to begin anew: told once, not for every try to get it back."""
        for told in self.on_loss:
            told(error)

    def observe(self, obj: R) -> None:
        """Take in the answer to an own write before the watch brings it."""
        version = int(obj.metadata.resource_version)
        # What the watch has passed by and not kept is gone; what it still shows as older, it has missed an event of.
        if version > self.position or obj.key in self.objects:
            self._put(obj.key, obj, version)

    def forget(self, obj: R) -> None:
        """The API server has said that this object is gone: the watch may have missed its end."""
        self._drop(obj.key, int(obj.version))

    async def find_out(self, obj: R) -> R | None:
        """What became of a write without an answer: asks until the API server has shown the object, or (None) that it is gone.

        An object unchanged says nothing of a write that is still on its way.
        """
        meta = obj.metadata
        while True:
            await self.runtime.sleep(RETRY_FIRST)
            try:
                found = cast(R, await self.cluster.get(self.kind, meta.name, meta.namespace))
            except NotFound:
                self.forget(obj)
                return None
            except ClusterError:
                continue
            self.observe(found)
            return found

    async def run(self) -> None:
        """List and watch for ever. Raises Stalled after `stall_after` failed lists in a row."""
        while True:
            try:
                if self.runtime.now() >= self.relist_at:
                    await self._list()
                    self.relist_at = self.runtime.now() + self.resync
                await self._follow()
            except Expired as error:
                self.relist_at = 0.0
                self._lost(error)
            except ClusterError as error:
                self.relist_at = 0.0
                await self._failed(error)

    async def _list(self) -> None:
        try:
            listing = await self.cluster.list(self.kind, namespace=self.namespace, fields=self.fields)
        except ClusterError:
            self.failures += 1
            raise
        if int(listing.version) < self.position:
            raise Unavailable(f"{self.kind}: the server answered from the past")
        self._replace(listing)

    async def _failed(self, error: ClusterError) -> None:
        if not self._blind:
            self._blind = True
            self._lost(error)
        if self.stall_after is not None and self.failures >= self.stall_after:
            raise Stalled(f"{self.kind} watcher stalled: {self.failures} lists in a row failed, last: {error}")
        backoff = min(RETRY_FIRST * 2 ** min(max(self.failures, self.refusals), 10), RETRY_MAX)
        await self.runtime.sleep(self.retry if self.retry is not None else backoff)

    async def _follow(self) -> None:
        """Apply the stream from where the cache stands until the server closes it."""
        since = str(self.position)
        stream = self.cluster.watch(self.kind, since=since, namespace=self.namespace, fields=self.fields)
        try:
            await follow(stream, self._apply)
        except Forbidden:
            # Lists that succeed would hide it, and be repeated every second.
            self.refusals += 1
            raise
        self.refusals = 0

    def _apply(self, event: Event) -> None:
        kind, found, told = event
        version = int(told)
        if version <= self.position:
            return  # Shown before: after a deletion it would raise the dead.
        self.position = version
        obj: R | None = found  # type: ignore[assignment]
        if obj is None:
            return
        key = obj.key
        if kind == "DELETED":
            self._drop(key, version)
        elif self.objects.get(key) is not obj:
            # What one wrote oneself comes a second time by the watch, often as the very same object.
            self._put(key, obj, version)

    def _replace(self, listing: Listing) -> None:
        self.relists += 1
        self.failures = 0
        if self._blind:
            self._blind = False
            for recovered in self.on_recovery:
                recovered()
        version = int(listing.version)
        self.position = version
        present = {obj.key: cast(R, obj) for obj in listing.items}
        for key in [key for key in self.objects if key not in present]:
            self._drop(key, version)
        for key, obj in present.items():
            if self.get(key) is not obj:
                self._put(key, obj, int(obj.version))
        self.synced.set()

    def _put(self, key: str, obj: R, version: int) -> None:
        old = self.objects.get(key)
        if old is not None and int(old.metadata.resource_version) >= version:
            return
        self.objects[key] = obj
        for listener in self._listeners:
            listener(key, old, obj)

    def _drop(self, key: str, version: int) -> None:
        old = self.objects.get(key)
        if old is None or int(old.metadata.resource_version) > version:
            return
        del self.objects[key]
        for listener in self._listeners:
            listener(key, old, None)
