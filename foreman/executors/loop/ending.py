"""How a loop can end, and what each end is in the task's result: verdict, outcome, failureReason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from foreman.api import FailureReason
from foreman.executors.loop.corrections import Fault
from foreman.executors.loop.model import NO_USAGE, ModelError, Usage
from foreman.executors.loop.submission import Submission

MODEL_DECIDED = "MODEL-DECIDED"
LOOP_INCOMPLETE = "LOOP-INCOMPLETE"
PRECONDITION_FAILED = "EXECUTOR-PRECONDITION-FAILED"
STUCK_LOOP = "STUCK-LOOP-DETECTED"
BUDGET_EXHAUSTED = "LOOP-BUDGET-EXHAUSTED"
CHECK_FAILED = "CODER-GATE-FAILED"
ENVTEST_GATE_FAILED = "ENVTEST-GATE-FAILED"
PROMOTED = {"ALREADY-RESOLVED": "resolvedBy", "NEEDS-VERIFICATION": "unverified"}
"""Outcomes a model may claim with NO-GO, and the field that goes to the top level with each."""


class End(Enum):
    SUBMITTED = "submitted"
    MAX_TURNS = "max-turns"
    MISUNDERSTOOD = "misunderstood"
    STUCK = "stuck"
    CHECK_FAILED = "check-failed"
    OUT_OF_TIME = "out-of-time"
    STOPPED = "stopped"
    ENDPOINT = "endpoint"


@dataclass(frozen=True)
class Ending:
    """`detail` says in a sentence why; `signal` names the check (STUCK) or the fault (MISUNDERSTOOD); `submission` is there
    when one was made, also when it was vetoed to the end (CHECK_FAILED)."""

    end: End
    detail: str = ""
    signal: str = ""
    submission: Submission | None = None
    error: ModelError | None = None
    turns: int = 0
    retries: int = 0
    usage: Usage = NO_USAGE


class Judgement(NamedTuple):
    """The part of a result that the end of the loop decides. `model_extra` goes to `extra.modelExtra`."""

    verdict: str
    summary: str
    outcome: str
    failure_reason: FailureReason | None = None
    model_extra: Mapping[str, Any] = {}
    top: Mapping[str, Any] = {}


def judge(ending: Ending) -> Judgement:
    """The judgement, before anything is committed. STOPPED has none: a cancelled run is no result."""
    end, submission = ending.end, ending.submission
    if end is End.SUBMITTED and submission is not None:
        return _submitted(submission)
    if end is End.MAX_TURNS:
        return _incomplete(ending, LOOP_INCOMPLETE, FailureReason.MAX_TURNS_EXHAUSTED)
    if end is End.MISUNDERSTOOD:
        return _incomplete(ending, LOOP_INCOMPLETE, FailureReason.MODEL_MISUNDERSTOOD)
    if end is End.STUCK:
        extra = {"outcome": STUCK_LOOP, "signal": ending.signal, "detail": ending.detail, "terminateTurn": ending.turns}
        return _incomplete(ending, MODEL_DECIDED, _stuck_reason(ending.signal), extra)
    if end is End.CHECK_FAILED:
        extra = {**(submission.extra if submission else {}), "outcome": CHECK_FAILED, "detail": ending.detail}
        return _incomplete(ending, MODEL_DECIDED, FailureReason.GATE_FAILED, extra)
    if end is End.OUT_OF_TIME:
        return _incomplete(ending, MODEL_DECIDED, FailureReason.TIMEOUT, {"outcome": BUDGET_EXHAUSTED})
    if end is End.ENDPOINT and ending.error is not None:
        outcome = LOOP_INCOMPLETE if ending.turns else PRECONDITION_FAILED
        return _incomplete(ending, outcome, ending.error.reason)
    raise ValueError(f"no judgement on a loop that was {end.value}")


def gate_failed(ending: Ending, why: str) -> Judgement:
    """Of a GO whose pushed branch does not pass, however often it was mended."""
    extra = ending.submission.extra if ending.submission else {}
    summary = f"{why.splitlines()[0]} (the model's own word: {ending.detail})"
    return Judgement("INCOMPLETE", summary, ENVTEST_GATE_FAILED, FailureReason.GATE_FAILED, extra)


def _stuck_reason(signal: str) -> FailureReason:
    return FailureReason.CONSTRAINT_VIOLATED if signal.startswith("context") else FailureReason.MODEL_MISUNDERSTOOD


def _incomplete(
    ending: Ending, outcome: str, reason: FailureReason, extra: Mapping[str, Any] | None = None
) -> Judgement:
    return Judgement("INCOMPLETE", ending.detail, outcome, reason, extra or {})


def _submitted(submission: Submission) -> Judgement:
    extra = submission.extra
    if submission.verdict == "ERROR":
        reason = FailureReason.MODEL_REPORTED_ERROR
        return Judgement("INCOMPLETE", submission.summary, MODEL_DECIDED, reason, extra)
    claimed = extra.get("outcome")
    if submission.verdict == "NO-GO" and isinstance(claimed, str) and claimed in PROMOTED:
        evidence = PROMOTED[claimed]
        top = {evidence: extra[evidence]} if evidence in extra else {}
        return Judgement("NO-GO", submission.summary, claimed, None, extra, top)
    return Judgement(submission.verdict, submission.summary, MODEL_DECIDED, None, extra)


FAULT_DETAIL: Mapping[Fault, str] = {
    Fault.NO_CALL: "the model called no tool in {n} turns in a row",
    Fault.REASONING_ONLY: "the model only reasoned in {n} turns in a row and never acted",
    Fault.TRUNCATED: "the model was cut off at the output limit in {n} turns in a row",
}
