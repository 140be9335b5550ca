"""`kubectl get` of a simulated cluster: what there is of a kind at a virtual time, or what changed between two.

The columns are those the API server serves to kubectl; ages are told at that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from foreman.api import to_wire
from foreman.durations import show
from sim.host import EPOCH, SECOND
from sim.http.served import Served, all_served
from sim.http.views import Column, Tables, columns_of, json_path
from sim.kinds import did_you_mean
from sim.selection import Change, event_for
from sim.world import World


class Unknown(ValueError):
    """There is no such kind or object; the message is one line."""


def kind_of(word: str) -> Served:
    """The kind that kubectl would take `word` for: its name, its plural or a short name, with or without the group."""
    known = {name: served for served in all_served() for name in _names(served)}
    found = known.get(word.lower())
    if found is None:
        spoken = sorted({name for served in all_served() for name in (served.plural, *served.model.SHORT_NAMES)})
        near = did_you_mean(word.lower(), known) or f"; there is {', '.join(spoken)}"
        raise Unknown(f"unknown kind {word[:40]!r}{near}")
    return found


def _names(served: Served) -> Sequence[str]:
    lower = served.kind.lower()
    names = (lower, served.plural, *served.model.SHORT_NAMES)
    grouped = [f"{name}.{served.group}" for name in (lower, served.plural) if served.group]
    return (*names, *grouped)


class Wanted(NamedTuple):
    """What is asked for. `name` None: all of the kind; `namespace` None: in all namespaces."""

    served: Served
    name: str | None
    namespace: str | None

    def takes(self, obj: Any) -> bool:
        meta = obj.metadata
        if self.served.namespaced and self.namespace is not None and meta.namespace != self.namespace:
            return False
        return self.name is None or meta.name == self.name

    def found(self, world: World) -> list[Any]:
        table = world.server.tables[self.served.kind]
        return [table[key] for key in sorted(table) if self.takes(table[key])]

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace and self.served.namespaced else ""
        return f'{self.served.plural} "{self.name}"{where}' if self.name else f"{self.served.plural}{where}"


class Lives:
    """When the objects that are wanted came and went, in microseconds."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.spans: list[tuple[int, int | None]] = []

    def observe(self, world: World, change: Change) -> None:
        if change.kind != self.wanted.served.kind or not self.wanted.takes(change.new or change.old):
            return
        if change.old is None:
            self.spans.append((world.now(), None))
        elif change.new is None and self.spans:
            self.spans[-1] = self.spans[-1][0], world.now()

    def told(self) -> str:
        if not self.spans:
            return "; it never existed in this run"
        spans = [f"from {show(born)} to {show(gone) if gone is not None else 'the end'}" for born, gone in self.spans]
        return f"; it existed {', '.join(spans[:3])}{' ...' if len(spans) > 3 else ''}"


class Moment(NamedTuple):
    """One change of what is wanted. `type` is the watch event's; `t` in microseconds."""

    t: int
    type: str
    actor: str
    object: Any


class Window:
    """Calls `tell` with each change of what is wanted between two virtual times."""

    def __init__(self, wanted: Wanted, start: int, end: int, tell: Callable[[Moment], None]) -> None:
        self.wanted = wanted
        self.start = start
        self.end = end
        self.tell = tell

    def observe(self, world: World, change: Change) -> None:
        now = world.now()
        if change.kind == self.wanted.served.kind and self.start <= now < self.end:
            old, new = change.old, change.new
            event = event_for(
                change, old is not None and self.wanted.takes(old), new is not None and self.wanted.takes(new)
            )
            if event is not None:
                self.tell(Moment(now, event.type, change.actor, event.object))


# as text

_WIDE: dict[str, tuple[tuple[str, str, str], ...]] = {
    "AgenticTask": (("Attempt", "integer", ".status.attempt"), ("Holder", "string", ".status.holder")),
    "FleetNode": (("Slots", "integer", ".spec.slots"), ("Instance", "string", ".status.instance")),
}
_VERSION = ("Resource Version", "string", ".metadata.resourceVersion")


class Printed:
    """Rows as kubectl prints them. `wide`: more columns, the resourceVersion among them; `spaces`: the namespace first."""

    def __init__(self, served: Served, wide: bool, spaces: bool) -> None:
        more = (*_WIDE.get(served.kind, ()), _VERSION) if wide else ()
        extra = [Column(title, sort, "", json_path(path)) for title, sort, path in more]
        space = [Column("Namespace", "string", "", json_path(".metadata.namespace"))] if spaces else []
        self.columns = [*space, *columns_of(served), *extra]

    @property
    def head(self) -> list[str]:
        return [column.name.upper() for column in self.columns]

    def row(self, obj: Any, t: int) -> list[str]:
        """The cells of `obj` at virtual microsecond `t`."""
        cells = Tables(EPOCH + t // SECOND).cells(self.columns, to_wire(obj))
        return ["" if cell is None else " ".join(str(cell).split()) for cell in cells]


def aligned(rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """Lines with the columns under each other, three spaces between them, none at the end."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def called(obj: Any) -> str:
    """'agentictask.foreman.llmkube.dev/task-0', as kubectl -o name."""
    group = f".{obj.GROUP}" if obj.GROUP else ""
    return f"{obj.kind.lower()}{group}/{obj.metadata.name}"
