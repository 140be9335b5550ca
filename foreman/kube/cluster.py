"""KubeCluster: the Cluster protocol over a Kubernetes API server.

Typed objects on this side, JSON on the other. Three things a real server brings that the simulated one does not, and what is
done about them: a list comes in pages; a server that is overloaded asks to come again later (429, 503 with Retry-After), which
is done here, for writes only where it is certain that nothing was written; and an object may be unreadable, written by hand or
by another version: it is passed over with one line in the log, for one bad object must not stop a fleet.

With the CRDs of the Go original things are missing that ours have. Fields cannot be selected: then this client filters.
Status fields are pruned (attempt, holder): said once; claims are then told apart by claimedAt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from foreman.api import KINDS, InvalidObject, parse, patch_to_wire, to_wire
from foreman.api.meta import Resource
from foreman.cluster import ClusterError, Event, Expired, Invalid, Listing, Selector, Unavailable
from foreman.kube.answers import may_repeat, refusal
from foreman.kube.connection import MERGE_PATCH, Connection, Reply
from foreman.kube.paths import path_of, selector
from foreman.kube.watch import Watch

R = TypeVar("R", bound=Resource)
log = logging.getLogger("foreman.kube")

PAGE = 500
PAUSE_FIRST = 0.25
WATCH_SECONDS = 290
PATIENCE_SECONDS = 15.0
"""How long a request that the server put off is repeated before it counts as unanswered."""


class KubeCluster:
    """One process's client."""

    def __init__(
        self,
        connection: Connection,
        on_request: Callable[[str, str, str, float], None] | None = None,
        watch_seconds: int = WATCH_SECONDS,
    ) -> None:
        """`on_request(verb, kind, outcome, seconds)` hears of every request, the outcome being 'ok', 'opened' (a watch) or
        the error's name; `watch_seconds`: after how long the server is asked to end a watch."""
        self.connection = connection
        self.watch_seconds = watch_seconds
        self.on_request = on_request or _unheard
        self._unreadable: dict[tuple[str, str], str] = {}
        self._unselectable: set[tuple[str, str]] = set()
        self._pruned: set[tuple[str, str]] = set()
        self._away_since: float | None = None

    # the protocol

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Resource:
        cls = KINDS[kind]
        return self._parsed(cls, await self._call("get", kind, "GET", path_of(cls, namespace, name)))

    async def list(
        self,
        kind: str,
        *,
        namespace: str | None = None,
        labels: Selector | None = None,
        fields: Selector | None = None,
    ) -> Listing:
        wanted, left = self._split(kind, fields)
        try:
            pages = await self._pages(kind, namespace, labels, wanted)
        except Invalid as error:
            if not self._learn_unselectable(kind, wanted, error):
                raise
            return await self.list(kind, namespace=namespace, labels=labels, fields=fields)
        items = (obj for page in pages for data in page["items"] if (obj := self.readable(kind, data)) is not None)
        chosen = sorted((obj for obj in items if selects(left, obj)), key=lambda obj: obj.key)
        return Listing(tuple(chosen), str(pages[0]["metadata"]["resourceVersion"]))

    async def create(self, obj: R) -> R:
        cls = type(obj)
        body = to_wire(obj)
        body["metadata"].pop("resourceVersion", None)
        return self._parsed(
            cls, await self._call("create", obj.kind, "POST", path_of(cls, obj.metadata.namespace), body)
        )

    async def patch(self, obj: R, changes: Mapping[str, Any], *, if_version: str | None) -> R:
        return await self._patch("patch", obj, patch_to_wire(type(obj), changes), if_version)

    async def patch_status(self, obj: R, changes: Mapping[str, Any], *, if_version: str | None) -> R:
        wire = patch_to_wire(type(obj), {"status": changes})
        written = await self._patch("patch_status", obj, wire, if_version, "/status")
        self._notice_pruning(written, changes)
        return written

    async def delete(self, obj: Resource, *, if_version: str | None = None, if_uid: str | None = None) -> None:
        preconditions = {"resourceVersion": if_version, "uid": if_uid}
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if given := {name: value for name, value in preconditions.items() if value is not None}:
            body["preconditions"] = given
        await self._call("delete", obj.kind, "DELETE", self._path(obj), body)

    def watch(
        self,
        kind: str,
        *,
        since: str,
        namespace: str | None = None,
        labels: Selector | None = None,
        fields: Selector | None = None,
    ) -> AsyncIterator[Event]:
        return self._watch(kind, since, namespace, labels, fields)

    async def _watch(
        self, kind: str, since: str, namespace: str | None, labels: Selector | None, fields: Selector | None
    ) -> AsyncIterator[Event]:
        wanted, left = self._split(kind, fields)
        stream = Watch(self, kind, namespace, labels, wanted)
        self.on_request("watch", kind, "opened", 0.0)
        try:
            async for event in stream.events(since):
                yield event if event.object is None or selects(left, event.object) else _gone(event)
        except Invalid as error:
            if not self._learn_unselectable(kind, wanted, error):
                raise
            async for event in self._watch(kind, since, namespace, labels, fields):
                yield event

    # requests

    async def _patch(self, verb: str, obj: R, wire: dict[str, Any], if_version: str | None, below: str = "") -> R:
        if if_version is not None:
            wire["metadata"] = {**wire.get("metadata", {}), "resourceVersion": if_version}
        data = await self._call(verb, obj.kind, "PATCH", self._path(obj) + below, wire, MERGE_PATCH)
        return self._parsed(type(obj), data)

    async def _pages(
        self, kind: str, namespace: str | None, labels: Selector | None, fields: Selector | None
    ) -> Sequence[dict[str, Any]]:
        """All pages of one consistent list."""
        path = path_of(KINDS[kind], namespace)
        query = {"limit": str(PAGE)} | selector(labels, fields)
        pages = [await self._call("list", kind, "GET", path, query=query)]
        try:
            while token := pages[-1]["metadata"].get("continue"):
                pages.append(await self._call("list", kind, "GET", path, query={**query, "continue": token}))
        except Expired:
            # Compacted away while we turned the pages: all of it on one.
            return [await self._call("list", kind, "GET", path, query=selector(labels, fields))]
        return pages

    async def _call(
        self,
        verb: str,
        kind: str,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer's JSON; raises what it stands for. What the server puts off is asked again for a while."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            reply = await self._persist(method, path, body, content_type, query)
        except ClusterError as error:
            self._heard(verb, kind, type(error).__name__, loop.time() - started, error)
            raise
        self._heard(verb, kind, "ok", loop.time() - started, None)
        return reply.data

    async def _persist(
        self, method: str, path: str, body: Any, content_type: str, query: Mapping[str, str] | None
    ) -> Reply:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + PATIENCE_SECONDS
        pause = PAUSE_FIRST
        while True:
            reply = await self.connection.request(method, path, query, body, content_type)
            if reply.status < 300:
                return reply
            error = refusal(reply)
            wait = max(reply.retry_after, pause if isinstance(error, Unavailable) else 0.0)
            if wait and loop.time() + wait < give_up:
                await asyncio.sleep(wait)
                if may_repeat(method, reply.status):
                    pause *= 2
                    continue
            raise error

    def _heard(self, verb: str, kind: str, outcome: str, seconds: float, error: ClusterError | None) -> None:
        """Tell the listener, and the log when an outage begins and ends."""
        self.on_request(verb, kind, outcome, seconds)
        now = asyncio.get_running_loop().time()
        if isinstance(error, Unavailable):
            if self._away_since is None:
                self._away_since = now
                log.warning("the API server does not answer: %s", error)
        elif self._away_since is not None:
            log.info("the API server answers again after %.0f s", now - self._away_since)
            self._away_since = None

    def _path(self, obj: Resource) -> str:
        return path_of(type(obj), obj.metadata.namespace, obj.metadata.name)

    # objects

    def readable(self, kind: str, data: Mapping[str, Any]) -> Resource | None:
        """The object in `data`; None when this version cannot read it, with a line in the log for each of its versions."""
        data["metadata"].pop("managedFields", None)
        try:
            return parse(KINDS[kind], data)
        except InvalidObject as error:
            meta = data["metadata"]
            key = kind, f"{meta.get('namespace', '')}/{meta.get('name', '')}"
            if self._unreadable.get(key) != meta.get("resourceVersion"):
                self._unreadable[key] = str(meta.get("resourceVersion"))
                log.warning("passed over: %s", error, extra={"kind": kind, "object": key[1]})
            return None

    def _parsed(self, cls: type[R], data: Any) -> R:
        data["metadata"].pop("managedFields", None)
        try:
            return parse(cls, data)
        except InvalidObject as error:
            raise Invalid(str(error)) from error

    def _split(self, kind: str, fields: Selector | None) -> tuple[Selector, Selector]:
        """`fields` as what the server selects by, and what it has refused to and is left to this client."""
        given = fields or {}
        left = {path: value for path, value in given.items() if (kind, path) in self._unselectable}
        return {path: value for path, value in given.items() if path not in left}, left

    def _learn_unselectable(self, kind: str, fields: Selector, error: Invalid) -> bool:
        """Whether the server refused because its CRD declares no selectable fields although ours does."""
        ours = {path.removeprefix(".") for path in KINDS[kind].SELECTABLE}
        refused = [path for path in fields if path in ours and path in str(error)]
        for path in refused:
            self._unselectable.add((kind, path))
            log.warning("the server cannot select %s by %s (an older CRD): filtering here", kind, path)
        return bool(refused)

    def _notice_pruning(self, written: Resource, changes: Mapping[str, Any]) -> None:
        status = cast(Any, written).status
        for name, value in changes.items():
            known = (written.kind, name)
            if type(value) in (int, str) and value and known not in self._pruned and not getattr(status, name):
                self._pruned.add(known)
                log.warning("the server drops status.%s of %s (an older CRD)", name, written.kind)


def selects(fields: Selector, obj: Resource) -> bool:
    """Whether the object has those field values (wire paths)."""
    if not fields:
        return True
    wire = to_wire(obj)
    return all(_value(wire, path) == value for path, value in fields.items())


def _value(wire: Any, path: str) -> str:
    for step in path.split("."):
        wire = wire.get(step, "") if isinstance(wire, Mapping) else ""
    return str(wire)


def _gone(event: Event) -> Event:
    """What lies outside the selection is no longer there for this watcher, if it ever was."""
    return Event("DELETED", event.object, event.version)


def _unheard(verb: str, kind: str, outcome: str, seconds: float) -> None:
    return None
