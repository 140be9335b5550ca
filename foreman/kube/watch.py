"""One watch of an API server: a stream of JSON lines made into events of the protocol.

It does not reconnect: the cache that consumes it resumes where it stands when the stream ends, and lists again when it broke. A
stream on which nothing comes for SILENCE_SECONDS is ended from this side: neither a hung server nor a network that swallows
packets would ever say so, and resuming costs one request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from foreman.api import KINDS
from foreman.cluster import Event, Expired, Selector, Unavailable
from foreman.kube.answers import refusal, refusal_of
from foreman.kube.connection import Reply
from foreman.kube.paths import path_of, selector

if TYPE_CHECKING:
    from foreman.kube.cluster import KubeCluster

SILENCE_SECONDS = 45.0
SHORTEST_SECONDS = 1.0
_TYPES = ("ADDED", "MODIFIED", "DELETED")


class Watch:
    """The events of one selection. Only fields that the server can select by may be among `fields`."""

    def __init__(
        self,
        cluster: KubeCluster,
        kind: str,
        namespace: str | None,
        labels: Selector | None,
        fields: Selector | None,
    ) -> None:
        self.cluster = cluster
        self.kind = kind
        self.path = path_of(KINDS[kind], namespace)
        self.query = selector(labels, fields)

    async def events(self, since: str) -> AsyncIterator[Event]:
        """Every change after version `since` until the server closes the stream. Raises what the protocol says."""
        query = {
            **self.query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(self.cluster.watch_seconds),
            "resourceVersion": since,
        }
        loop = asyncio.get_running_loop()
        opened = loop.time()
        async for reply in self.cluster.connection.lines(self.path, query, SILENCE_SECONDS):
            yield self._event(reply)
        # A server that closes every stream as soon as it is open must not be asked without pause.
        await asyncio.sleep(max(opened + SHORTEST_SECONDS - loop.time(), 0))

    def _event(self, reply: Reply) -> Event:
        if reply.status != 200:
            raise refusal(reply)
        said = reply.data if isinstance(reply.data, dict) else {}
        type_, data = said.get("type"), said.get("object")
        if not isinstance(data, dict):
            raise Unavailable(f"watch {self.path}: no event of an API server: {str(reply.data)[:200]}")
        if type_ == "ERROR":
            raise refusal_of(int(data.get("code") or 0), data)
        version = str(data.get("metadata", {}).get("resourceVersion", ""))
        if type_ == "BOOKMARK":
            return Event("BOOKMARK", None, version)
        if type_ not in _TYPES:
            raise Unavailable(f"watch {self.path}: unknown event {type_!r}")
        return self._change(type_, data, version)

    def _change(self, type_: Any, data: Mapping[str, Any], version: str) -> Event:
        obj = self.cluster.readable(self.kind, data)
        if obj is None:
            # Whoever holds the readable version before it must let go of that: a list will not have the object.
            raise Expired(f"{self.kind} at version {version} cannot be read")
        return Event(type_, obj, version)
