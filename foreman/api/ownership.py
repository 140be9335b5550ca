"""Who may write what: one writer at a time for every field, told by role and by the phase the object is in.

The rows below are the only source; the simulator checks every committed write against them and the tables are derived.
A terminal task absorbs: no row starts there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from types import MappingProxyType
from typing import Final

from .fleetnode import FleetNodePhase
from .task import Phase

OPERATOR: Final = "operator"
AGENT: Final = "agent"
USER: Final = "user"

_Fields = frozenset[str]
_Row = tuple[str, Phase | None, Phase, _Fields]
_Node = FleetNodePhase | None

_CLAIM = frozenset({"assigned_node", "claimed_at", "started_at", "holder"})
_ASSIGNMENT = frozenset({"phase", "assigned_node", "attempt", "supervised", "retry_after", "conditions"})
_ENDING = frozenset({"phase", "verdict", "finished_at", "failure_reason", "conditions"})
_RELEASE = _CLAIM | {"phase", "retry_after", "conditions"}
_OUTCOME = _ENDING | {"result", "branch", "commit_sha", "transcript_ref", "job_name"}


def _rows() -> Iterator[_Row]:
    """(role, from, to, status fields it may write on the way); from = to is a write that leaves the phase alone."""
    pending, scheduled, running, verifying = Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.VERIFYING
    ends = (Phase.SUCCEEDED, Phase.FAILED)
    yield OPERATOR, None, pending, frozenset({"phase", "conditions"})
    yield OPERATOR, pending, pending, frozenset({"conditions"})
    yield OPERATOR, pending, scheduled, _ASSIGNMENT
    for end in ends:
        yield OPERATOR, pending, end, _ENDING
    for held in (scheduled, running, verifying):
        yield OPERATOR, held, pending, _RELEASE | {"strikes"}
        yield OPERATOR, held, Phase.FAILED, _ENDING
        yield AGENT, held, pending, _RELEASE | {"handbacks", "failures"}
    yield AGENT, scheduled, running, frozenset({"phase", "claimed_at", "started_at", "holder", "conditions"})
    yield AGENT, running, running, frozenset({"job_name"})
    yield AGENT, running, verifying, frozenset({"phase", "job_name", "conditions"})
    for working, end in product((running, verifying), ends):
        yield AGENT, working, end, _OUTCOME


TASK_WRITES: Mapping[tuple[str, Phase | None, Phase | None], frozenset[str]] = {
    (role, old, new): fields for role, old, new, fields in _rows()
}
"""(role, phase before the write, phase after it) -> status fields it may write on the way; no entry: none."""


def _writers() -> dict[tuple[Phase | None, str], _Fields]:
    table: dict[tuple[Phase | None, str], _Fields] = {}
    for (role, old, _), fields in TASK_WRITES.items():
        table[old, role] = table.get((old, role), frozenset()) | fields
    return table


def _transitions() -> dict[tuple[Phase | None, Phase | None], frozenset[str]]:
    table: dict[tuple[Phase | None, Phase | None], frozenset[str]] = {}
    for role, old, new in TASK_WRITES:
        if old is not new:
            table[old, new] = table.get((old, new), frozenset()) | {role}
    return table


TASK_WRITERS: Mapping[tuple[Phase | None, str], frozenset[str]] = MappingProxyType(_writers())
"""(phase the task is in, role) -> status fields (python names) that role may write; no entry: none."""

TRANSITIONS: Mapping[tuple[Phase | None, Phase | None], frozenset[str]] = MappingProxyType(_transitions())
"""(from, to) -> roles that may move a task so; no entry: nobody."""

TASK_PARTS: Mapping[str, frozenset[str]] = MappingProxyType({USER: frozenset({"spec", "labels"})})
"""role -> parts of a task outside its status which that role may change after creation."""

NODE_WRITERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        OPERATOR: frozenset({"phase", "conditions", "update_request"}),
        AGENT: frozenset(
            {"spec", "labels", "phase", "last_heartbeat_time", "capability", "current_task", "agent_version"}
            | {"agent_kind", "os", "arch", "instance"}
        ),
        USER: frozenset({"spec", "labels"}),
    }
)
"""role -> parts ("spec", "labels") and status fields of a FleetNode it may write, in any phase."""

NODE_SPEECHLESS: Mapping[FleetNodePhase | None, frozenset[str]] = MappingProxyType(
    dict.fromkeys((FleetNodePhase.NOT_READY, FleetNodePhase.DRAINING), frozenset({"current_task"}))
)
"""phase -> what the operator writes beside that, for an agent that cannot say it any more."""


def _node_transitions() -> dict[tuple[_Node, _Node], frozenset[str]]:
    ready, draining = FleetNodePhase.READY, FleetNodePhase.DRAINING
    not_ready, unknown = FleetNodePhase.NOT_READY, FleetNodePhase.UNKNOWN
    by_agent: set[tuple[_Node, _Node]] = {
        *product((None, unknown, draining, not_ready), (ready,)),
        *product((None, unknown, ready, not_ready), (draining,)),
    }
    by_operator: set[tuple[_Node, _Node]] = {
        (ready, not_ready),
        (not_ready, ready),
        *product((None, unknown), (ready, not_ready)),
    }
    moves = ((AGENT, by_agent), (OPERATOR, by_operator))
    return {
        pair: frozenset(role for role, pairs in moves if pair in pairs)
        for pair in product((None, *FleetNodePhase), FleetNodePhase)
        if any(pair in pairs for _, pairs in moves)
    }


NODE_TRANSITIONS: Mapping[tuple[_Node, _Node], frozenset[str]] = MappingProxyType(_node_transitions())
"""(from, to) -> roles that may move a FleetNode so."""

_NOBODY: frozenset[str] = frozenset()


def task_violation(role: str, old_phase: Phase | None, new_phase: Phase | None, fields: Iterable[str]) -> str | None:
    """What is wrong with `role` writing these status `fields` (the ones that differ), or None.

    `old_phase` is the phase before the write, `new_phase` after it.
    """
    allowed = TASK_WRITES.get((role, old_phase, new_phase), _NOBODY)
    if allowed.issuperset(fields):
        return None
    if old_phase is not new_phase and role not in TRANSITIONS.get((old_phase, new_phase), _NOBODY):
        return f"{role} may not move a task from {_word(old_phase)} to {_word(new_phase)}"
    excess = ", ".join(sorted(set(fields) - allowed))
    when = (
        f"that is {_word(old_phase)}" if old_phase is new_phase else f"going {_word(old_phase)} to {_word(new_phase)}"
    )
    return f"{role} may not write {excess} of a task {when}"


def node_violation(
    role: str, old_phase: FleetNodePhase | None, new_phase: FleetNodePhase | None, fields: Iterable[str]
) -> str | None:
    """What is wrong with `role` writing these `fields` (status fields, "spec", "labels") of a FleetNode, or None."""
    if old_phase is not new_phase and role not in NODE_TRANSITIONS.get((old_phase, new_phase), _NOBODY):
        return f"{role} may not move a FleetNode from {_word(old_phase)} to {_word(new_phase)}"
    allowed = NODE_WRITERS.get(role, _NOBODY)
    if role == OPERATOR:
        allowed |= NODE_SPEECHLESS.get(new_phase, _NOBODY)
    if allowed.issuperset(fields):
        return None
    return f"{role} may not write {', '.join(sorted(set(fields) - allowed))} of a FleetNode"


def _word(phase: Phase | FleetNodePhase | None) -> str:
    return phase.value if phase else "new"
