"""An in-memory API server with the semantics of Kubernetes that races live in.

Synchronous and atomic: one call, one transaction, no time passes inside; there is no simpy here. What it keeps:
one global resourceVersion; Conflict on a stale one; a write that changes nothing leaves the version alone; merge patches; the
status subresource apart from metadata and spec; uid, generation, 1 s timestamps; finalizers and deletionTimestamp; garbage
collection along ownerReferences; a bounded history to watch from, and Expired (410) before its beginning; field selectors
that turn a change into ADDED or DELETED for a watcher whose selection the object enters or leaves.

Objects are frozen models and are shared, never copied: what `get` returns is what is stored.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from foreman.api import KINDS, AgenticTask
from foreman.api.errors import Cause, InvalidObject
from foreman.api.meta import ObjectMeta, OwnerReference, Resource
from foreman.api.patch import merge
from foreman.cluster import AlreadyExists, Conflict, Event, Expired, Invalid, Listing, NotFound, Selector
from sim.selection import Address, Change, Stream, check_selector, event_for

HISTORY = 20_000
_tuple = tuple.__new__  # what the constructor of a NamedTuple does, without its Python frame


class ApiServer:
    """The store, its history, and its watchers. `wall` gives unix seconds."""

    def __init__(self, wall: Callable[[], int], history: int = HISTORY) -> None:
        self.wall = wall
        self.version = 0
        self.tables: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        self.log: deque[Change] = deque()
        self.history = history
        self.compacted = 0
        self.observers: list[Callable[[Change], None]] = []
        self.census: list[Callable[[Change], None]] = []
        self._by_node: defaultdict[str, dict[str, AgenticTask]] = defaultdict(dict)
        self._streams: defaultdict[str, dict[Stream, None]] = defaultdict(dict)
        self._node_streams: defaultdict[str, dict[Stream, None]] = defaultdict(dict)
        self._owned: defaultdict[str, dict[Address, None]] = defaultdict(dict)
        self.uids = 0

    # reads

    def get(self, actor: str, kind: str, name: str, namespace: str | None = None) -> Any:
        return self._find(kind, f"{namespace}/{name}" if namespace else name)

    def list(
        self, actor: str, kind: str, namespace: str | None, labels: Selector | None, fields: Selector | None
    ) -> Listing:
        table = self._table(kind)
        check_selector(kind, fields)
        stream = Stream(kind, _nowhere, namespace, labels, fields)
        if stream.node:
            table = self._by_node.get(stream.node, {})
        found = map(table.__getitem__, sorted(table))
        items = tuple(found if stream.indexed else filter(stream.selects, found))
        return Listing(items, str(self.version))

    def listing_at(self, version: int, listing: Listing, stream: Stream) -> Listing:
        """`listing` as it was at an older `version`: what a lagging replica would answer."""
        version = max(version, self.compacted)
        objects = {obj.key: obj for obj in listing.items}
        for change in reversed(self.log):
            if change.version <= version:
                break
            if change.kind == stream.kind:
                objects.pop(change.key, None)
                if stream.selects(change.old):
                    objects[change.key] = change.old
        return Listing(tuple(objects[key] for key in sorted(objects)), str(version))

    def watch(self, actor: str, stream: Stream, since: str) -> Stream:
        """Replay what happened after `since` into the stream, then keep it informed. Raises Expired."""
        start = int(since)
        if start < self.compacted:
            raise Expired(f"too old resource version: {start} ({self.compacted})")
        self._table(stream.kind)
        check_selector(stream.kind, stream.fields)
        missed = self._since(start)
        for change in missed:
            if change.kind == stream.kind:
                stream.offer(change)
        self._streams_of(stream)[stream] = None
        return stream

    def _since(self, version: int) -> Sequence[Change]:
        recent = []
        for change in reversed(self.log):
            if change.version <= version:
                break
            recent.append(change)
        recent.reverse()
        return recent

    def close(self, stream: Stream) -> None:
        stream.closed = True
        stream.send = _unheard
        self._streams_of(stream).pop(stream, None)

    def streams(self) -> Iterable[Stream]:
        for group in (self._streams, self._node_streams):
            for streams in group.values():
                yield from list(streams)

    # writes

    def create(self, actor: str, obj: Any) -> Any:
        kind, key, meta = obj.kind, obj.key, obj.metadata
        if key in self._table(kind):
            raise AlreadyExists(f'{obj.PLURAL}.{obj.GROUP} "{meta.name}" already exists')
        if not meta.name:
            raise Invalid(f"{kind}: metadata.name: Required value: name or generateName is required")
        meta = meta.evolve(
            uid=self.new_uid(),
            resource_version=str(self.version + 1),
            generation=1,
            creation_timestamp=self.wall(),
            deletion_timestamp=None,
            deletion_grace_period_seconds=None,
        )
        blank = _BLANK_STATUS.get(kind)
        if blank is None or obj.status is blank:
            new = obj.evolve(metadata=meta)
        else:
            new = obj.evolve(metadata=meta, status=blank)
        self.commit("create", actor, kind, key, None, new, {})
        return new

    def patch(self, actor: str, obj: Any, changes: Mapping[str, Any], if_version: str | None) -> Any:
        old = self._find(obj.kind, obj.key, if_version)
        try:
            merged = merge(old, _writable(changes))
        except InvalidObject as error:
            raise _refusal(old, error.causes) from error
        if merged is old:
            return old
        if merged.metadata is not old.metadata:
            _check_metadata(old, merged.metadata)
        generation = old.metadata.generation + (getattr(merged, "spec", None) is not getattr(old, "spec", None))
        return self._store("patch", actor, old, merged, changes, generation)

    def patch_status(self, actor: str, obj: Any, changes: Mapping[str, Any], if_version: str | None) -> Any:
        kind, key = obj.kind, obj.key
        old = self.tables[kind].get(key)
        if old is None or (if_version is not None and old.metadata.resource_version != if_version):
            self._refuse(kind, key, old, if_version)
        try:
            status = merge(old.status, changes)
        except InvalidObject as error:
            raise _refusal(old, error.under("status")) from error
        if status is old.status:
            return old
        meta = old.metadata.evolve(resource_version=str(self.version + 1))
        new = old.evolve(metadata=meta, status=status)
        self.commit("patch_status", actor, kind, key, old, new, changes)
        return new

    def delete(self, actor: str, obj: Any, if_version: str | None = None, if_uid: str | None = None) -> None:
        old = self._find(obj.kind, obj.key, if_version)
        if if_uid is not None and old.metadata.uid != if_uid:
            raise Conflict(f"{obj.kind} {obj.key}: uid is {old.metadata.uid}, precondition was {if_uid}")
        if not old.metadata.finalizers:
            self._remove(actor, old)
        elif old.metadata.deletion_timestamp is None:
            meta = old.metadata.evolve(deletion_timestamp=self.wall(), deletion_grace_period_seconds=0)
            marked = old.evolve(metadata=meta)
            self._store("delete", actor, old, marked, {}, old.metadata.generation + 1)

    def new_uid(self) -> str:
        self.uids += 1
        return f"00000000-0000-4000-8000-{self.uids:012x}"

    def restore(self, objects: Iterable[Any], version: int, uids: int) -> None:
        """Become what an earlier server was; its history is gone."""
        for obj in objects:
            self.tables[obj.kind][obj.key] = obj
            created = Change(version, "create", "", obj.kind, obj.key, None, obj, {})
            self._track_owners(created)
            if isinstance(obj, AgenticTask):
                self._moved(created, "", obj.status.assigned_node)
        self.version = self.compacted = version
        self.uids = uids

    def compact(self) -> None:
        """Forget all history: who watches from before now gets Expired."""
        self.compacted = self.version
        self.log.clear()

    def orphaned(self, obj: Resource) -> bool:
        """Whether all its owners are gone, or are in another namespace: what the garbage collector deletes."""
        owners = obj.metadata.owner_references
        return bool(owners) and not any(self._lives(owner, obj.metadata.namespace) for owner in owners)

    def dependents(self, uid: str) -> Sequence[Address]:
        """What named the object with that uid as an owner when it was created."""
        return tuple(self._owned.get(uid, ()))

    def _lives(self, owner: OwnerReference, namespace: str | None) -> bool:
        kind = KINDS.get(owner.kind)
        if kind is None:
            return True
        key = f"{namespace}/{owner.name}" if kind.NAMESPACED else owner.name
        found = self.tables[owner.kind].get(key)
        return found is not None and found.metadata.uid == owner.uid

    # commit

    def _table(self, kind: str) -> dict[str, Any]:
        try:
            return self.tables[kind]
        except KeyError:
            raise NotFound(f"the server could not find the requested resource: {kind}") from None

    def _find(self, kind: str, key: str, if_version: str | None = None) -> Any:
        found = (self.tables.get(kind) or self._table(kind)).get(key)
        if found is None or (if_version is not None and found.metadata.resource_version != if_version):
            self._refuse(kind, key, found, if_version)
        return found

    def _refuse(self, kind: str, key: str, found: Any, if_version: str | None) -> NoReturn:
        if found is None:
            cls = KINDS[kind]
            raise NotFound(f'{cls.PLURAL}.{cls.GROUP} "{key}" not found')
        raise Conflict(f"{kind} {key} is at version {found.metadata.resource_version}, the write was for {if_version}")

    def _store(self, verb: str, actor: str, old: Any, merged: Any, fields: Mapping[str, Any], generation: int) -> Any:
        meta = merged.metadata.evolve(resource_version=str(self.version + 1), generation=generation)
        new = merged.evolve(metadata=meta)
        if meta.deletion_timestamp is not None and not meta.finalizers:
            self._remove(actor, old)
        else:
            self.commit(verb, actor, new.kind, new.key, old, new, fields)
        return new

    def _remove(self, actor: str, old: Any) -> None:
        self.commit("delete", actor, old.kind, old.key, old, None, {})

    def commit(self, verb: str, actor: str, kind: str, key: str, old: Any, new: Any, fields: Mapping[str, Any]) -> None:
        """Put `new` in the place of `old`, either of which may be None, at the next version. Checks nothing."""
        self.version = version = self.version + 1
        if new is None:
            del self.tables[kind][key]
        else:
            self.tables[kind][key] = new
        change = _tuple(Change, (version, verb, actor, kind, key, old, new, fields))
        log = self.log
        log.append(change)
        if len(log) > self.history:
            self.compacted = log.popleft().version
        for observer in self.observers:
            observer(change)
        if old is None or new is None:
            self._counted(change)
        event = None
        if streams := self._streams.get(kind):
            event = event_for(change, old is not None, new is not None)
            _tell(streams, change, event)
        if kind != "AgenticTask":
            return
        # Watches on one node's tasks are found by index: a write costs its watchers, not all watchers.
        before = old.status.assigned_node if old is not None else ""
        after = new.status.assigned_node if new is not None else ""
        if before != after:
            self._moved(change, before, after)
        elif after:
            self._by_node[after][key] = new
            if streams := self._node_streams.get(after):
                _tell(streams, change, event or event_for(change, True, True))

    def _counted(self, change: Change) -> None:
        """An object has come or gone."""
        self._track_owners(change)
        for observer in self.census:
            observer(change)

    def _moved(self, change: Change, before: str, after: str) -> None:
        """The task has left one node's selection and/or entered another's; '' is no node."""
        if before:
            self._by_node[before].pop(change.key, None)
            if streams := self._node_streams.get(before):
                _tell(streams, change, event_for(change, True, False))
        if after:
            self._by_node[after][change.key] = change.new
            if streams := self._node_streams.get(after):
                _tell(streams, change, event_for(change, False, True))

    def _streams_of(self, stream: Stream) -> dict[Stream, None]:
        return self._node_streams[stream.node] if stream.node else self._streams[stream.kind]

    def _track_owners(self, change: Change) -> None:
        obj = change.new or change.old
        for owner in obj.metadata.owner_references:
            if change.new is not None:
                self._owned[owner.uid][change.kind, change.key] = None
            elif owner.uid in self._owned:
                self._owned[owner.uid].pop((change.kind, change.key), None)


def _tell(streams: dict[Stream, None], change: Change, event: Event | None) -> None:
    """Offer the change to streams; `event` is what it is to those of which the index is the whole selection."""
    for stream in tuple(streams):
        if not stream.indexed:
            stream.offer(change)
        elif event is not None:
            stream.send(event)


def _refusal(obj: Resource, causes: Sequence[Cause]) -> Invalid:
    return Invalid(str(InvalidObject(causes, obj.kind, obj.metadata.name)))


def _writable(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """`changes` without the status and without what of the metadata is the server's own."""
    if "status" in changes:
        changes = {name: value for name, value in changes.items() if name != "status"}
    meta = changes.get("metadata", ())
    if _SERVER_OWNED.isdisjoint(meta):
        return changes
    return {**changes, "metadata": {name: value for name, value in meta.items() if name not in _SERVER_OWNED}}


def _check_metadata(old: Resource, meta: ObjectMeta) -> None:
    """What an update may not do to metadata. Raises Invalid."""
    before = old.metadata
    if (meta.name, meta.namespace) != (before.name, before.namespace):
        raise Invalid(f'{old.kind} "{before.name}" is invalid: metadata.name: Invalid value: field is immutable')
    if before.deletion_timestamp is not None and not set(meta.finalizers) <= set(before.finalizers):
        why = "no new finalizers can be added if the object is being deleted"
        raise Invalid(f'{old.kind} "{before.name}" is invalid: metadata.finalizers: Forbidden: {why}')


def _nowhere(event: Event) -> None:
    raise AssertionError("a list has no stream")


def _unheard(event: Event) -> None:
    """Where a stream sends that is closed: its watcher would else live in a cycle, and no collector runs during a run."""


_SERVER_OWNED = frozenset(
    {
        "resource_version",
        "uid",
        "generation",
        "creation_timestamp",
        "deletion_timestamp",
        "deletion_grace_period_seconds",
    }
)

# As with any CRD that has a status subresource, what a create says about the status is dropped.
_BLANK_STATUS = {
    kind: cls.model_fields["status"].get_default(call_default_factory=True)
    for kind, cls in KINDS.items()
    if "status" in cls.model_fields
}
