"""What became of tasks and nodes, for a trace that is written to a file: a row for each change of phase, of the commits alone.

Rows of what = MOVED tell of a task: `was` and `phase`, who holds it, why; the first also what it is. Rows of what = NODE tell
what a node offers and whether it is ready. Both follow from the writes that are in the trace; to have them spares a
reader from understanding patches.
"""

from __future__ import annotations

from typing import Any

from foreman.api import TERMINAL, FleetNode
from sim.selection import Change
from sim.trace import MOVED, NODE, Row, Trace

NEW, DELETED = "New", "Deleted"


class States:
    """Observes commits. `classes`: task -> its name in the mix of the scenario, forgotten once the task is there."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.classes: dict[str, str] = {}

    def committed(self, change: Change) -> None:
        kind = change.kind
        if kind == "AgenticTask":
            self._task(change)
        elif kind == "FleetNode":
            self._node(change)

    def _task(self, change: Change) -> None:
        version, _, actor, _, key, old, new, fields = change
        if old is not None and new is not None and old.status.phase is new.status.phase:
            return
        status = (new or old).status
        row: Row = {
            "t": self.trace.now(),
            "actor": actor,
            "what": MOVED,
            "key": key,
            "version": str(version),
            "phase": DELETED if new is None else status.phase or NEW,
        }
        if old is not None:
            row["was"] = old.status.phase or NEW
        if status.attempt:
            row["attempt"] = status.attempt
            row["node"] = status.assigned_node
            row["holder"] = status.holder
        if status.verdict:
            row["verdict"] = status.verdict
        if fields and (reason := _reasons(old, fields.get("conditions"))):
            row["reason"] = reason
        if old is None or (new is not None and old.status.phase in TERMINAL):
            self._describe(row, key, new)
        self.trace.put(row)

    def _describe(self, row: Row, key: str, task: Any) -> None:
        spec = task.spec
        row["class"] = self.classes.pop(key, spec.kind)
        row["priority"] = spec.priority
        needs = spec.required_capability
        row["accelerator"] = needs.accelerator if needs else "any"
        row["ram_gb"] = needs.min_ram_gb if needs else 0
        if spec.depends_on:
            row["depends_on"] = ",".join(spec.depends_on)
        if task.metadata.owner_references:
            row["workload"] = task.metadata.owner_references[0].name

    def _node(self, change: Change) -> None:
        old, new = change.old, change.new
        told = _offer(new)
        if old is None or told != _offer(old):
            self.trace.put(
                {"t": self.trace.now(), "actor": change.actor, "what": NODE, "key": change.key.rpartition("/")[2]}
                | told
            )


def _reasons(old: Any, conditions: Any) -> str:
    if not conditions:
        return ""
    known = {id(each) for each in old.status.conditions} if old is not None else ()
    return ",".join(each.reason for each in conditions if id(each) not in known)


def _offer(node: FleetNode | None) -> Row:
    if node is None:
        return {"phase": DELETED}
    has, phase = node.status.capability, node.status.phase or NEW
    if has is None:
        return {"phase": phase, "slots": node.spec.slots}
    accelerator = has.accelerator or "none"
    return {"phase": phase, "slots": node.spec.slots, "accelerator": accelerator, "ram_gb": has.total_ram_gb}
