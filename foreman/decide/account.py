"""The account of one task: where it stands, why, who held it, and what would happen next. A snapshot in, an account out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from foreman.api import (
    IN_FLIGHT,
    TERMINAL,
    AgenticTask,
    Condition,
    format_time,
    succeeded_on_target,
)
from foreman.decide import custody
from foreman.decide.attempts import Attempt, Seen, attempts_of, last_attempt, since
from foreman.decide.explain import Fit, explain, fit
from foreman.decide.forecast import Forecast, at_limit, fleet_of, forecast
from foreman.decide.outlook import outlook
from foreman.decide.pending import Eligible
from foreman.decide.requirement import agent_key
from foreman.decide.snapshot import Snapshot, agent_is_missing, awaits, rest_of, step_of


class Dependency(NamedTuple):
    """`state` in words; `blocks`: whether the task waits for it. `waits_for`: what it waits for itself, in the end."""

    name: str
    state: str
    blocks: bool
    waits_for: tuple[str, ...] = ()


class Place(NamedTuple):
    """The place in the line of all that only wait for a node (1 is first), and how many of those ahead want the same."""

    position: int
    of: int
    ahead_alike: int


class AgentLoad(NamedTuple):
    """The Agent a task runs by: whether it exists, how many of its tasks are on nodes, how many may be (None: any)."""

    name: str
    exists: bool
    running: int
    limit: int | None


class Why(NamedTuple):
    """Why a task is not on a node: one CamelCase word, one line, nodes per reason, what would help, and node by node."""

    reason: str
    message: str
    counts: dict[str, int] = {}
    advice: str = ""
    nodes: tuple[Fit, ...] = ()


class Times(NamedTuple):
    """Seconds: from creation to the last claim (or until now, while it waits), and from that claim to the end."""

    waited: float | None
    ran: float | None


class News(NamedTuple):
    """Something that happened, as the API keeps it: a condition, or an Event."""

    at: float | None
    who: str
    reason: str
    message: str


class TaskAccount(NamedTuple):
    """Times in unix seconds. `strikes`: claims lost per node; `strikes_left`: how many more before the task ends."""

    at: int
    task: str
    kind: str
    priority: int
    created: float | None
    phase: str
    since: float | None
    node: str
    holder: str
    attempt: int
    verdict: str
    failure: str
    summary: str
    why: Why | None
    place: Place | None
    next_node: str
    dependencies: tuple[Dependency, ...]
    dependents: tuple[str, ...]
    agent: AgentLoad | None
    strikes: dict[str, int]
    strikes_left: int
    handbacks: int
    failures: int
    max_attempts: int
    attempts: tuple[Attempt, ...]
    times: Times
    outlook: tuple[str, ...]
    news: tuple[News, ...]


def account(
    snapshot: Snapshot,
    task: AgenticTask,
    policy: str,
    history: Sequence[Seen] = (),
    news: Sequence[News] = (),
) -> TaskAccount:
    """The account of `task`. `history`: the states it went through, if known; `news`: what the API's Events say."""
    status, meta = task.status, task.metadata
    ahead = forecast(snapshot, policy) if awaits(task) else Forecast((), {})
    reason = why(snapshot, task, ahead, policy)
    result = status.result or {}
    dependencies = tuple(_dependency(snapshot, task, name) for name in task.spec.depends_on)
    return TaskAccount(
        at=snapshot.at,
        task=task.key,
        kind=str(task.spec.kind),
        priority=task.spec.priority,
        created=meta.creation_timestamp,
        phase=str(status.phase or ""),
        since=since(task, history),
        node=status.assigned_node,
        holder=status.holder,
        attempt=status.attempt,
        verdict=str(status.verdict or ""),
        failure=str(status.failure_reason or ""),
        summary=_summary(task, result),
        why=reason,
        place=_place(snapshot, task, ahead),
        next_node=ahead.placed.get(task.key, ""),
        dependencies=dependencies,
        dependents=tuple(sorted(other.metadata.name for other in snapshot.dependents(task))),
        agent=_agent(snapshot, task),
        strikes={node: count for node, count in sorted(status.strikes.items()) if count},
        strikes_left=max(custody.STRIKE_LIMIT - custody.standing_strikes(task, snapshot.at), 0),
        handbacks=status.handbacks,
        failures=status.failures,
        max_attempts=task.spec.retry_policy.max_attempts,
        attempts=attempts_of(history) or last_attempt(task),
        times=_times(snapshot, task),
        outlook=outlook(snapshot, task, reason.advice if reason is not None else "", ahead.placed.get(task.key, "")),
        news=in_order((*said(status.conditions), *news)),
    )


class Answer(NamedTuple):
    """Where a task that does not exist yet would go: a node, or '' and why not."""

    task: str
    policy: str
    node: str
    why: Why | None
    place: Place | None


def answers(snapshot: Snapshot, tasks: Iterable[AgenticTask], policy: str) -> list[Answer]:
    """What the scheduler would do with `tasks` were they created now, all of them, beside all that waits already."""
    new = [task.evolve(metadata=task.metadata.evolve(creation_timestamp=snapshot.at)) for task in tasks]
    there = snapshot.with_tasks(new)
    ahead = forecast(there, policy)
    return [
        Answer(
            task.key,
            policy,
            ahead.placed.get(task.key, ""),
            why(there, task, ahead, policy),
            _place(there, task, ahead),
        )
        for task in new
    ]


def why(snapshot: Snapshot, task: AgenticTask, ahead: Forecast, policy: str) -> Why | None:
    """Why a task that awaits a node has none; None for any other."""
    if not awaits(task):
        return None
    step = step_of(snapshot, task)
    if not isinstance(step, Eligible):
        message = getattr(step, "message", "") or _message_of(getattr(step, "changes", {}))
        return Why(getattr(step, "reason", "WaitingForDependencies"), message)
    if agent_is_missing(snapshot, task):
        return Why("AgentNotFound", f"Agent {agent_key(task)} does not exist", advice="create the Agent first")
    if rest := rest_of(snapshot, task):
        return Why("Resting", f"rests for {rest}s more after a failed attempt")
    fleet = fleet_of(snapshot, policy)
    want = snapshot.want(task)
    nodes = tuple(fit(want, node) for _, node in sorted(fleet.nodes.items()))
    if at_limit(snapshot, task, snapshot.busy(agent_key(task))):
        message = f"Agent {agent_key(task)} already runs its maxConcurrentTasks"
        return Why("AgentAtLimit", message, advice="waits until one of the Agent's tasks ends", nodes=nodes)
    if task.key in ahead.placed:
        return Why("Placeable", f"fits {ahead.placed[task.key]}; waits for the scheduler", nodes=nodes)
    if any(each.fits for each in nodes):
        count = sum(each.fits for each in nodes)
        message = f"{count}/{len(nodes)} nodes fit, but tasks ahead of it take what they have"
        return Why("TasksAhead", message, advice="waits for its turn", nodes=nodes)
    found = explain(want, fleet.nodes.values())
    counts = {reason.value: count for reason, count in found.counts.items()}
    return Why(found.reason, found.message, counts, found.advice, nodes)


def _message_of(changes: Any) -> str:
    """What the operator is about to write on the task."""
    return next((each.message for each in reversed(changes.get("conditions", ()))), "")


def _place(snapshot: Snapshot, task: AgenticTask, ahead: Forecast) -> Place | None:
    if task.key not in ahead.order:
        return None
    position = ahead.order.index(task.key)
    want = snapshot.want(task)
    alike = sum(snapshot.want(snapshot.tasks[key]) == want for key in ahead.order[:position])
    return Place(position + 1, len(ahead.order), alike)


def _dependency(snapshot: Snapshot, task: AgenticTask, name: str) -> Dependency:
    found = snapshot.upstream(task, name)
    if found is None:
        return Dependency(name, "does not exist", True)
    status = found.status
    state = " ".join(filter(None, (status.phase or "created", status.verdict, _on(found))))
    done = succeeded_on_target(status)
    return Dependency(name, state, not done, () if done else _roots(snapshot, found))


def _on(task: AgenticTask) -> str:
    node = task.status.assigned_node
    return f"on {node}" if node and task.status.phase in IN_FLIGHT else ""


def _roots(snapshot: Snapshot, task: AgenticTask) -> tuple[str, ...]:
    """Upstream of `task`, those unfinished tasks that wait for no other task."""
    seen: set[str] = set()
    roots: set[str] = set()
    todo = [task]
    while todo:
        each = todo.pop()
        if each.key in seen:
            continue
        seen.add(each.key)
        if each.status.phase in TERMINAL:
            continue
        missing = [name for name in each.spec.depends_on if snapshot.upstream(each, name) is None]
        further = [found for name in each.spec.depends_on if (found := snapshot.upstream(each, name)) is not None]
        open_ = [found for found in further if not succeeded_on_target(found.status)]
        roots.update(f"{name} (does not exist)" for name in missing)
        todo += open_
        if not open_ and not missing and each is not task:
            state = " ".join(filter(None, (each.status.phase or "created", _on(each))))
            roots.add(f"{each.metadata.name} ({state})")
    return tuple(sorted(roots))


def _agent(snapshot: Snapshot, task: AgenticTask) -> AgentLoad | None:
    key = agent_key(task)
    if not key:
        return None
    agent = snapshot.agents.get(key)
    limit = agent.spec.max_concurrent_tasks if agent is not None else None
    return AgentLoad(key, agent is not None, snapshot.busy(key), limit)


def _summary(task: AgenticTask, result: dict[str, Any]) -> str:
    """What the executor said in the end, or why the task ended without it."""
    if result.get("summary"):
        return str(result["summary"])
    if task.status.phase not in TERMINAL:
        return ""
    last = max(task.status.conditions, key=lambda each: each.last_transition_time, default=None)
    return last.message if last is not None else ""


def _times(snapshot: Snapshot, task: AgenticTask) -> Times:
    status, created = task.status, task.metadata.creation_timestamp
    until = status.claimed_at or (status.finished_at if status.phase in TERMINAL else snapshot.at)
    waited = max(until - created, 0) if until is not None and created is not None else None
    if status.claimed_at is None:
        return Times(waited, None)
    return Times(waited, max((status.finished_at or snapshot.at) - status.claimed_at, 0))


def said(conditions: tuple[Condition, ...]) -> tuple[News, ...]:
    """What the conditions of an object tell."""
    return tuple(
        News(each.last_transition_time, f"{each.type}={each.status}", each.reason, each.message) for each in conditions
    )


def in_order(news: Iterable[News]) -> tuple[News, ...]:
    """Oldest first; what has no time of its own last."""
    return tuple(sorted(news, key=lambda each: (each.at is None, each.at or 0)))


_TIMES = frozenset({"at", "created", "since", "assigned", "claimed", "ended", "heartbeat"})


def as_data(value: Any, name: str = "") -> Any:
    """An account as JSON-ready data: times in RFC 3339, everything else under its own name."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: as_data(each, key) for key, each in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [as_data(each) for each in value]
    if isinstance(value, dict):
        return {str(key): as_data(each) for key, each in value.items()}
    if name in _TIMES and value is not None:
        return format_time(int(value))
    return value
