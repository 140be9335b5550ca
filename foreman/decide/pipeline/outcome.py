"""How a child ended, as its result tells: what counts as success, what is worth a stronger coder, what is no failure at all.

`extra.outcome` is the executor's word for it, `extra.modelExtra.outcome` the model's own; the verdict alone does not decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from foreman.api import TERMINAL, AgenticTask, GateAdvisory, Phase, Verdict, Word, succeeded_on_target
from foreman.decide.pending import ALREADY_RESOLVED

MODEL_DECIDED = "MODEL-DECIDED"
NEEDS_VERIFICATION = "NEEDS-VERIFICATION"
CODER_GATE_FAILED = "CODER-GATE-FAILED"
WALLS = frozenset({"STUCK-LOOP-DETECTED", "ERROR"})
"""Outcomes of a run that hit a wall: worth a stronger coder only where the Workload says `escalateOnFailure`."""


class Bucket(Word):
    """What a child counts as. The words are kept in `status.outcomes` for when the child itself is gone."""

    IN_FLIGHT = "InFlight"
    SUCCEEDED = "Succeeded"
    SKIPPED = "Skipped"
    ALREADY_RESOLVED = "AlreadyResolved"
    INCOMPLETE = "Incomplete"
    FAILED = "Failed"
    DELETED = "Deleted"
    REJECTED = "Rejected"


class Ending(NamedTuple):
    """What the end of a task says; '' where it says nothing."""

    verdict: Verdict | None
    outcome: str
    model_outcome: str


def ended(task: AgenticTask) -> bool:
    return task.status.phase in TERMINAL


def ending(task: AgenticTask) -> Ending:
    extra = _extra(task)
    return Ending(task.status.verdict, _text(extra, "outcome"), _text(_mapping(extra.get("modelExtra")), "outcome"))


def summary(task: AgenticTask) -> str:
    return _text(task.status.result or {}, "summary").strip()


def resolved_by(task: AgenticTask) -> str:
    """The commit or branch that already holds the work, '' when it is not told."""
    return _text(_extra(task), "resolvedBy")


def model_extra(task: AgenticTask) -> Mapping[str, Any]:
    """What the model handed in beside its verdict."""
    return _mapping(_extra(task).get("modelExtra"))


def advisories(task: AgenticTask) -> tuple[GateAdvisory, ...]:
    """What the coder's gate noticed without failing it; nothing when it is malformed."""
    told = _extra(task).get("gateAdvisories")
    found = [each for each in told if isinstance(each, Mapping)] if isinstance(told, list) else []
    return tuple(GateAdvisory(check=_text(each, "check"), detail=_text(each, "detail")) for each in found)


def already_resolved(end: Ending) -> bool:
    """The work was on the branch or its base already: no failure, and nothing for a stronger coder to do (#970)."""
    return end.verdict is Verdict.NO_GO and end.outcome == ALREADY_RESOLVED


def needs_verification(end: Ending) -> bool:
    """It hangs on a fact that no coder can find out from the workspace (#1033)."""
    return end.verdict is Verdict.NO_GO and end.outcome == NEEDS_VERIFICATION


def lacked_ability(end: Ending) -> bool:
    """A coder that tried and could not: the default reason for a stronger one."""
    if already_resolved(end) or needs_verification(end):
        return False
    decided = end.verdict is Verdict.NO_GO and end.outcome == MODEL_DECIDED
    return decided or end.model_outcome == CODER_GATE_FAILED


def hit_a_wall(end: Ending) -> bool:
    """A coder that got stuck or gave up: a reason for a stronger one with `escalateOnFailure`."""
    if already_resolved(end) or needs_verification(end):
        return False
    return end.outcome in WALLS or (end.verdict is Verdict.INCOMPLETE and end.outcome == MODEL_DECIDED)


def bucket(task: AgenticTask) -> Bucket:
    status = task.status
    if status.phase not in TERMINAL:
        return Bucket.IN_FLIGHT
    if succeeded_on_target(status):
        return Bucket.SUCCEEDED
    if status.phase is Phase.SUCCEEDED and status.verdict is Verdict.SKIPPED:
        return Bucket.SKIPPED
    if already_resolved(ending(task)):
        return Bucket.ALREADY_RESOLVED
    return Bucket.FAILED if status.phase is Phase.FAILED else Bucket.INCOMPLETE


def _extra(task: AgenticTask) -> Mapping[str, Any]:
    return _mapping((task.status.result or {}).get("extra"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""
