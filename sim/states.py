"""What became of tasks and nodes, for a trace that is written to a file: a row for each change of phase, of the commits alone.

Rows of what = MOVED tell of a task: `was` and `phase`, who holds it, why; the first also what it is. Rows of what = NODE tell
what a node offers and whether it is ready. Both follow from the writes that are in the trace; to have them spares a
reader from understanding patches.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from foreman.api import TERMINAL, FleetNode
from sim.selection import Change
from sim.trace import MOVED, NODE, Row, Trace

NEW, DELETED = "New", "Deleted"


Facts = tuple[str, str | None, int, str, int, str | None]
"""What a task is: class, workload, priority, accelerator, RAM in GiB, names of the tasks it waits for."""


class Move(NamedTuple):
    """A task has changed its phase: the columns of `transitions`, `t` in microseconds, and what it is where it is new."""

    seq: int
    t: int
    task: str
    actor: str
    was: str | None
    phase: str
    attempt: int | None
    node: str | None
    holder: str | None
    verdict: str | None
    reason: str | None
    version: str
    facts: Facts | None


class Offer(NamedTuple):
    """What a node offers has changed. None: as it was before."""

    seq: int
    t: int
    node: str
    actor: str
    phase: str
    slots: int | None
    accelerator: str | None
    ram_gb: int | None


class States:
    """Observes commits. `classes`: task -> its name in the mix of the scenario, forgotten once the task is there."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.classes: dict[str, str] = {}

    def committed(self, change: Change) -> None:
        _, _, _, kind, _, old, new, _ = change
        if kind == "AgenticTask":
            if old is None or new is None or old.status.phase is not new.status.phase:
                self.trace.changed(self, change)
        elif kind == "FleetNode" and (old is None or _offer(old) != _offer(new)):
            self.trace.changed(self, change)

    def row(self, t: int, change: Change) -> Row:
        told = self.told(0, t, change)
        return row_of_move(told) if isinstance(told, Move) else row_of_offer(told)

    def told(self, seq: int, t: int, change: Change) -> Move | Offer:
        version, _, actor, kind, key, old, new, fields = change
        if kind == "FleetNode":
            return Offer(seq, t, key.rpartition("/")[2], actor, *_offer(new))
        status = (new or old).status
        was = None if old is None else old.status.phase or NEW
        phase = DELETED if new is None else status.phase or NEW
        held = (attempt, status.assigned_node, status.holder) if (attempt := status.attempt) else _NOBODY
        reason = _reasons(old, fields.get("conditions")) if fields else None
        describe = old is None or (new is not None and old.status.phase in TERMINAL)
        facts = self._facts(key, new) if describe else None
        return _move(Move, (seq, t, key, actor, was, phase, *held, status.verdict or None, reason, str(version), facts))

    def _facts(self, key: str, task: Any) -> Facts:
        spec = task.spec
        needs = spec.required_capability
        fits = (needs.accelerator, needs.min_ram_gb) if needs else _ANY
        owners = task.metadata.owner_references
        name, workload = self.classes.pop(key, spec.kind), owners[0].name if owners else None
        return name, workload, spec.priority, *fits, ",".join(spec.depends_on) or None


_NOBODY: tuple[None, None, None] = (None, None, None)
_ANY = ("any", 0)
_FACTS = ("class", "workload", "priority", "accelerator", "ram_gb", "depends_on")
_move = tuple.__new__  # what the constructor of a NamedTuple does, without its Python frame


def row_of_move(move: Move) -> Row:
    row = {"t": move.t, "actor": move.actor, "what": MOVED, "key": move.task, "version": move.version}
    told = {"phase": move.phase, "was": move.was, "attempt": move.attempt, "node": move.node, "holder": move.holder}
    told |= {"verdict": move.verdict, "reason": move.reason}
    if move.facts is not None:
        told |= facts_of(move.facts)
    return row | {name: value for name, value in told.items() if value is not None}


def facts_of(facts: Facts) -> Row:
    return {name: value for name, value in zip(_FACTS, facts, strict=True) if value is not None}


def row_of_offer(offer: Offer) -> Row:
    row = {"t": offer.t, "actor": offer.actor, "what": NODE, "key": offer.node, "phase": offer.phase}
    told = {"slots": offer.slots, "accelerator": offer.accelerator, "ram_gb": offer.ram_gb}
    return row | {name: value for name, value in told.items() if value is not None}


def move_of(seq: int, row: Row) -> Move:
    get = row.get
    facts: Any = tuple(map(get, _FACTS)) if "class" in row else None
    held = get("attempt"), get("node"), get("holder"), get("verdict"), get("reason")
    return Move(seq, row["t"], row["key"], row["actor"], get("was"), row["phase"], *held, row["version"], facts)


def offer_of(seq: int, row: Row) -> Offer:
    has = map(row.get, ("slots", "accelerator", "ram_gb"))
    return Offer(seq, row["t"], row["key"], row["actor"], row["phase"], *has)


def _reasons(old: Any, conditions: Any) -> str | None:
    if not conditions:
        return None
    known = {*map(id, old.status.conditions)} if old is not None else ()
    return ",".join([each.reason for each in conditions if id(each) not in known]) or None


def _offer(node: FleetNode | None) -> tuple[str, int | None, str | None, int | None]:
    if node is None:
        return DELETED, None, None, None
    has, phase, slots = node.status.capability, node.status.phase or NEW, node.spec.slots
    if has is None:
        return phase, slots, None, None
    return phase, slots, has.accelerator or "none", has.total_ram_gb
