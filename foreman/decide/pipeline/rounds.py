"""What an issue needs next, from how its tasks ended: a stronger coder, a revision, a second opinion.

Each function gives the steps that are due and not `there` yet, so a round that was rendered in part is completed. They exclude
each other: a coder that failed was never reviewed, and a reviewer's NO-GO means that the coder had succeeded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from foreman.api import AgenticTask, BranchStrategy, Payload, PipelineStep, TaskKind, Verdict, Workload
from foreman.decide.pipeline import batch, prompts
from foreman.decide.pipeline.outcome import ended, ending, hit_a_wall, lacked_ability, summary
from foreman.decide.pipeline.steps import CODE, ESCALATE, ESCALATED, REVIEW, VERIFY, StepId, parse

ITERATIONS_DEFAULT = 1

Tasks = Mapping[StepId, AgenticTask]
"""The tasks of one issue that are there."""
There = Collection[StepId]
"""The steps of one issue that have, or once had, a task."""


def coder_escalation(workload: Workload, issue: int, tasks: Tasks, there: There) -> Iterator[PipelineStep]:
    """Coder, gate and reviewers of a second try by the escalation coder, on a branch of its own."""
    spec = workload.spec
    base = tasks.get(StepId(CODE, issue))
    if spec.escalation_coder_agent_ref is None or base is None or escalation_reason(workload, base) is None:
        return
    if _whole(workload, issue, ESCALATED, there):
        return
    payload = Payload(
        repo=spec.repo,
        issue=issue,
        branch=batch.branch(workload, issue, escalated=True),
        allow_overwrite=spec.allow_overwrite,
        prompt_prefix=prompts.joined(prompts.intent_prefix(spec.intent), prompts.escalation_hint(summary(base))),
    )
    code = StepId(CODE, issue, 0, ESCALATED)
    round_ = [
        batch.step(code, TaskKind.ISSUE_FIX, spec.escalation_coder_agent_ref, payload),
        *batch.checks(workload, issue, ESCALATED),
    ]
    yield from _missing(round_, there)


def escalation_reason(workload: Workload, base: AgenticTask) -> str | None:
    """Why the issue of this base coder goes to the escalation coder; None when it does not (now)."""
    if not ended(base):
        return None
    end = ending(base)
    if lacked_ability(end):
        return "BaseCoderCapabilityFailure"
    if workload.spec.escalate_on_failure and hit_a_wall(end):
        return "BaseCoderFailureEscalation"
    return None


def iterations(workload: Workload) -> int:
    """How many revisions an issue gets at most."""
    limit = workload.spec.max_review_iterations
    return ITERATIONS_DEFAULT if limit is None else limit


def revision(workload: Workload, issue: int, tasks: Tasks, there: There) -> Iterator[PipelineStep]:
    """Coder, gate and reviewers of the revisions that are due: the k-th once round k-1 was reviewed with a NO-GO."""
    spec = workload.spec
    coder = spec.revision_coder_agent_ref or spec.coder_agent_ref
    if coder is None or not spec.reviewer_agent_refs:
        return
    branch = batch.branch(workload, issue)
    for number in range(1, iterations(workload) + 1):
        rejections = rejected_round(tasks, there, number - 1)
        if not rejections:
            return
        if _whole(workload, issue, number, there):
            continue
        payload = Payload(
            repo=spec.repo,
            issue=issue,
            branch=branch,
            revise_from_branch=branch,
            branch_strategy=BranchStrategy.REBASE,
            allow_overwrite=True,
            prompt_prefix=prompts.intent_prefix(spec.intent),
            prompt=prompts.review_feedback(rejections),
        )
        code = batch.step(StepId(CODE, issue, 0, number), TaskKind.ISSUE_FIX, coder, payload)
        yield from _missing([code, *batch.checks(workload, issue, number)], there)


def second_opinion(workload: Workload, issue: int, tasks: Tasks, there: There) -> Iterator[PipelineStep]:
    """The escalation reviewers, once the latest round was reviewed with a NO-GO. A revision that is due goes before."""
    spec = workload.spec
    if not spec.escalation_reviewer_agent_refs or not spec.reviewer_agent_refs:
        return
    latest = latest_round(there)
    if latest == ESCALATED or not rejected_round(tasks, there, latest):
        return
    payload = Payload(repo=spec.repo, issue=issue, branch=batch.branch(workload, issue))
    round_ = [
        batch.step(StepId(ESCALATE, issue, index), TaskKind.REVIEW, reviewer, payload)
        for index, reviewer in enumerate(spec.escalation_reviewer_agent_refs)
    ]
    yield from _missing(round_, there)


def rejected_round(tasks: Tasks, there: There, number: int) -> list[AgenticTask]:
    """The reviews of round `number` that said NO-GO, once all of that round have ended; else nothing.

    Judged by the reviews there are, not by those there should be: a reviewer that was left out must not block the rest. One
    that was cascade-failed, or deleted, has ended without a NO-GO.
    """
    reviews = sorted(each for each in there if each.stage == REVIEW and each.round == number)
    found = [task for each in reviews if (task := tasks.get(each)) is not None]
    if not all(ended(task) for task in found):
        return []
    return [task for task in found if task.status.verdict is Verdict.NO_GO]


def latest_round(there: Iterable[StepId]) -> int:
    """The round that counts: the escalation coder's if there is one, else the last revision."""
    numbers = {each.round for each in there if each.stage != ESCALATE}
    return ESCALATED if ESCALATED in numbers else max(numbers, default=0)


def superseded(step: StepId, latest: int) -> bool:
    """Whether a later round has taken the place of this step: it counts no more."""
    return step.stage != ESCALATE and step.round != latest


def _whole(workload: Workload, issue: int, number: int, there: There) -> bool:
    """Whether nothing of round `number` is missing: the usual case, for which no step need be made up."""
    spec = workload.spec
    reviews = (StepId(REVIEW, issue, index, number) for index in range(len(spec.reviewer_agent_refs)))
    gate = [StepId(VERIFY, issue, 0, number)] if spec.verifier_agent_ref is not None else []
    return all(step in there for step in (StepId(CODE, issue, 0, number), *gate, *reviews))


def _missing(round_: Iterable[PipelineStep], there: There) -> Iterator[PipelineStep]:
    return (each for each in round_ if parse(each.name) not in there)
