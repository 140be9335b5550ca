"""A Pending task: does it run, wait, or end because of what it depends on?

The order is the original's: already-resolved upstream skips, a failed or off-target upstream cascades, anything unfinished
waits. Departures: the skip is transitive (#1688), a dependency that does not exist is waited for only so long (#1687), and a
cycle is found and named instead of waiting for ever (L17).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from foreman.api import (
    CONDITION_DEP_WAIT_STARTED,
    CONDITION_FAILED,
    CONDITION_SCHEDULED,
    CONDITION_SKIPPED,
    REASON_AGENT_NOT_FOUND,
    REASON_DEPENDENCY_ABSENT,
    REASON_UPSTREAM_ALREADY_RESOLVED,
    REASON_UPSTREAM_FAILED,
    TERMINAL,
    AgenticTask,
    FailureReason,
    Phase,
    Verdict,
    condition,
    succeeded_on_target,
    with_condition,
)
from foreman.decide.lifecycle import Event, after

ABSENT_SECONDS = 3600
"""How long a missing dependency is waited for when the task has no timeoutSeconds."""
ALREADY_RESOLVED = "ALREADY-RESOLVED"

Lookup = Callable[[str], AgenticTask | None]


class Write(NamedTuple):
    """Patch the status with `changes`; `reason` names the news in one CamelCase word."""

    changes: Mapping[str, Any]
    reason: str


class Wait(NamedTuple):
    """Not yet: look again when a dependency changes, or after `seconds` at the latest."""

    message: str
    seconds: float | None = None


class Eligible(NamedTuple):
    """Nothing is in the way: the scheduler may place it."""


Step = Write | Wait | Eligible


def next_step(
    task: AgenticTask, dependency: Lookup, depended_on: bool, wall: int, closed: set[str] | None = None
) -> Step:
    """What to do with a Pending task. `dependency(name)` finds a task of the same namespace; `wall` is unix seconds.

    `depended_on`: whether some task depends on this one; only then can it close a cycle. `closed` remembers, across
    calls, tasks ('namespace/name') that no cycle can ever go through: all upstream of them exists and was searched.
    """
    names = task.spec.depends_on
    if not names:
        return Eligible()
    found = {name: dependency(name) for name in names}
    for name, dep in found.items():
        if dep is not None and _resolved_upstream(dep):
            return _skip(task, name, wall)
    for name, dep in found.items():
        if dep is not None and dep.status.phase in TERMINAL and not succeeded_on_target(dep.status):
            return _cascade(task, name, dep, wall)
    unfinished = [name for name, dep in found.items() if dep is None or not succeeded_on_target(dep.status)]
    if not unfinished:
        return Eligible()
    if depended_on and (cycle := _cycle(task, dependency, set() if closed is None else closed)):
        return fail(task, "DependencyCycle", "dependency cycle: " + " -> ".join(cycle), wall)
    absent = [name for name in unfinished if found[name] is None]
    return _await_absent(task, absent, wall) if absent else Wait(f"waiting for {_names(unfinished)}")


def _resolved_upstream(dep: AgenticTask) -> bool:
    status = dep.status
    if status.verdict is Verdict.SKIPPED:
        return True
    extra = (status.result or {}).get("extra")
    outcome = extra.get("outcome") if isinstance(extra, dict) else None
    return status.verdict is Verdict.NO_GO and outcome == ALREADY_RESOLVED


def _skip(task: AgenticTask, name: str, wall: int) -> Write:
    message = f'dependency "{name}" was already resolved; skipping'
    reason = REASON_UPSTREAM_ALREADY_RESOLVED
    conditions = with_condition(task.status.conditions, CONDITION_SKIPPED, True, reason, message, wall)
    phase = after(task.status.phase, Event.SKIPPED)
    changes = {"phase": phase, "verdict": Verdict.SKIPPED, "finished_at": wall, "conditions": conditions}
    return Write(changes, reason)


def _cascade(task: AgenticTask, name: str, dep: AgenticTask, wall: int) -> Write:
    if dep.status.phase is Phase.FAILED:
        message = f'dependency "{name}" failed; cascade-failing'
    else:
        message = f'dependency "{name}" ended with verdict={dep.status.verdict or ""} (not on-target); cascade-failing'
    return fail(task, REASON_UPSTREAM_FAILED, message, wall, Event.CASCADED)


def fail(task: AgenticTask, reason: str, message: str, wall: int, event: Event = Event.REFUSED) -> Write:
    """End a task that never ran."""
    changes: dict[str, Any] = {
        "phase": after(task.status.phase, event),
        "verdict": Verdict.INCOMPLETE,
        "finished_at": wall,
        "conditions": with_condition(task.status.conditions, CONDITION_FAILED, True, reason, message, wall),
    }
    if reason == REASON_AGENT_NOT_FOUND:
        changes["failure_reason"] = FailureReason.AGENT_NOT_FOUND
    return Write(changes, reason)


def _cycle(task: AgenticTask, dependency: Lookup, closed: set[str]) -> list[str]:
    """The names along a cycle through `task`, from it back to it, or nothing."""
    start = task.metadata.name
    came_from: dict[str, str] = {}
    open_ended = False
    todo = [(start, name) for name in task.spec.depends_on]
    while todo:
        before, name = todo.pop()
        if name == start:
            return _path(start, before, came_from)
        if name in came_from or f"{task.metadata.namespace}/{name}" in closed:
            continue
        came_from[name] = before
        dep = dependency(name)
        if dep is None:
            open_ended = True
        elif dep.status.phase not in TERMINAL:
            todo.extend((name, further) for further in dep.spec.depends_on)
    if not open_ended:
        closed.update(f"{task.metadata.namespace}/{name}" for name in (start, *came_from))
    return []


def _path(start: str, last: str, came_from: Mapping[str, str]) -> list[str]:
    path = [start]
    while last != start:
        path.append(last)
        last = came_from[last]
    return [start, *reversed(path)]


def _await_absent(task: AgenticTask, absent: list[str], wall: int) -> Step:
    bound = task.spec.timeout_seconds or ABSENT_SECONDS
    message = f"waiting for {_names(absent)}, which does not exist"
    started = condition(task.status.conditions, CONDITION_DEP_WAIT_STARTED)
    if started is None or started.status != "True":
        conditions = with_condition(
            task.status.conditions, CONDITION_DEP_WAIT_STARTED, True, REASON_DEPENDENCY_ABSENT, message, wall
        )
        return Write({"conditions": conditions}, REASON_DEPENDENCY_ABSENT)
    left = started.last_transition_time + bound - wall
    if left <= 0:
        return fail(task, REASON_DEPENDENCY_ABSENT, f"{message}: gave up after {bound}s", wall)
    return Wait(message, left)


def blocked(task: AgenticTask, reason: str, message: str, wall: int) -> Mapping[str, Any] | None:
    """The patch that says on the task why it waits; None if it says so already."""
    old = task.status.conditions
    new = with_condition(old, CONDITION_SCHEDULED, False, reason, message, wall)
    return None if new is old else {"conditions": new}


def _names(names: list[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ("dependency " if len(names) == 1 else "dependencies ") + shown + more
