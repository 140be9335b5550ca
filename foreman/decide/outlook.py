"""What would happen to a task next, and when, if nothing else changes. Times are estimates from what the API says."""

from __future__ import annotations

from foreman.api import (
    ANNOTATION_AUDITED,
    HEARTBEAT_TIMEOUT_SECONDS,
    IN_FLIGHT,
    TERMINAL,
    AgenticTask,
    FleetNodePhase,
    Phase,
    succeeded_on_target,
)
from foreman.decide import custody
from foreman.decide.attempts import last_attempt
from foreman.decide.pending import Wait, Write
from foreman.decide.snapshot import Snapshot, agent_is_missing, rest_of, step_of


def outlook(snapshot: Snapshot, task: AgenticTask, advice: str, next_node: str) -> tuple[str, ...]:
    """Lines, the nearest event first. `advice`: what would make it fit; `next_node`: where the next cycle puts it."""
    phase = task.status.phase
    if phase in TERMINAL:
        return tuple(_after_the_end(snapshot, task))
    if phase in IN_FLIGHT:
        return (*_claim(snapshot, task), *_silence(snapshot, task), *_deadline(snapshot, task))
    if task.metadata.deletion_timestamp is not None:
        return ("is being deleted: it will not be placed",)
    first = [] if phase is not None else ["no operator has looked at it yet; one makes it Pending within moments"]
    return (*first, *_waiting(snapshot, task, advice, next_node))


def _waiting(snapshot: Snapshot, task: AgenticTask, advice: str, next_node: str) -> list[str]:
    step = step_of(snapshot, task)
    if isinstance(step, Wait):
        bound = f"; given up in {roughly(step.seconds)}" if step.seconds is not None else ""
        return [f"goes on when what it waits for has ended{bound}"]
    if isinstance(step, Write):
        phase = step.changes.get("phase")
        return [
            f"the operator is about to make it {phase}" if phase else "the operator is about to note what it waits for"
        ]
    if agent_is_missing(snapshot, task):
        return ["the operator is about to fail it: its Agent does not exist"]
    if rest := rest_of(snapshot, task):
        return [f"may be placed again in {roughly(rest)}"]
    if next_node:
        return [f"goes to {next_node} in the next scheduling cycle"]
    return [advice if advice.startswith("waits") else "stays Pending until a node fits it, for ever if need be"]


def _claim(snapshot: Snapshot, task: AgenticTask) -> list[str]:
    if task.status.phase is not Phase.SCHEDULED:
        return []
    node = task.status.assigned_node
    attempt = last_attempt(task)
    assigned = attempt[0].assigned if attempt else None
    if assigned is None:
        return [f"{node} claims it, or the assignment expires {custody.CLAIM_SECONDS}s after it was made"]
    left = custody.CLAIM_SECONDS - (snapshot.at - assigned)
    return [f"{node} claims it, or the assignment expires {_in(left)}{_strike(snapshot, task)}"]


def _silence(snapshot: Snapshot, task: AgenticTask) -> list[str]:
    name = task.status.assigned_node
    node = snapshot.nodes.get(name)
    if node is None:
        return [f"FleetNode {name} does not exist: its claim expires within {HEARTBEAT_TIMEOUT_SECONDS}s"]
    beat = node.status.last_heartbeat_time
    if node.status.phase is FleetNodePhase.NOT_READY:
        return [f"{name} is NotReady: the claim is taken back{_strike(snapshot, task)}"]
    if beat is None:
        return []
    left = beat + HEARTBEAT_TIMEOUT_SECONDS - snapshot.at
    return [f"if {name} stays silent, the claim expires {_in(left)}{_strike(snapshot, task)}"]


def _strike(snapshot: Snapshot, task: AgenticTask) -> str:
    nth = custody.standing_strikes(task, snapshot.at) + 1
    end = ": that ends the task" if nth >= custody.STRIKE_LIMIT else ""
    return f" (strike {nth} of {custody.STRIKE_LIMIT}{end})"


def _deadline(snapshot: Snapshot, task: AgenticTask) -> list[str]:
    started = task.status.started_at or task.status.claimed_at
    if task.status.phase is Phase.SCHEDULED or started is None:
        return []
    limit = custody.timeout_of(task)
    left = started + limit - snapshot.at
    enforced = f"the operator enforces it {custody.DEADLINE_GRACE_SECONDS}s later"
    return [f"its deadline ({roughly(limit)}) passes {_in(left)}; {enforced}"]


def _after_the_end(snapshot: Snapshot, task: AgenticTask) -> list[str]:
    waiting = [each.metadata.name for each in snapshot.dependents(task) if each.status.phase not in TERMINAL]
    lines = ["nothing: it has ended"]
    if waiting:
        effect = "unblocks" if succeeded_on_target(task.status) else "ends (cascade)"
        lines.append(f"its end {effect} {', '.join(sorted(waiting)[:5])}{' and more' if len(waiting) > 5 else ''}")
    if task.metadata.annotations.get(ANNOTATION_AUDITED) != "true":
        lines.append("its record is not written yet")
    return lines


def _in(seconds: float) -> str:
    return f"in {roughly(seconds)}" if seconds > 0 else "any moment now"


def roughly(seconds: float) -> str:
    """'20ms', '0.3s', '45s', '2m30s', '3h5m', '2d4h': two units at most."""
    if 0 < seconds < 0.1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    whole = int(seconds)
    for size, unit, below, rest in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            small = whole % size // below
            return f"{whole // size}{unit}" + (f"{small}{rest}" if small else "")
    return f"{whole}s"
