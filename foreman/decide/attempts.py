"""The attempts of a task, told from the states it went through, or from the last one alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from foreman.api import (
    CONDITION_CLAIM_EXPIRED,
    CONDITION_RUNNING,
    CONDITION_SCHEDULED,
    IN_FLIGHT,
    AgenticTask,
    Condition,
    Phase,
    condition,
)


class Seen(NamedTuple):
    """A state that a task was in from `at` (unix seconds, by one clock for all) on, and who had put it there."""

    at: float
    actor: str
    task: AgenticTask


class Attempt(NamedTuple):
    """One assignment; `number` is 0 where an older CRD does not keep it. Times in unix seconds, None: not known or not yet;
    `how` it ended, '' while it goes on."""

    number: int
    node: str
    holder: str = ""
    assigned: float | None = None
    claimed: float | None = None
    ended: float | None = None
    how: str = ""


class Change(NamedTuple):
    """One step of a task's life: the new phase, where, and the reason and message that came with it."""

    phase: str
    node: str
    reason: str
    message: str


def change(old: AgenticTask | None, new: AgenticTask) -> Change | None:
    """What is worth telling of `new` after `old`; None when nothing is."""
    was = old.status if old is not None else None
    now = new.status
    if was is not None and (was.phase, was.attempt) == (now.phase, now.attempt):
        said = _news(was.conditions, now.conditions)
        if said is None or said.type != CONDITION_SCHEDULED:
            return None
    said = _news(was.conditions if was is not None else (), now.conditions)
    node = now.assigned_node or (was.assigned_node if was is not None else "")
    return Change(now.phase or "created", node, said.reason if said else "", said.message if said else "")


def attempts_of(history: Sequence[Seen]) -> tuple[Attempt, ...]:
    """Every attempt in a history that begins with the creation."""
    made: list[Attempt] = []
    before: AgenticTask | None = None
    for at, _, task in history:
        status = task.status
        open_ = bool(made) and made[-1].ended is None
        if open_ and before is not None and (status.phase not in IN_FLIGHT or status.attempt != made[-1].number):
            made[-1] = made[-1]._replace(ended=at, how=_how(before, task))
        if status.phase in IN_FLIGHT:
            if not made or made[-1].ended is not None:
                made.append(Attempt(status.attempt, status.assigned_node, assigned=at))
            if status.holder and not made[-1].holder:
                made[-1] = made[-1]._replace(holder=status.holder, claimed=at)
        before = task
    return tuple(made)


def last_attempt(task: AgenticTask) -> tuple[Attempt, ...]:
    """What the task itself still tells: the attempt that goes on, or ended it."""
    status = task.status
    if not status.assigned_node:
        return ()
    scheduled = condition(status.conditions, CONDITION_SCHEDULED)
    # The condition keeps the time of the first of several assignments in a row.
    assigned = scheduled.last_transition_time if scheduled is not None and status.attempt <= 1 else None
    how = ""
    if status.phase not in IN_FLIGHT:
        last = max(status.conditions, key=lambda each: each.last_transition_time, default=None)
        how = f"{last.reason}: {last.message}" if last is not None else str(status.phase)
    return (
        Attempt(
            status.attempt, status.assigned_node, status.holder, assigned, status.claimed_at, status.finished_at, how
        ),
    )


def pending_since(task: AgenticTask) -> int | None:
    """Since when a task that awaits a node has done so: its creation, or when it came back."""
    running = condition(task.status.conditions, CONDITION_RUNNING)
    if running is None and condition(task.status.conditions, CONDITION_CLAIM_EXPIRED) is None:
        return task.metadata.creation_timestamp if not task.status.handbacks else None
    return running.last_transition_time if running is not None and running.status == "False" else None


def since(task: AgenticTask, history: Iterable[Seen] = ()) -> float | None:
    """Since when the task has been in its phase; None: it does not tell."""
    known = _entered(task, history)
    status = task.status
    if known is not None:
        return known
    if status.phase in (None, Phase.PENDING):
        return pending_since(task)
    if status.phase in (Phase.RUNNING, Phase.VERIFYING):
        return status.claimed_at
    if status.phase is Phase.SCHEDULED:
        return last_attempt(task)[0].assigned if status.assigned_node else None
    return status.finished_at


def _entered(task: AgenticTask, history: Iterable[Seen]) -> float | None:
    """When the present phase and attempt began."""
    at: float | None = None
    before: AgenticTask | None = None
    for seen in history:
        state = seen.task.status
        if before is None or (before.status.phase, before.status.attempt) != (state.phase, state.attempt):
            at = seen.at
        before = seen.task
    return at


def _how(before: AgenticTask, after: AgenticTask) -> str:
    said = _news(before.status.conditions, after.status.conditions)
    return f"{said.reason}: {said.message}" if said is not None else str(after.status.phase)


def _news(before: tuple[Condition, ...], after: tuple[Condition, ...]) -> Condition | None:
    """The condition that is new or says something new."""
    known = {each.type: (each.status, each.reason, each.message) for each in before}
    for each in after:
        if known.get(each.type) != (each.status, each.reason, each.message):
            return each
    return None
