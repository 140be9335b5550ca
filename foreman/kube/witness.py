"""Witness: a Cluster that tells what this process itself has written, and what it has been shown.

What a process did is known best where its writes are answered: only the one whose conditional write landed hears of it, however
many operators watch. A write whose answer is lost is not told of; these are news, nothing rests on them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

from foreman.api.meta import Resource
from foreman.cluster import Cluster, ClusterError, Event, Listing, Selector

R = TypeVar("R", bound=Resource)
Written = Callable[[Resource, Resource], None]
Refused = Callable[[Resource, Mapping[str, Any], ClusterError], None]
Shown = Callable[[str, str], None]


class Witness:
    """`on_written(old, new)` after each status patch that landed; `on_refused(obj, changes, error)` after each write that did
    not (a create has no changes); `on_shown(kind, event type)` for each watch event."""

    def __init__(self, inner: Cluster) -> None:
        self.inner = inner
        self.on_written: list[Written] = []
        self.on_refused: list[Refused] = []
        self.on_shown: list[Shown] = []

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Resource:
        return await self.inner.get(kind, name, namespace)

    async def list(
        self,
        kind: str,
        *,
        namespace: str | None = None,
        labels: Selector | None = None,
        fields: Selector | None = None,
    ) -> Listing:
        return await self.inner.list(kind, namespace=namespace, labels=labels, fields=fields)

    async def create(self, obj: R) -> R:
        try:
            return await self.inner.create(obj)
        except ClusterError as error:
            self._refused(obj, {}, error)
            raise

    async def patch(self, obj: R, changes: Mapping[str, Any], *, if_version: str | None) -> R:
        try:
            return await self.inner.patch(obj, changes, if_version=if_version)
        except ClusterError as error:
            self._refused(obj, changes, error)
            raise

    async def patch_status(self, obj: R, changes: Mapping[str, Any], *, if_version: str | None) -> R:
        try:
            written = await self.inner.patch_status(obj, changes, if_version=if_version)
        except ClusterError as error:
            self._refused(obj, changes, error)
            raise
        for told in self.on_written:
            told(obj, written)
        return written

    def _refused(self, obj: Resource, changes: Mapping[str, Any], error: ClusterError) -> None:
        for told in self.on_refused:
            told(obj, changes, error)

    async def delete(self, obj: Resource, *, if_version: str | None = None, if_uid: str | None = None) -> None:
        await self.inner.delete(obj, if_version=if_version, if_uid=if_uid)

    async def watch(
        self,
        kind: str,
        *,
        since: str,
        namespace: str | None = None,
        labels: Selector | None = None,
        fields: Selector | None = None,
    ) -> AsyncIterator[Event]:
        stream = self.inner.watch(kind, since=since, namespace=namespace, labels=labels, fields=fields)
        async for event in stream:
            for shown in self.on_shown:
                shown(kind, event.type)
            yield event
