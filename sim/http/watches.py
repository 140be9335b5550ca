"""Watches: streams of events, bounded, with bookmarks, ended by time, by the client, or by being too slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import NamedTuple

from foreman.api.meta import Resource
from foreman.cluster import Event, Expired
from sim.apiserver import ApiServer
from sim.http.documents import Documents, encode
from sim.http.lists import Lists, check_watch
from sim.http.request import flag, number, version_of
from sim.http.selectors import Selection, selection
from sim.http.served import Served
from sim.http.status import Json, Refusal, too_old
from sim.http.views import Form, Tables, partial
from sim.selection import Stream

BUFFER = 1000
"""Events a client may be behind before it is cut off."""
BOOKMARK_SECONDS = 60.0
WATCH_SECONDS = 1800


class Plan(NamedTuple):
    """A watch that is to be. `since` '' or '0': begin with what is there now."""

    served: Served
    namespace: str
    wanted: Selection
    since: int
    synthetic: bool
    mark_end: bool
    bookmarks: bool
    seconds: int


def plan(served: Served, namespace: str, query: Mapping[str, str]) -> Plan:
    """What the query asks for. Raises Refusal."""
    check_watch(query)
    since = version_of(query.get("resourceVersion", ""))
    initial = flag(query, "sendInitialEvents")
    try:
        seconds = number(query, "timeoutSeconds")
    except Refusal:
        seconds = 0
    bookmarks = flag(query, "allowWatchBookmarks")
    wanted = selection(served, query)
    synthetic = initial or ("sendInitialEvents" not in query and since == 0)
    return Plan(served, namespace, wanted, since, synthetic, initial and bookmarks, bookmarks, seconds or WATCH_SECONDS)


class Watched(Stream):
    """A stream of the store that knows all of Kubernetes' selectors."""

    __slots__ = ("docs", "wanted")

    def __init__(
        self, served: Served, send: Callable[[Event], None], namespace: str, wanted: Selection, docs: Documents
    ):
        plain = wanted.plain() if served.kind != "Event" else None
        labels, fields = plain or ({}, {})
        super().__init__(served.kind, send, namespace or None, labels or None, fields or None)
        self.docs = docs
        self.wanted = None if plain is not None else wanted
        self.indexed = self.indexed and self.wanted is None

    def selects(self, obj: Resource | None) -> bool:
        if not super().selects(obj):
            return False
        return self.wanted is None or (obj is not None and self.wanted.matches(self.docs.of(obj)))


class Watch:
    """One client's watch. `lines()` are what it is sent."""

    def __init__(self, watches: Watches, plan: Plan, form: Form, tables: Callable[[], Tables]) -> None:
        self.watches = watches
        self.plan = plan
        self.form = form
        self.tables = tables
        self.events: deque[Event] = deque()
        self.awake = asyncio.Event()
        self.ended = False
        self.sent_head = False
        self.newest = plan.since

    def push(self, event: Event) -> None:
        if int(event.version) <= self.plan.since:
            return
        self.events.append(event)
        if len(self.events) > self.watches.buffer:
            self.end()
        self.awake.set()

    def end(self) -> None:
        self.ended = True
        self.awake.set()

    async def lines(self) -> AsyncIterator[bytes]:
        """Every event as a line of JSON, until the watch ends."""
        server, docs = self.watches.server, self.watches.docs
        stream = Watched(self.plan.served, self.push, self.plan.namespace, self.plan.wanted, docs)
        try:
            initial = self._initial()
            self._open(server, stream)
        except Expired:
            yield self._line("ERROR", too_old(self.plan.since, server.compacted).body())
            return
        try:
            for line in initial:
                yield line
            async for line in self._live():
                yield line
        finally:
            server.close(stream)

    def _open(self, server: ApiServer, stream: Stream) -> None:
        since = server.version if self.plan.synthetic else self.plan.since
        self.newest = min(since, server.version)
        server.watch("", stream, str(since))

    def _initial(self) -> list[bytes]:
        if not self.plan.synthetic:
            return []
        page = self.watches.lists.select(self.plan.served, self.plan.namespace, self.plan.wanted)
        lines = [self._event("ADDED", obj) for obj in page.items]
        return lines + ([self._bookmark(page.version, end=True)] if self.plan.mark_end else [])

    async def _live(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.plan.seconds
        bookmark_at = loop.time() + self.watches.bookmark_seconds
        while not self.ended:
            while self.events and not self.ended:
                event = self.events.popleft()
                self.newest = int(event.version)
                yield self._event(event.type, event.object)
            now = loop.time()
            if now >= deadline:
                return
            if now >= bookmark_at:
                bookmark_at = now + self.watches.bookmark_seconds
                if self.plan.bookmarks and not self.ended:
                    yield self._bookmark(str(max(self.watches.server.version, self.plan.since)))
                continue
            await self._sleep(min(deadline, bookmark_at) - now)

    async def _sleep(self, seconds: float) -> None:
        """Until something comes, at most so long."""
        self.awake.clear()
        if self.events or self.ended:
            return
        try:
            async with asyncio.timeout(seconds):
                await self.awake.wait()
        except TimeoutError:
            pass

    # lines

    def _event(self, sort: str, obj: Resource | None) -> bytes:
        assert obj is not None
        docs = self.watches.docs
        if sort == "DELETED":
            return self._line(sort, self._shaped(docs.last(obj)))
        if not self.form.shape:
            return b'{"type":"%s","object":%s}\n' % (sort.encode(), docs.encoded(obj))
        return self._line(sort, self._shaped(docs.of(obj)))

    def _shaped(self, doc: Json) -> Json:
        if self.form.shape != "Table":
            return partial(doc) if self.form.shape else doc
        headed, self.sent_head = not self.sent_head, True
        metadata = {"resourceVersion": doc["metadata"]["resourceVersion"]}
        return self.tables().of(self.plan.served, [doc], metadata, headed)

    def _bookmark(self, version: str, end: bool = False) -> bytes:
        served = self.plan.served
        return self._line("BOOKMARK", self._shaped(bookmark(served.api_version, served.kind, version, end)))

    def _line(self, sort: str, body: Json) -> bytes:
        return encode({"type": sort, "object": body}) + b"\n"


def bookmark(api_version: str, kind: str, version: str, end: bool) -> Json:
    """The object of a BOOKMARK; `end`: it ends the initial events."""
    metadata: Json = {"resourceVersion": version}
    if end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


class Watches:
    """All open watches of one server."""

    def __init__(
        self,
        server: ApiServer,
        docs: Documents,
        lists: Lists,
        buffer: int = BUFFER,
        bookmark_seconds: float = BOOKMARK_SECONDS,
    ) -> None:
        self.server = server
        self.docs = docs
        self.lists = lists
        self.buffer = buffer
        self.bookmark_seconds = bookmark_seconds
        self.open: dict[Watch, None] = {}

    def start(self, plan: Plan, form: Form, tables: Callable[[], Tables]) -> Watch:
        watch = Watch(self, plan, form, tables)
        self.open[watch] = None
        return watch

    def forget(self, watch: Watch) -> None:
        self.open.pop(watch, None)

    def end_all(self) -> None:
        """Every client loses its watch and has to come again."""
        for watch in tuple(self.open):
            watch.end()
