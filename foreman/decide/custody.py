"""A task in flight: assign it, and take it back when its node has gone silent or its time is up.

Strikes: a claim lost with its node counts against the pair (task, node). The third strike ends the task, as in the
original; but strikes decay with progress, one for each half hour the claim had lived, so that a long task on a flaky
link is not poisoned (L28), and the scheduler avoids the nodes a task has strikes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foreman.api import (
    ANNOTATION_CLAIM_EXPIRIES,
    CONDITION_CLAIM_EXPIRED,
    CONDITION_FAILED,
    CONDITION_SCHEDULED,
    REASON_CLAIM_EXPIRED,
    REASON_CLAIM_EXPIRY_LIMIT_REACHED,
    REASON_FLEET_NODE_ASSIGNED,
    AgenticTask,
    FailureReason,
    Phase,
    Verdict,
    format_time,
    with_condition,
)
from foreman.decide.lifecycle import Event, after
from foreman.decide.pending import Write

STRIKE_LIMIT = 3
FORGIVE_SECONDS = 1800
DEFAULT_TIMEOUT_SECONDS = 2700
DEADLINE_GRACE_SECONDS = 60
CLAIM_SECONDS = 90
"""How long an assigned task may stay unclaimed on a node that is alive (L6)."""

CLAIM_CLEARED: Mapping[str, Any] = {
    "phase": Phase.PENDING,
    "assigned_node": "",
    "holder": "",
    "claimed_at": None,
    "started_at": None,
}


def timeout_of(task: AgenticTask) -> int:
    """Seconds the task may run; 0 stands for the documented 45 minutes."""
    return task.spec.timeout_seconds or DEFAULT_TIMEOUT_SECONDS


def assign(task: AgenticTask, node: str, wall: int, slot: bool = True) -> Mapping[str, Any]:
    """The patch that gives a Pending task to `node` under a new attempt number. `slot`: whether it takes a slot there."""
    status = task.status
    message = f'scheduled to FleetNode "{node}"'
    changes: dict[str, Any] = {
        "phase": after(status.phase, Event.ASSIGNED),
        "assigned_node": node,
        "attempt": status.attempt + 1,
        "conditions": with_condition(
            status.conditions, CONDITION_SCHEDULED, True, REASON_FLEET_NODE_ASSIGNED, message, wall
        ),
    }
    if status.retry_after is not None:
        changes["retry_after"] = None
    if status.supervised is slot:
        changes["supervised"] = not slot
    return changes


def strikes(task: AgenticTask) -> int:
    """Claims lost so far. The annotation is the original's counter: whichever knows more counts."""
    noted = task.metadata.annotations.get(ANNOTATION_CLAIM_EXPIRIES, "0")
    counted = sum(task.status.strikes.values())
    return max(counted, int(noted)) if noted.isdecimal() else counted


def standing_strikes(task: AgenticTask, wall: int) -> int:
    """Strikes that still count: the present claim has worked off one for each half hour it has lived."""
    claimed = task.status.claimed_at
    lived = max(wall - claimed, 0) if claimed is not None else 0
    return max(strikes(task) - lived // FORGIVE_SECONDS, 0)


def expire(task: AgenticTask, detail: str, wall: int) -> Write:
    """Take a claim back because its node is silent: release it, or end the task at the third strike."""
    prior = standing_strikes(task, wall)
    node = task.status.assigned_node
    if prior + 1 >= STRIKE_LIMIT:
        message = f'claim expired {prior + 1} times, last on node "{node}": {detail}'
        return _end(task, Event.GAVE_UP, REASON_CLAIM_EXPIRY_LIMIT_REACHED, message, wall)
    conditions = with_condition(
        task.status.conditions,
        CONDITION_CLAIM_EXPIRED,
        True,
        REASON_CLAIM_EXPIRED,
        f'released from node "{node}": {detail}',
        wall,
    )
    changes = {
        **CLAIM_CLEARED,
        "phase": after(task.status.phase, Event.EXPIRED),
        "strikes": _struck(task, node, prior),
        "conditions": conditions,
    }
    return Write(changes, REASON_CLAIM_EXPIRED)


def _struck(task: AgenticTask, node: str, prior: int) -> dict[str, int | None]:
    """Merge patch of the strikes map: `node` gets one more, forgiven ones go from the others first."""
    counts = dict(task.status.strikes)
    unknown = prior - sum(counts.values())
    if unknown > 0:
        counts[node] = counts.get(node, 0) + unknown
    excess = sum(counts.values()) - prior
    for name in sorted(counts, key=lambda name: (name == node, name)):
        forgiven = min(counts[name], max(excess, 0))
        counts[name] -= forgiven
        excess -= forgiven
    counts[node] = counts.get(node, 0) + 1
    return {name: count or None for name, count in counts.items()}


def leave(task: AgenticTask, wall: int) -> Write:
    """Take back what is only assigned to a node that has said that it leaves: nobody there will claim it. No strike (L25)."""
    message = f'taken back from node "{task.status.assigned_node}", which is draining'
    conditions = with_condition(task.status.conditions, CONDITION_SCHEDULED, False, "NodeDraining", message, wall)
    changes = {**CLAIM_CLEARED, "phase": after(task.status.phase, Event.HANDED_BACK), "conditions": conditions}
    return Write(changes, "NodeDraining")


def time_out(task: AgenticTask, wall: int) -> Write:
    """End a task that ran past its deadline although its node is alive: a hung executor, or an agent that does not
    enforce it."""
    message = f'ran longer than {timeout_of(task)}s on node "{task.status.assigned_node}"'
    return _end(task, Event.TIMED_OUT, "DeadlineExceeded", message, wall, FailureReason.TIMEOUT)


def _end(
    task: AgenticTask,
    event: Event,
    reason: str,
    message: str,
    wall: int,
    failure: FailureReason = FailureReason.INFRASTRUCTURE_ERROR,
) -> Write:
    changes = {
        "phase": after(task.status.phase, event),
        "verdict": Verdict.INCOMPLETE,
        "failure_reason": failure,
        "finished_at": wall,
        "conditions": with_condition(task.status.conditions, CONDITION_FAILED, True, reason, message, wall),
    }
    return Write(changes, reason)


def silence_detail(known: bool, last_heartbeat: int | None) -> str:
    """Why a node counts as lost, in the original's words."""
    if not known:
        return "FleetNode not found"
    return "no heartbeat recorded" if last_heartbeat is None else f"last heartbeat {format_time(last_heartbeat)}"


def deadline_of(task: AgenticTask) -> int:
    """Seconds the operator lets the task run: its timeout plus a grace for the agent to act first."""
    return timeout_of(task) + DEADLINE_GRACE_SECONDS


def past_deadline(task: AgenticTask, seconds_in_phase: float) -> bool:
    """Whether the operator itself has seen the task run longer than that."""
    running = task.status.phase in (Phase.RUNNING, Phase.VERIFYING)
    return running and seconds_in_phase > deadline_of(task)


def unclaimed_too_long(task: AgenticTask, seconds_in_phase: float) -> bool:
    return task.status.phase is Phase.SCHEDULED and seconds_in_phase > CLAIM_SECONDS
