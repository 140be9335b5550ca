"""The account of one Workload: where each of its steps stands, what it still waits for, and what has been decided about it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from foreman.api import AgenticTask, Workload, WorkloadPhase
from foreman.decide.account import News, in_order, said
from foreman.decide.pipeline import rounds
from foreman.decide.pipeline.book import Book, View
from foreman.decide.pipeline.outcome import Bucket, bucket, summary
from foreman.decide.pipeline.render import owner_uid, step_of
from foreman.decide.pipeline.steps import parse
from foreman.decide.snapshot import Snapshot
from foreman.decide.snapshot import step_of as next_step_of

ENDS = frozenset({WorkloadPhase.COMPLETED, WorkloadPhase.FAILED})


class Step(NamedTuple):
    """One child. `standing`: what it counts as; `counts`: False for one that a later round has replaced; `why`: what it waits
    for, or how it ended."""

    step: str
    task: str
    kind: str
    phase: str
    verdict: str
    node: str
    standing: str
    counts: bool
    why: str


class WorkloadAccount(NamedTuple):
    """Times in unix seconds. `totals`: how many of the steps that count stand where."""

    at: int
    workload: str
    phase: str
    intent: str
    repo: str
    totals: dict[str, int]
    iterations: int
    waits_for: tuple[str, ...]
    steps: tuple[Step, ...]
    news: tuple[News, ...]


def workload_account(snapshot: Snapshot, workload: Workload, news: tuple[News, ...] = ()) -> WorkloadAccount:
    """The account of `workload`, over the tasks of the snapshot."""
    meta, status = workload.metadata, workload.status
    own = {
        task.metadata.name: task
        for task in snapshot.tasks.values()
        if owner_uid(task) == meta.uid and task.metadata.namespace == meta.namespace
    }
    book = Book(View(workload, own, snapshot.at))
    steps = tuple(_step(snapshot, workload, book, name) for name in book.recorded)
    totals = Counter(each.standing for each in steps if each.counts)
    waits = tuple(f"{each.step}: {each.why}" for each in steps if each.counts and each.standing == Bucket.IN_FLIGHT)
    return WorkloadAccount(
        at=snapshot.at,
        workload=workload.key,
        phase=str(status.phase or "untouched"),
        intent=workload.spec.intent,
        repo=workload.spec.repo,
        totals=dict(sorted(totals.items())),
        iterations=status.review_iterations,
        waits_for=waits if status.phase not in ENDS else (),
        steps=steps,
        news=in_order((*said(status.conditions), *news)),
    )


def _step(snapshot: Snapshot, workload: Workload, book: Book, name: str) -> Step:
    task = book.live.get(name)
    step = step_of(workload, name, task)
    known = parse(step)
    issue = book.issues.get(known.issue) if known is not None else None
    counts = known is None or issue is None or not rounds.superseded(known, issue.latest)
    if task is None:
        outcome = book.outcomes.get(name)
        standing = outcome or (Bucket.DELETED if book.recorded[name] else Bucket.IN_FLIGHT)
        why = "gone" if outcome or book.recorded[name] else "yet to be created"
        return Step(step, name, "", "", "", "", str(standing), counts, why)
    status = task.status
    return Step(
        step,
        name,
        str(task.spec.kind),
        str(status.phase or "new"),
        str(status.verdict or ""),
        status.assigned_node,
        str(bucket(task)),
        counts,
        _why(snapshot, task),
    )


def _why(snapshot: Snapshot, task: AgenticTask) -> str:
    status = task.status
    if bucket(task) is not Bucket.IN_FLIGHT:
        last = max(status.conditions, key=lambda each: each.last_transition_time, default=None)
        return summary(task) or (last.message if last is not None else "")
    if status.assigned_node:
        return f"{status.phase} on {status.assigned_node}, attempt {status.attempt}"
    step = next_step_of(snapshot, task)
    return getattr(step, "message", "") or "waits for a node"
