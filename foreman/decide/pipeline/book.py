"""A Workload's children: what its status records of them, held against those that there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from foreman.api import Agent, AgenticTask, Workload
from foreman.decide.pipeline import batch, rounds
from foreman.decide.pipeline.outcome import Bucket, bucket
from foreman.decide.pipeline.render import step_of
from foreman.decide.pipeline.rollup import Resolved, resolved_issues
from foreman.decide.pipeline.steps import StepId, parse


class View(NamedTuple):
    """All that a decision rests on. `children`: the tasks this very Workload (by uid) controls, by name; `agent(name)`: one of
    its namespace; `gone`: names the API server has said there is no child of; `taken`: names that are somebody else's."""

    workload: Workload
    children: Mapping[str, AgenticTask]
    wall: int
    agent: Callable[[str], Agent | None] = lambda name: None
    allow_cloud: bool = True
    gone: Collection[str] = ()
    taken: Collection[str] = ()


class Issue:
    """The steps of one issue. `tasks`: those that have a task now; `there`: those that have or had one; `planned`: those whose
    name is recorded and which are yet to be created."""

    __slots__ = ("number", "planned", "tasks", "there")

    def __init__(self, number: int) -> None:
        self.number = number
        self.tasks: dict[StepId, AgenticTask] = {}
        self.there: dict[StepId, None] = {}
        self.planned: dict[StepId, None] = {}

    @property
    def latest(self) -> int:
        return rounds.latest_round([*self.there, *self.planned])


class Book:
    """`recorded`: name -> uid of every child ever planned, '' until it has been seen; `live`: the children that are there;
    `outcomes`: what those that have ended count as."""

    def __init__(self, view: View) -> None:
        status = view.workload.status
        self.view = view
        self.outcomes = {name: Bucket(word) for name, word in status.outcomes.items() if word in _BUCKETS}
        self.recorded = {ref.name: ref.uid for ref in status.tasks}
        self.live: dict[str, AgenticTask] = {}
        for name in sorted(view.children):
            task = view.children[name]
            # One that came after the recorded one had gone was made by somebody late: it is not counted twice.
            if self.recorded.get(name, "") in ("", task.metadata.uid):
                self.recorded[name] = task.metadata.uid
                self.live[name] = task
        self.issues: dict[int, Issue] = {}
        self.steps: dict[str, StepId] = {}
        if batch.in_issues(view.workload.spec):
            self._sort()

    def _sort(self) -> None:
        workload = self.view.workload
        for number in workload.spec.issues:
            self.issues[number] = Issue(number)
        for name in self.recorded:
            task = self.live.get(name)
            step = parse(step_of(workload, name, task))
            issue = self.issues.get(step.issue) if step is not None else None
            if step is None or issue is None:
                continue
            self.steps[name] = step
            if task is not None:
                issue.tasks[step] = task
            if self.confirmed(name):
                issue.there[step] = None
            else:
                issue.planned[step] = None

    def confirmed(self, name: str) -> bool:
        """Whether the child is, or once was, there (or never will be)."""
        return bool(self.recorded.get(name)) or name in self.outcomes

    def plan(self, name: str) -> None:
        """Record a child that is to be created."""
        self.recorded.setdefault(name, "")

    def drop(self, names: Collection[str]) -> None:
        for name in names:
            del self.recorded[name]


class Tally(NamedTuple):
    """`counts` of the children that count; `deleted` of them; `doubtful`: recorded ones that are not to be seen;
    `resolved`: issues that needed no work."""

    counts: Counter[Bucket]
    deleted: list[str]
    doubtful: list[str]
    resolved: list[Resolved]


def tally(book: Book, awaited: Collection[str]) -> Tally:
    """Count, and record in the book what has ended. `awaited`: names that are still to be created."""
    found = Tally(Counter(), [], [], [])
    latest = {number: issue.latest for number, issue in book.issues.items()}
    resolved = []
    for name in book.recorded:
        what = _standing(book, name, awaited, found.doubtful)
        if what is not Bucket.IN_FLIGHT:
            book.outcomes[name] = what
        step = book.steps.get(name)
        if step is not None and rounds.superseded(step, latest[step.issue]):
            continue
        found.counts[what] += 1
        if what is Bucket.DELETED:
            found.deleted.append(name)
        elif what is Bucket.ALREADY_RESOLVED and name in book.live:
            resolved.append(book.live[name])
    found.resolved.extend(resolved_issues(resolved))
    return found


def _standing(book: Book, name: str, awaited: Collection[str], doubtful: list[str]) -> Bucket:
    task = book.live.get(name)
    if task is not None:
        return bucket(task)
    if name in book.outcomes:
        return book.outcomes[name]
    if name in awaited:
        return Bucket.IN_FLIGHT
    if name in book.view.gone:
        return Bucket.DELETED
    doubtful.append(name)
    return Bucket.IN_FLIGHT


_BUCKETS = frozenset(Bucket)
