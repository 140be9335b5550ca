"""Whether a task is where it may stay once the faults are over."""

from __future__ import annotations

from foreman.api import CONDITION_DEP_WAIT_STARTED, CONDITION_SCHEDULED, TERMINAL, AgenticTask, Phase, condition
from foreman.decide.custody import timeout_of

SETTLE = 300_000_000
"""Microseconds after the last fault within which everything must have calmed down."""

_RUNNING = (Phase.RUNNING, Phase.VERIFYING)


def unsettled(task: AgenticTask, wall: int) -> str:
    status = task.status
    age = wall - (task.metadata.creation_timestamp or 0)
    if status.phase in TERMINAL or age < SETTLE // 1_000_000:
        return ""
    if status.phase is Phase.PENDING:
        told = condition(status.conditions, CONDITION_SCHEDULED)
        absent = condition(status.conditions, CONDITION_DEP_WAIT_STARTED)
        says = (told is not None and told.status == "False") or absent is not None or status.retry_after
        return "" if says else "Pending without a condition that says why"
    if status.phase in _RUNNING:
        ran = wall - (status.started_at or wall)
        return f"Running for {ran}s, past its deadline" if ran > timeout_of(task) + SETTLE // 1_000_000 else ""
    scheduled = condition(status.conditions, CONDITION_SCHEDULED)
    since = wall - (scheduled.last_transition_time if scheduled else wall)
    if status.phase is Phase.SCHEDULED and since > SETTLE // 1_000_000:
        return f"Scheduled to {status.assigned_node} for {since}s and not claimed"
    return "" if status.phase is not None else "never looked at"
