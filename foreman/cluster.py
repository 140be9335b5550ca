"""The Cluster protocol: the only door to the outside. `sim.cluster.SimCluster` and `foreman.kube.KubeCluster` implement it.

Seven errors cross the door, no others. Six of them say for certain that nothing was written; `Unavailable` says only that
the answer is missing: the write may have been applied, may yet be applied, or may be lost. Callers must survive all three.

`patch` and `patch_status` take a merge patch in python field names (see `foreman.api.patch`): None deletes a field, lists
replace whole. `if_version` makes the write conditional on the version that was read; None means unconditional, and whoever
passes None says in a comment why the write needs no fence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from foreman.api.meta import Resource

R = TypeVar("R", bound=Resource)
Selector = Mapping[str, str]


class ClusterError(Exception):
    """What a cluster may answer instead of a result."""


class NotFound(ClusterError):
    """The object (or its kind) does not exist."""


class AlreadyExists(ClusterError):
    """Create found an object of that name."""


class Conflict(ClusterError):
    """The object is no longer at the version (or uid) the write was conditional on."""


class Invalid(ClusterError):
    """The API server refused the object; the message names the field path."""


class Forbidden(ClusterError):
    """The caller lacks the permission."""


class Expired(ClusterError):
    """The version to watch from has been compacted away: list again."""


class Unavailable(ClusterError):
    """No answer: the outcome is unknown."""


class Event(NamedTuple):
    """One change on a watch. `object` is the new state, or for DELETED the last one; None on a BOOKMARK."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Resource | None
    version: str


class Listing(NamedTuple):
    """A consistent list: `items` as they were at `version`, ordered by key."""

    items: tuple[Resource, ...]
    version: str


class Cluster(Protocol):
    """Where all shared state lives. `kind` is a key of `foreman.api.KINDS`. A call takes effect only when it is awaited."""

    def get(self, kind: str, name: str, namespace: str | None = None) -> Awaitable[Resource]:
        """The object as it is now. Raises NotFound."""
        ...

    def list(
        self,
        kind: str,
        *,
        namespace: str | None = None,
        labels: Selector | None = None,
        fields: Selector | None = None,
    ) -> Awaitable[Listing]: ...

    def create(self, obj: R) -> Awaitable[R]:
        """Raises AlreadyExists, Invalid."""
        ...

    def patch(self, obj: R, changes: Mapping[str, Any], *, if_version: str | None) -> Awaitable[R]:
        """Merge `changes` ({'metadata': ..., 'spec': ...}) into the object; its status is left alone."""
        ...

    def patch_status(self, obj: R, changes: Mapping[str, Any], *, if_version: str | None) -> Awaitable[R]:
        """Merge `changes` (fields of the status) into the status subresource; nothing else is touched."""
        ...

    def delete(self, obj: Resource, *, if_version: str | None = None, if_uid: str | None = None) -> Awaitable[None]: ...

    def watch(
        self,
        kind: str,
        *,
        since: str,
        namespace: str | None = None,
        labels: Selector | None = None,
        fields: Selector | None = None,
    ) -> AsyncIterator[Event]:
        """Every change after version `since`, in order. Ends when the server closes the stream; raises Expired, Unavailable.

        The stream may have a method `each(apply)` that does the same as `follow` below without waking anybody for an event.
        """
        ...


def follow(stream: AsyncIterator[Event], apply: Callable[[Event], None]) -> Awaitable[None]:
    """Call `apply` with every event until the stream ends; raises what the stream raises."""
    each: Callable[..., Awaitable[None]] | None = getattr(stream, "each", None)
    return each(apply) if each is not None else _follow(stream, apply)


async def _follow(stream: AsyncIterator[Event], apply: Callable[[Event], None]) -> None:
    async for event in stream:
        apply(event)
