"""Invariants, checked on every committed write, and liveness, checked at the end.

A checker sees what the API server commits and what the executors really do; it never sees the product's own opinion. Each
invariant counts how often it was put to the test: one that never was is reported as not exercised, not as held.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from foreman.api import HEARTBEAT_TIMEOUT_SECONDS, IN_FLIGHT, TERMINAL, Agent, AgenticTask, FleetNode, Phase
from foreman.api.ownership import TASK_WRITES, node_violation, task_violation
from foreman.decide.custody import STRIKE_LIMIT
from foreman.decide.filters import Node, mismatches
from foreman.decide.lifecycle import TABLE
from foreman.decide.requirement import requirement_of
from foreman.executors import Execution
from sim.apiserver import ApiServer
from sim.checkers.invariants import Violation
from sim.checkers.special import Check
from sim.checkers.stability import SETTLE, unsettled
from sim.ending import Difference
from sim.selection import Change

if TYPE_CHECKING:
    from sim.jobs import Yard

HANDBACK_LIMIT = 200
STORM_PER_MINUTE = 40
MINUTE = 60_000_000
CAPABILITY_GRACE = 60_000_000
BEATS = 64
"""Heartbeats of a node that are remembered, for writes that have been on their way for long."""
_MOVES = {(phase, target) for (phase, _), target in TABLE.items()}
_NOTHING: frozenset[str] = frozenset()
_PENDING, _SCHEDULED, _CLAIMED = Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING
_RUNNING = (Phase.RUNNING, Phase.VERIFYING)


class Checkers:
    """All invariants of one run. `now()` gives microseconds; `role_of(actor)` what an actor may write as."""

    def __init__(
        self,
        server: ApiServer,
        now: Callable[[], int],
        role_of: Callable[[str], str],
        exact_agent_limit: bool,
        on_violation: Callable[[Violation], None],
    ) -> None:
        """`exact_agent_limit`: whether a single scheduler is active at a time, so that maxConcurrentTasks is exact.

        To be set: `sent()`, when the write now committed was sent; `blind_until(actor)`, until when it was frozen or told
        nothing, or 0; `jobs`, where tasks run as Jobs.
        """
        self.server = server
        self.now = now
        self.role_of = role_of
        self.exact_agent_limit = exact_agent_limit
        self.on_violation = on_violation
        self.special: list[Check] = []
        self.up: Callable[[str], bool] = lambda host: False
        self.reconciles: Callable[[], int] = lambda: 0
        self.jobs: Yard | None = None
        self.sent = now
        self.blind_until: Callable[[str], int] = lambda actor: 0
        self._checks: defaultdict[str, int] = defaultdict(int)
        self._moves: defaultdict[tuple[Phase | None, Phase | None], int] = defaultdict(int)
        self._writes_seen = 0
        self.violations: list[Violation] = []
        self.live: dict[tuple[str, int], dict[str, None]] = {}
        self._ended_runs: set[tuple[str, int, str]] = set()
        self._running: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._holders: dict[str, str] = {}
        self._beats: defaultdict[str, deque[int]] = defaultdict(lambda: deque([0], BEATS))
        self._nodes: dict[str, Node] = {}
        self._node_was: dict[str, tuple[int, Node]] = {}
        self._in_flight: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._next_minute = 0
        self._writes: dict[str, int] = {}

    @property
    def checks(self) -> Counter[str]:
        """How often each invariant was put to the test."""
        told, seen = Counter(self._checks), self._writes_seen
        told["field-owner"] += seen
        told["write-storm"] += seen
        for (_, phase), count in self._moves.items():
            told["legal-transition"] += count
            told["attempt-monotone"] += count
            if phase is _SCHEDULED:
                told["capability"] += count
            elif phase is _CLAIMED:
                told["one-holder"] += count
        return +told

    # what the executors do

    def execution_started(self, holder: str, execution: Execution) -> None:
        key = execution.task.key
        self._checks["single-execution"] += 1
        running = self.live.setdefault((key, execution.attempt), {})
        if running:
            others = ", ".join(sorted(running))
            self.fail(
                "single-execution", key, f"attempt {execution.attempt} starts on {holder} while it runs on {others}"
            )
        running[holder] = None

    def execution_ended(self, holder: str, execution: Execution, completed: bool) -> None:
        key = execution.task.key
        running = self.live.get((key, execution.attempt), {})
        running.pop(holder, None)
        if not running:
            self.live.pop((key, execution.attempt), None)
        self._ended_runs.add((key, execution.attempt, holder))

    def process_died(self, holder: str) -> None:
        """A process has ended: what it executed does not run any more."""
        for attempt, running in list(self.live.items()):
            running.pop(holder, None)
            if not running:
                del self.live[attempt]

    # what is committed

    def committed(self, change: Change) -> None:
        _, _, actor, kind, key, old, new, fields = change
        if kind == "FleetNode":
            self._node(change)
        if kind != "AgenticTask" or old is None:
            return
        if new is None:
            self._left(key, old)
            return
        before, after = old.status, new.status
        was, phase = before.phase, after.phase
        if was in TERMINAL:
            self._checks["terminal-absorbs"] += 1
        if before is after:
            return
        self._writes_seen += 1
        self._storm(key)
        role = self.role_of(actor)
        if not TASK_WRITES.get((role, was, phase), _NOTHING).issuperset(fields):
            self._misowned(change, role)
        if was is phase:
            self._kept_phase(change, before, after)
        else:
            self._moved(change, old, new, role)

    def _misowned(self, change: Change, role: str) -> None:
        """A patch may repeat what is so already; only what it changes counts."""
        before, after = change.old.status, change.new.status
        wrong = task_violation(role, before.phase, after.phase, change.fields)
        touched = [name for name in change.fields if getattr(before, name, None) != getattr(after, name, None)]
        wrong_still = task_violation(role, before.phase, after.phase, touched)
        if before.phase in TERMINAL:
            self.fail("terminal-absorbs", change.key, f"{change.actor} changed a task that had {before.phase}: {wrong}")
        elif wrong_still is not None:
            self.fail("field-owner", change.key, f"{change.actor}: {wrong_still}")

    def _kept_phase(self, change: Change, before: Any, after: Any) -> None:
        if before.phase in _RUNNING:
            self._checks["one-holder"] += 1
            if before.holder != after.holder or before.assigned_node != after.assigned_node:
                self.fail("one-holder", change.key, f"{change.actor} took the live claim of {before.holder}")
        if before.attempt != after.attempt:
            self.fail("attempt-monotone", change.key, f"attempt {before.attempt} -> {after.attempt} in {after.phase}")

    def _moved(self, change: Change, old: AgenticTask, new: AgenticTask, role: str) -> None:
        before, after = old.status, new.status
        move = was, phase = before.phase, after.phase
        key = change.key
        self._moves[move] += 1
        if move not in _MOVES and was not in TERMINAL:
            self.fail("legal-transition", key, f"{change.actor} moved it from {was} to {phase}")
        if after.attempt != before.attempt + (phase is _SCHEDULED):
            self.fail("attempt-monotone", key, f"attempt {before.attempt} -> {after.attempt} going to {phase}")
        if was in IN_FLIGHT and phase not in IN_FLIGHT:
            self._left(key, old)
        if phase is _SCHEDULED:
            self._assigned(change, new)
        elif phase is _CLAIMED:
            self._claimed(change, new)
        elif phase in TERMINAL:
            if role == "agent":
                self._ended(change, old)
        elif phase is _PENDING and was is not None:
            self._released(change, old, new, role)

    def _assigned(self, change: Change, task: AgenticTask) -> None:
        agent = self._agent(task)
        want = requirement_of(task, agent)
        name = task.status.assigned_node
        node = self._nodes.get(name)
        if node is None or mismatches(want, node):
            was = self._node_was.get(name)
            # A scheduler sees the fleet a little late: the capability of a moment ago excuses it, and blindness does.
            if (
                was is None
                or self.sent() - max(was[0], self.blind_until(change.actor)) > CAPABILITY_GRACE
                or mismatches(want, was[1])
            ):
                why = ", ".join(mismatches(want, node)) if node is not None else "no such node"
                self.fail("capability", change.key, f"{change.actor} assigned it to {name}: {why}")
        if agent is not None and agent.spec.max_concurrent_tasks is not None:
            self._count_agent(change, agent, agent.spec.max_concurrent_tasks)

    def _count_agent(self, change: Change, agent: Agent, limit: int) -> None:
        in_flight = self._in_flight[agent.key]
        in_flight[change.key] = None
        if self.exact_agent_limit:
            self._checks["agent-limit"] += 1
            if len(in_flight) > limit:
                self.fail("agent-limit", change.key, f"{len(in_flight)} tasks of {agent.key} in flight, limit {limit}")

    def _claimed(self, change: Change, task: AgenticTask) -> None:
        name = task.status.assigned_node
        if self._holders.setdefault(change.key, change.actor) != change.actor:
            self.fail("one-holder", change.key, f"{change.actor} claimed what {self._holders[change.key]} still holds")
        want = requirement_of(task, self._agent(task))
        node = self._nodes.get(name)
        if not want.slot or node is None:
            return
        running = self._running[name]
        running[change.key] = want.min_ram_gb
        self._checks["slots"] += 1
        if len(running) > node.slots:
            self.fail("slots", change.key, f"{name} runs {len(running)} tasks in {node.slots} slots")
        if want.min_ram_gb:
            self._checks["capacity"] += 1
            taken = sum(running.values())
            if taken > node.ram_gb:
                self.fail("capacity", change.key, f"{name} has {node.ram_gb} GiB for tasks that need {taken}")

    def _released(self, change: Change, old: AgenticTask, new: AgenticTask, role: str) -> None:
        self._checks["attempts-bounded"] += 1
        status = new.status
        if role == "operator":
            self._expired(change, old)
        if sum(status.strikes.values()) >= STRIKE_LIMIT:
            self.fail("attempts-bounded", change.key, f"released after {sum(status.strikes.values())} strikes")
        if status.failures >= new.spec.retry_policy.max_attempts:
            self.fail("attempts-bounded", change.key, f"{status.failures} failures and still tried again")
        if status.handbacks > HANDBACK_LIMIT:
            self.fail("attempts-bounded", change.key, f"handed back {status.handbacks} times")

    def _expired(self, change: Change, old: AgenticTask) -> None:
        self._checks["earned-expiry"] += 1
        node = old.status.assigned_node
        # What came while the write was on its way, its sender could not know.
        sent = self.sent()
        silent = sent - next((beat for beat in reversed(self._beats[node]) if beat <= sent), 0)
        if old.status.phase is not Phase.SCHEDULED and silent < HEARTBEAT_TIMEOUT_SECONDS * 1_000_000:
            last = f"{node}, whose last heartbeat had come {silent / 1e6:.1f}s before"
            self.fail("earned-expiry", change.key, f"{change.actor} took it back from {last}")

    def _ended(self, change: Change, old: AgenticTask) -> None:
        self._checks["fenced-result"] += 1
        status = old.status
        run = (change.key, status.attempt, change.actor)
        if change.actor == status.holder and run in self._ended_runs:
            self._ended_runs.discard(run)
        else:
            self.fail(
                "fenced-result",
                change.key,
                f"{change.actor} ended attempt {status.attempt}, which {status.holder or 'nobody'} holds",
            )

    def _left(self, key: str, task: AgenticTask) -> None:
        """The task holds no node any more."""
        self._holders.pop(key, None)
        running = self._running.get(task.status.assigned_node)
        if running is not None:
            running.pop(key, None)
        agent = task.spec.agent_ref
        if agent is not None:
            self._in_flight[f"{task.metadata.namespace}/{agent.name}"].pop(key, None)

    def _storm(self, key: str) -> None:
        now, writes = self.now(), self._writes
        if now >= self._next_minute:
            self._next_minute = (now // MINUTE + 1) * MINUTE
            writes.clear()
        writes[key] = count = writes.get(key, 0) + 1
        if count == STORM_PER_MINUTE:
            self.fail("write-storm", key, f"{count} writes to its status within a minute")

    def _node(self, change: Change) -> None:
        old: FleetNode | None = change.old
        new: FleetNode | None = change.new
        if new is None:
            gone = self._nodes.pop(change.key, None)
            if gone is not None:
                self._node_was[change.key] = self.now(), gone
            return
        if old is None:
            self._offers(change.key, new)
            return
        before, after = old.status, new.status
        if before.capability is not after.capability or old.spec is not new.spec:
            self._offers(change.key, new)
        if before is after:
            return
        self._checks["field-owner"] += 1
        if before.phase is not after.phase:
            self._checks["write-storm"] += 1
            self._storm(change.key)
        if before.last_heartbeat_time != after.last_heartbeat_time:
            self._beats[change.key].append(self.now())
        wrong = node_violation(self.role_of(change.actor), before.phase, after.phase, change.fields)
        if wrong is not None:
            self.fail("field-owner", change.key, f"{change.actor}: {wrong}")

    def _offers(self, name: str, fleet_node: FleetNode) -> None:
        """What the node says of itself is new."""
        was = self._nodes.get(name)
        if was is not None:
            self._node_was[name] = self.now(), was
        node = self._nodes[name] = Node(name)
        node.learn(fleet_node, ready=True)

    def _agent(self, task: AgenticTask) -> Agent | None:
        ref = task.spec.agent_ref
        return self.server.tables["Agent"].get(f"{task.metadata.namespace}/{ref.name}") if ref is not None else None

    def exercised(self, invariant: str, times: int = 1) -> None:
        """A special check has put its invariant to the test."""
        self._checks[invariant] += times

    def fail(self, invariant: str, key: str, message: str) -> None:
        violation = Violation(invariant, self.now(), key, message)
        self.violations.append(violation)
        self.on_violation(violation)

    # the end

    def claims(self, judged: Iterable[tuple[str, int, str]]) -> None:
        """`judged`: (task, operations of its history, why no order explains them or '')."""
        for key, operations, why in judged:
            self._checks["linearizable-claims"] += operations
            if why:
                self.fail("linearizable-claims", key, why)

    def alike(self, tasks: int, differences: Iterable[Difference]) -> None:
        """`differences` between the ends of this run and of the one without faults, of so many tasks."""
        self._checks["differential"] += tasks
        for each in differences:
            self.fail("differential", each.key, each.told())

    def liveness(self, wall: int, calm_for: int) -> None:
        """Judge the final state. `calm_for`: microseconds since the last fault was mended, or since the start without any.

        Too soon after a fault nothing is judged, unless every task has ended.
        """
        tasks = self.server.tables["AgenticTask"]
        if calm_for < SETTLE and any(task.status.phase not in TERMINAL for task in tasks.values()):
            return
        for check in self.special:
            check.ended(wall)
        for key, task in sorted(tasks.items()):
            self._checks["eventually-stable"] += 1
            why = unsettled(task, wall)
            if why:
                self.fail("eventually-stable", key, why)
        self._checks["no-leak"] += 1
        for name, running in sorted(self._running.items()):
            for key in running:
                holder = tasks.get(key)
                if holder is None or holder.status.phase not in IN_FLIGHT:
                    self.fail("no-leak", key, f"still held against {name}")
