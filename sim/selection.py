"""What a list or a watch selects, and what a committed write is to it: ADDED, MODIFIED, DELETED, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from foreman.api import KINDS, AgenticTask
from foreman.api.meta import Resource
from foreman.cluster import Event, Invalid, Selector

FIELD = "status.assignedNode"
_SELECTABLE = {
    kind: {"metadata.name", *(path.removeprefix(".") for path in cls.SELECTABLE)}
    | ({"metadata.namespace"} if cls.NAMESPACED else set())
    for kind, cls in KINDS.items()
}


class Change(NamedTuple):
    """One committed write. `fields` holds the patch (python names) or is empty; `old`/`new` are None when absent."""

    version: int
    verb: str
    actor: str
    kind: str
    key: str
    old: Any
    new: Any
    fields: Mapping[str, Any]


Address = tuple[str, str]
"""(kind, key) of an object."""
Sink = Callable[[Event], None]
_tuple = tuple.__new__  # what the constructor of a NamedTuple does, without its Python frame


class Stream:
    """A watch as the server sees it: a selection and where to send its events.

    `node` is the one whose tasks it selects, if that is what it does; `indexed`: the index the server finds it by (kind, or
    node) is all there is to its selection.
    """

    __slots__ = ("closed", "fields", "indexed", "kind", "labels", "namespace", "node", "send")

    def __init__(
        self, kind: str, send: Sink, namespace: str | None, labels: Selector | None, fields: Selector | None
    ) -> None:
        self.kind = kind
        self.send = send
        self.namespace = namespace
        self.labels = labels
        self.fields = fields
        self.closed = False
        self.node = (fields or {}).get(FIELD, "") if kind == "AgenticTask" else ""
        by_index = not fields or (bool(self.node) and len(fields) == 1)
        self.indexed = by_index and not labels and namespace is None

    def selects(self, obj: Resource | None) -> bool:
        if obj is None:
            return False
        if self.namespace is not None and obj.metadata.namespace != self.namespace:
            return False
        if self.labels and any(obj.metadata.labels.get(k) != v for k, v in self.labels.items()):
            return False
        return not self.fields or all(field_value(obj, path) == value for path, value in self.fields.items())

    def offer(self, change: Change) -> None:
        """Send what `change` is to this selection, if anything."""
        event = event_for(change, self.selects(change.old), self.selects(change.new))
        if event is not None:
            self.send(event)


def event_for(change: Change, before: bool, after: bool) -> Event | None:
    """The event of a watcher that selected the object `before` and/or selects it `after` the change."""
    if after:
        new = change.new
        return _tuple(Event, ("MODIFIED" if before else "ADDED", new, new.metadata.resource_version))
    version = str(change.version)
    return Event("DELETED", _at(change.old, version), version) if before else None


def _at(obj: Any, version: str) -> Any:
    """`obj` as a DELETED event shows it: its last state that was selected, at the version of what ended that."""
    return obj.evolve(metadata=obj.metadata.evolve(resource_version=version))


def check_selector(kind: str, fields: Selector | None) -> None:
    """Raises Invalid for a field that `kind` cannot be selected by, whether or not there are objects."""
    for path in fields or ():
        if path not in _SELECTABLE[kind]:
            raise Invalid(f"field label not supported: {path}")


def field_value(obj: Resource, path: str) -> str:
    """The value of a selectable field, '' when unset."""
    if path == FIELD and isinstance(obj, AgenticTask):
        return obj.status.assigned_node
    if path == "status.phase" and isinstance(obj, AgenticTask):
        return obj.status.phase or ""
    if path == "metadata.name":
        return obj.metadata.name
    if path == "metadata.namespace":
        return obj.metadata.namespace or ""
    raise Invalid(f"field label not supported: {path}")
