"""The node's side: which task to claim next, whether a claim is still ours, and what to report.

The fence is what the claim left on the task: `attempt` rises with every assignment, `holder` names the agent process that
claimed. A result lands only while they still stand; the write itself is conditional on the version at which that was checked.
A cluster with the original's CRDs prunes both: there the node and the time of the claim are what is left to tell claims apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from foreman.api import (
    CONDITION_COMPLETED,
    CONDITION_RUNNING,
    CONDITION_SCHEDULED,
    IN_FLIGHT,
    REASON_AGENT_RESTART_RECOVERY,
    REASON_CLAIMED,
    REASON_EXECUTOR_CONTRACT_VIOLATION,
    REASON_EXECUTOR_ERROR,
    REASON_EXECUTOR_SUCCEEDED,
    REASON_TERMINAL_PATCH_REJECTED,
    TERMINAL,
    AgenticTask,
    FailureReason,
    Phase,
    Result,
    TaskKind,
    Verdict,
    condition,
    with_condition,
)
from foreman.api.wire import to_wire
from foreman.decide.custody import CLAIM_CLEARED
from foreman.decide.lifecycle import Event, after

DEPTH = {TaskKind.REVIEW: 0, TaskKind.VERIFY: 1, TaskKind.ISSUE_FIX: 2}
REJECTION_CHARACTERS = 512


class Outcome(NamedTuple):
    """How a run ended. Exactly one of `result` and `error` is set, except that neither is after a contract violation."""

    result: Result | None = None
    error: str | None = None
    timed_out: bool = False


class Fence(NamedTuple):
    """What tells one claim of a task from every other."""

    attempt: int
    holder: str
    node: str
    claimed_at: int | None


def fence_of(task: AgenticTask) -> Fence:
    """The fence of the claim that stands on the task."""
    status = task.status
    return Fence(status.attempt, status.holder, status.assigned_node, status.claimed_at)


def claim_order(task: AgenticTask) -> tuple[int, int, int, str]:
    """Sort key: priority first, then what finishes work soonest (review, verify, issue-fix, rest; #936), then the oldest."""
    meta = task.metadata
    return -task.spec.priority, DEPTH.get(task.spec.kind, 3), meta.creation_timestamp or 0, meta.name


def admits(slots: int, running: int) -> bool:
    """Whether a node that runs `running` tasks may claim one more."""
    return running < slots


def claimable(task: AgenticTask | None, node: str) -> bool:
    """Assigned to this node, not claimed yet, not being deleted."""
    return (
        task is not None
        and task.status.phase is Phase.SCHEDULED
        and task.status.assigned_node == node
        and task.metadata.deletion_timestamp is None
    )


def still_ours(task: AgenticTask, fence: Fence) -> bool:
    """Whether the claim stands on the object as it is now."""
    return task.status.phase in IN_FLIGHT and fence_of(task) == fence


def reported(task: AgenticTask, fence: Fence) -> bool:
    """Whether the claim has ended by its own report: true when only the answer to the report was lost."""
    status = task.status
    ours = status.phase in TERMINAL and fence_of(task) == fence
    return ours and condition(status.conditions, CONDITION_COMPLETED) is not None


def claim(task: AgenticTask, node: str, holder: str, wall: int) -> Mapping[str, Any]:
    """The patch by which `holder` takes the task."""
    status = task.status
    return {
        "phase": after(status.phase, Event.CLAIMED),
        "claimed_at": wall,
        "started_at": wall,
        "holder": holder,
        "conditions": with_condition(
            status.conditions, CONDITION_RUNNING, True, REASON_CLAIMED, f"claimed by {node}", wall
        ),
    }


def hand_back(task: AgenticTask, reason: str, message: str, wall: int) -> Mapping[str, Any]:
    """The patch that returns a task unfinished, through no fault of its own or of the node: no strike."""
    status = task.status
    conditions = status.conditions
    if status.phase is Phase.SCHEDULED:
        conditions = with_condition(conditions, CONDITION_SCHEDULED, False, reason, message, wall)
    else:
        conditions = with_condition(conditions, CONDITION_RUNNING, False, reason, message, wall)
    return {
        **CLAIM_CLEARED,
        "phase": after(status.phase, Event.HANDED_BACK),
        "handbacks": status.handbacks + 1,
        "conditions": conditions,
    }


def recover(task: AgenticTask, wall: int) -> Mapping[str, Any]:
    """The patch for a task that an earlier life of this agent left Running."""
    return hand_back(task, REASON_AGENT_RESTART_RECOVERY, "the agent restarted while the task ran", wall)


def report(task: AgenticTask, outcome: Outcome, wall: int) -> Mapping[str, Any]:
    """The patch that ends the attempt: a result succeeds whatever its verdict, anything else fails or is tried again."""
    if outcome.result is not None:
        return _succeeded(task, outcome.result, wall)
    if outcome.error is None:
        reason, message = REASON_EXECUTOR_CONTRACT_VIOLATION, "executor returned no error and no result"
    else:
        reason, message = REASON_EXECUTOR_ERROR, outcome.error
    if outcome.timed_out:
        reason = "TimeoutExceeded"
    policy = task.spec.retry_policy
    if task.status.failures + 1 < policy.max_attempts:
        return _retry(task, reason, message, wall + policy.backoff_seconds, wall)
    return {
        "phase": after(task.status.phase, Event.FAILED),
        "verdict": Verdict.INCOMPLETE,
        "failure_reason": FailureReason.TIMEOUT if outcome.timed_out else FailureReason.INFRASTRUCTURE_ERROR,
        "finished_at": wall,
        "conditions": with_condition(task.status.conditions, CONDITION_COMPLETED, False, reason, message, wall),
    }


def _retry(task: AgenticTask, reason: str, message: str, not_before: int, wall: int) -> Mapping[str, Any]:
    conditions = with_condition(task.status.conditions, CONDITION_RUNNING, False, reason, message, wall)
    phase = after(task.status.phase, Event.RETRIED)
    failures = task.status.failures + 1
    return {
        **CLAIM_CLEARED,
        "phase": phase,
        "retry_after": not_before,
        "failures": failures,
        "conditions": conditions,
    }


def _succeeded(task: AgenticTask, result: Result, wall: int) -> Mapping[str, Any]:
    extra = result.extra
    changes = {
        "phase": after(task.status.phase, Event.FINISHED),
        "verdict": result.verdict,
        "result": to_wire(result),
        "finished_at": wall,
        "conditions": with_condition(
            task.status.conditions, CONDITION_COMPLETED, True, REASON_EXECUTOR_SUCCEEDED, result.summary, wall
        ),
    }
    lifted = {
        "branch": extra.get("branch") or extra.get("intendedBranch"),
        "commit_sha": extra.get("commitSHA"),
        "job_name": extra.get("jobName"),
        "transcript_ref": extra.get("transcriptRef"),
        "failure_reason": result.failure_reason,
    }
    changes.update((field, value) for field, value in lifted.items() if value)
    return changes


def rejected(task: AgenticTask, result: Result | None, error: str, wall: int) -> Mapping[str, Any]:
    """The patch after the API server refused the report as invalid (#649): the raw result is kept, the task ends."""
    verdict = result.verdict if result is not None else ""
    message = f"verdict {verdict!r} was rejected: {error}"[:REJECTION_CHARACTERS]
    return {
        "phase": after(task.status.phase, Event.FAILED),
        "verdict": Verdict.INCOMPLETE,
        "failure_reason": FailureReason.INFRASTRUCTURE_ERROR,
        "result": to_wire(result) if result is not None else None,
        "finished_at": wall,
        "conditions": with_condition(
            task.status.conditions, CONDITION_COMPLETED, False, REASON_TERMINAL_PATCH_REJECTED, message, wall
        ),
    }
