"""The tables of a trace: which there are, what a row of each is, and of every column its type, its unit and its meaning.

A column of one name means the same in every table. Times are virtual seconds since the start of the run.
`seq` numbers the rows of all logs together, in the order in which things happened.
"""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """`type` is one of TYPES."""

    type: str
    unit: str
    about: str


TYPES = ("int", "float", "bool", "text")

COLUMNS: dict[str, Column] = {
    "seq": Column("int", "", "position in the log of the run"),
    "t": Column("float", "s", "when it happened"),
    "actor": Column("text", "", "who did it or heard of it: a process such as operator-0/1 or cuda-3/2 (host/boot)"),
    "verb": Column("text", "", "get, list, watch, create, patch, patch_status or delete"),
    "kind": Column("text", "", "kind of the object"),
    "object": Column("text", "", "namespace/name, or the name alone where the kind has no namespace"),
    "read": Column("text", "", "resourceVersion the call was conditional on; 'any': unconditional"),
    "version": Column("text", "", "resourceVersion the object had afterwards"),
    "outcome": Column("text", "", "ok, or the error: Conflict, NotFound, Unavailable ..."),
    "detail": Column("text", "", "what was said, or why it was refused"),
    "saw": Column("text", "", "of a list: JSON object, what it showed -> resourceVersion"),
    "event": Column(
        "text", "", "of a delivery: ADDED, MODIFIED, DELETED; of an execution: started, completed, stopped"
    ),
    "task": Column("text", "", "namespace/name of the task"),
    "attempt": Column("int", "", "number of the attempt, from 1"),
    "host": Column("text", "", "the machine a fault struck; api: the API server"),
    "fault": Column("text", "", "name of the fault, such as crash"),
    "over": Column("bool", "", "whether the fault ended then instead of striking"),
    "invariant": Column("text", "", "what was violated"),
    "message": Column("text", "", "how it was violated"),
    "was": Column("text", "", "phase before; none: the task was created. New: nobody had looked at it"),
    "phase": Column("text", "", "phase afterwards, of a task the last; New: not looked at yet, Deleted: gone"),
    "node": Column("text", "", "name of the node"),
    "holder": Column("text", "", "process that claimed: node/boot"),
    "verdict": Column("text", "", "GO, NO-GO, GATE-PASS ..."),
    "reason": Column("text", "", "reasons of the conditions that were new in that write"),
    "class": Column("text", "", "name in the mix of the scenario; of other tasks their kind, such as verify"),
    "workload": Column("text", "", "Workload the task was made for"),
    "priority": Column("int", "", "larger goes first"),
    "accelerator": Column("text", "", "what a task needs or a node has: any, metal, cuda, vulkan, none"),
    "ram_gb": Column("int", "GiB", "RAM a task needs at least, or a node has"),
    "depends_on": Column("text", "", "names of the tasks it waits for, with commas"),
    "created": Column("float", "s", "when the task was created"),
    "claimed": Column("float", "s", "when an agent claimed it, of a task the first time"),
    "ended": Column("float", "s", "when it was over; none: not over at the end of the run"),
    "wait": Column("float", "s", "from creation to the first claim, waiting for other tasks included"),
    "attempts": Column("int", "", "how often it was assigned"),
    "assigned": Column("float", "s", "when the scheduler assigned it"),
    "outcome_phase": Column("text", "", "phase the attempt led to; Pending: taken or handed back; none: still going"),
    "slots": Column("int", "tasks", "how many tasks the node runs at once"),
    "holding": Column("int", "tasks", "assigned to the node, the running ones included"),
    "running": Column("int", "tasks", "claimed and running on the node"),
}


class Table(NamedTuple):
    about: str
    columns: tuple[str, ...]


def _table(about: str, columns: str) -> Table:
    return Table(about, tuple(columns.split()))


TABLES: dict[str, Table] = {
    "tasks": _table(
        "one row a task",
        "task class workload priority accelerator ram_gb depends_on created claimed ended wait attempts phase verdict node",
    ),
    "attempts": _table(
        "one row for each time a task was assigned to a node",
        "task class attempt node holder assigned claimed ended outcome_phase verdict reason",
    ),
    "transitions": _table(
        "one row for each change of a task's phase, its creation and deletion included",
        "seq t task actor was phase attempt node holder verdict reason version",
    ),
    "nodes": _table(
        "one row for each change of a node or of what it holds; it stays so until the next",
        "t node phase accelerator ram_gb slots holding running",
    ),
    "api_calls": _table(
        "one row for each request that reached the API server, or whose sender gave it up",
        "seq t actor verb kind object read version outcome detail saw",
    ),
    "deliveries": _table(
        "one row for each watch event that reached its client", "seq t actor event kind object version"
    ),
    "executions": _table("one row for each start and each end of an executor", "seq t actor task attempt event"),
    "faults": _table("one row for each fault that struck or ended", "seq t host fault over detail"),
    "violations": _table("one row for each violation of an invariant", "seq t task invariant message"),
}


def documented() -> str:
    """The tables and their columns as Markdown: what `foreman sim tables` prints."""
    lines = []
    for name, table in TABLES.items():
        lines += [f"**{name}**: {table.about}", "", "| column | type | unit | |", "|---|---|---|---|"]
        lines += [f"| {each} | {' | '.join(COLUMNS[each])} |" for each in table.columns]
        lines.append("")
    return "\n".join(lines)
