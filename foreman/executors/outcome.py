"""The `foreman.v1` envelope of a native run: how the loop ended, and what became of the work, as a Result. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foreman.api import FailureReason, Result
from foreman.executors.loop.ending import PRECONDITION_FAILED, End, Ending, Judgement
from foreman.executors.loop.transcript import shortened
from foreman.executors.precondition import Precondition

KIND = "native-agent-loop"
MODEL_EXTRA_TEXT_MAX = 4096
NO_CHANGES, COMMIT_REJECTED, PUSH_FAILED = "NO-CHANGES", "COMMIT-REJECTED", "PUSH-FAILED"
REASONS = {COMMIT_REJECTED: FailureReason.CONSTRAINT_VIOLATED, PUSH_FAILED: FailureReason.INFRASTRUCTURE_ERROR}


@dataclass(frozen=True)
class Published:
    """A branch and its head; or `outcome` (NO-CHANGES, COMMIT-REJECTED, PUSH-FAILED) and `detail`: why there is none."""

    branch: str = ""
    commit_sha: str = ""
    outcome: str = ""
    detail: str = ""


def precondition_failed(missing: Precondition, agent: str) -> Result:
    extra = {"outcome": PRECONDITION_FAILED, "agentName": agent}
    return Result(
        kind=KIND, verdict="INCOMPLETE", summary=str(missing), extra=extra, failure_reason=missing.reason.value
    )


def result_of(ending: Ending, judged: Judgement, published: Published | None, extra: Mapping[str, Any]) -> Result:
    """`published` None: there was nothing to publish (a reviewer's GO, a task without a repository, no GO)."""
    verdict, outcome, summary, reason = judged.verdict, judged.outcome, judged.summary, judged.failure_reason
    if published is not None and published.outcome and ending.end is End.SUBMITTED:
        verdict, outcome, reason = "NO-GO", published.outcome, REASONS.get(published.outcome)
        summary = f"{published.detail} (the model's own word: {summary})"
    said = {
        "outcome": outcome,
        **judged.top,
        "turnCount": ending.turns,
        "retryCount": ending.retries,
        "usage": {"promptTokens": ending.usage.prompt, "completionTokens": ending.usage.completion},
        **extra,
        **_where(published),
        "modelExtra": shortened(dict(judged.model_extra), MODEL_EXTRA_TEXT_MAX),
    }
    kept = {name: value for name, value in said.items() if value not in ("", {}, None)}
    return Result(kind=KIND, verdict=verdict, summary=summary, extra=kept, failure_reason=reason and reason.value)


def _where(published: Published | None) -> dict[str, str]:
    if published is None:
        return {}
    if published.outcome:
        return {"intendedBranch": published.branch}
    return {"branch": published.branch, "commitSHA": published.commit_sha}
