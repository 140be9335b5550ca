"""The rounds of all issues of a batch: what is due, what fits under `maxTasks`, and the conditions that say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from foreman.api import (
    CONDITION_CODER_ESCALATION_TRIGGERED,
    CONDITION_ESCALATION_TRIGGERED,
    CONDITION_REVIEW_ITERATION_TRIGGERED,
    CONDITION_TRUNCATED,
    PipelineStep,
    with_condition,
)
from foreman.decide.pipeline import batch, cloud, rounds
from foreman.decide.pipeline.book import Book, Issue, View
from foreman.decide.pipeline.rollup import Conditions, some
from foreman.decide.pipeline.steps import CODE, ESCALATE, ESCALATED, StepId, parse


class Round(NamedTuple):
    """One kind of further round: the steps due, the step by which to tell an issue that has had it, and how it is told."""

    due: Callable[..., Iterator[PipelineStep]]
    had: Callable[[StepId], bool]
    condition: str
    reason: str
    told: str
    cap: str


ROUNDS = (
    Round(
        rounds.coder_escalation,
        lambda step: step.round == ESCALATED,
        CONDITION_CODER_ESCALATION_TRIGGERED,
        "BaseCoderCapabilityFailure",
        "went to the escalation coder",
        "MaxTasksCoderEscalationCap",
    ),
    Round(
        rounds.revision,
        lambda step: step.round > 0,
        CONDITION_REVIEW_ITERATION_TRIGGERED,
        "ReviewerNoGo",
        "went back to the coder after a reviewer's NO-GO",
        "MaxTasksIterationCap",
    ),
    Round(
        rounds.second_opinion,
        lambda step: step.stage == ESCALATE,
        CONDITION_ESCALATION_TRIGGERED,
        "BaseReviewerNoGo",
        "went to the escalation reviewers after a base reviewer's NO-GO",
        "MaxTasksEscalationCap",
    ),
)


class Emitted(NamedTuple):
    """`steps`: planned ones that are still to be created, and new ones."""

    steps: Sequence[PipelineStep]
    conditions: Conditions
    suppressed: Sequence[str] = ()


def emit(view: View, book: Book, conditions: Conditions) -> Emitted:
    """What the issues of a Workload are to get next, added to what its `conditions` say."""
    spec = view.workload.spec
    if book.issues and spec.escalation_reviewer_agent_refs and not spec.reviewer_agent_refs:
        message = "escalationReviewerAgentRefs are set but reviewerAgentRefs are not: there is nobody to escalate from"
        conditions = with_condition(
            conditions, CONDITION_ESCALATION_TRIGGERED, False, "NoBaseReviewers", message, view.wall
        )
    desk = _Desk(view, book)
    for issue in book.issues.values():
        desk.serve(issue)
    return Emitted(desk.steps, desk.told(conditions), desk.suppressed)


class _Desk:
    """Serves one issue after the other while there is room."""

    def __init__(self, view: View, book: Book) -> None:
        self.view = view
        self.book = book
        self.room = batch.room(view.workload.spec) - len(book.recorded)
        self.steps: list[PipelineStep] = []
        self.suppressed: list[str] = []
        self.refused: dict[Round, int] = {}
        self.begun: dict[Round, dict[int, str]] = {}

    def serve(self, issue: Issue) -> None:
        for kind in ROUNDS:
            due = list(kind.due(self.view.workload, issue.number, issue.tasks, issue.there))
            if not due:
                continue
            if issue.planned:
                # What is on its way is completed before anything new is thought of.
                self.steps += [step for step in due if parse(step.name) in issue.planned]
                continue
            kept = cloud.admitted(self.view, due)
            self.suppressed += kept.suppressed
            if len(kept.steps) > self.room:
                self.refused[kind] = self.refused.get(kind, 0) + len(kept.steps)
            elif kept.steps:
                self._take(kind, issue, kept.steps)
                return

    def _take(self, kind: Round, issue: Issue, steps: Sequence[PipelineStep]) -> None:
        self.room -= len(steps)
        self.steps += steps
        for step in steps:
            name = parse(step.name)
            assert name is not None
            issue.planned[name] = None
        self.begun.setdefault(kind, {})[issue.number] = self._reason(kind, issue)

    def _reason(self, kind: Round, issue: Issue) -> str:
        base = issue.tasks.get(StepId(CODE, issue.number))
        if kind.due is not rounds.coder_escalation or base is None:
            return kind.reason
        return rounds.escalation_reason(self.view.workload, base) or kind.reason

    def told(self, conditions: Conditions) -> Conditions:
        wall = self.view.wall
        for kind, reasons in self.begun.items():
            had = [
                number
                for number, issue in self.book.issues.items()
                if any(map(kind.had, (*issue.there, *issue.planned)))
            ]
            message = f"{len(had)} issue(s) {kind.told}: {some([f'#{number}' for number in had])}"
            reason = kind.reason if kind.reason in reasons.values() else next(iter(reasons.values()))
            conditions = with_condition(conditions, kind.condition, True, reason, message, wall)
        for kind, count in self.refused.items():
            most = batch.room(self.view.workload.spec)
            message = f"maxTasks={most} leaves no room for {count} more task(s)"
            conditions = with_condition(conditions, CONDITION_TRUNCATED, True, kind.cap, message, wall)
        return conditions
