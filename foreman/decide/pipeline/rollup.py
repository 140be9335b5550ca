"""What a Workload's children add up to: counts, phase, and the conditions that say so.

Phases are computed anew each time, never carried on. A child that somebody deleted before it had ended counts as failed: it was
planned, and nobody will do it (upstream #1738 lets the Workload wait for ever).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from foreman.api import (
    CONDITION_CODER_ALREADY_RESOLVED,
    CONDITION_COMPLETED,
    CONDITION_DISPATCHED,
    AgenticTask,
    Condition,
    WorkloadPhase,
    condition,
    with_condition,
)
from foreman.decide.pipeline.outcome import Bucket, resolved_by

SHOWN = 10

Conditions = tuple[Condition, ...]


class Standing(NamedTuple):
    """The phase the counts call for, and the reason and the sentence that go with it."""

    phase: WorkloadPhase
    reason: str
    message: str


class Resolved(NamedTuple):
    """An issue that was already resolved, and by what ('' when it is not told)."""

    issue: int
    by: str


def standing(counts: Counter[Bucket], deleted: Sequence[str] = ()) -> Standing:
    """`counts` of the children that count; `deleted`: names of those that are gone before their end."""
    succeeded, resolved = counts[Bucket.SUCCEEDED], counts[Bucket.ALREADY_RESOLVED]
    incomplete, failed = counts[Bucket.INCOMPLETE], counts[Bucket.FAILED] + counts[Bucket.REJECTED]
    total = counts.total() - counts[Bucket.SKIPPED] - resolved
    told = f"{succeeded} on-target, {incomplete} incomplete, {failed} failed"
    told += f", {len(deleted)} deleted ({some(deleted)})" if deleted else ""
    if counts[Bucket.IN_FLIGHT]:
        message = f"{counts[Bucket.IN_FLIGHT]} in-flight, {told}, {resolved} already-resolved"
        return Standing(WorkloadPhase.DISPATCHED, "ChildrenInFlight", message)
    if failed or deleted or incomplete:
        reason = "ChildrenFailed" if failed else "ChildrenDeleted" if deleted else "ChildrenIncomplete"
        return Standing(WorkloadPhase.FAILED, reason, f"{told} (of {total}); {resolved} already-resolved")
    if not succeeded and resolved:
        return Standing(
            WorkloadPhase.COMPLETED, "AllAlreadyResolved", f"{resolved} issue(s) already resolved, no fix attempted"
        )
    message = f"{succeeded}/{total} child tasks on-target Succeeded"
    message += f"; {resolved} already-resolved (no fix attempted)" if resolved else ""
    return Standing(WorkloadPhase.COMPLETED, "AllChildrenSucceeded", message)


def rolled_up(conditions: Conditions, now: Standing, wall: int) -> Conditions:
    """`Dispatched` is True while children are in flight, `Completed` tells the end; neither is left behind by the other."""
    if now.phase is WorkloadPhase.DISPATCHED:
        conditions = with_condition(conditions, CONDITION_DISPATCHED, True, now.reason, now.message, wall)
        if condition(conditions, CONDITION_COMPLETED) is not None:
            conditions = with_condition(conditions, CONDITION_COMPLETED, False, now.reason, now.message, wall)
        return conditions
    good = now.phase is WorkloadPhase.COMPLETED
    conditions = with_condition(conditions, CONDITION_COMPLETED, good, now.reason, now.message, wall)
    return with_condition(conditions, CONDITION_DISPATCHED, False, now.reason, "all children have ended", wall)


def resolved_issues(children: Iterable[AgenticTask]) -> list[Resolved]:
    """The issues of the children that ended already resolved, in order, each with its own evidence."""
    found = ((task.spec.payload.issue, resolved_by(task)) for task in children)
    return sorted(Resolved(issue, by) for issue, by in found if issue is not None)


def already_resolved(conditions: Conditions, issues: Sequence[Resolved], wall: int) -> Conditions:
    if not issues:
        if condition(conditions, CONDITION_CODER_ALREADY_RESOLVED) is None:
            return conditions
        return with_condition(
            conditions,
            CONDITION_CODER_ALREADY_RESOLVED,
            False,
            "NoAlreadyResolved",
            "no coder ended already resolved",
            wall,
        )
    named = some([f"#{each.issue}" + (f" by {each.by}" if each.by else "") for each in issues])
    message = f"{len(issues)} issue(s) already resolved at run time: {named}"
    return with_condition(conditions, CONDITION_CODER_ALREADY_RESOLVED, True, "AlreadyResolved", message, wall)


def some(words: Sequence[object]) -> str:
    """'a, b, c and 4 more'."""
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(map(str, words[:SHOWN])) + more
