"""Nobody waits for a node that is there: a task that could run and a node that could take it find each other in time.

What keeps a task waiting by right (dependencies, a retry's rest, its Agent's limit) and what a node has room for is read from
the objects in the API alone; what the scheduler believes is never asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

from foreman.api import IN_FLIGHT, AgenticTask, FleetNodePhase, Phase, TaskKind, succeeded_on_target
from foreman.decide.filters import Node, mismatches, obstacle
from foreman.decide.requirement import Requirement, agent_key, requirement_of
from sim.checkers.checkers import Checkers
from sim.checkers.overdue import Overdue
from sim.host import EPOCH, SECOND
from sim.scenario import Scenario
from sim.selection import Change

_DOWNSTREAM = {TaskKind.REVIEW: 0, TaskKind.VERIFY: 1}


class Waits:
    """Asked for by `checks: {idle: 1m}` and `checks: {passedOver: 2m}`; each write looks at every task."""

    invariants: ClassVar[tuple[str, ...]] = ("work-conserving", "passed-over")

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self.tables = court.server.tables
        self.patience = scenario.checks.passed_over
        self.judges_idle = scenario.checks.idle > 0
        self._idle = Overdue(scenario.checks.idle)
        self._ready: dict[str, int] = {}

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.checks.idle > 0 or scenario.checks.passed_over > 0

    def committed(self, change: Change) -> None:
        if change.kind not in ("AgenticTask", "FleetNode"):
            return
        now = self.court.now()
        if self.patience and _assigned(change):
            self._passing(change.new, now)
        self._look(now)

    def ended(self, wall: int) -> None:
        """Where nobody writes any more, nobody has looked."""
        self._look(self.court.now())

    def _look(self, now: int) -> None:
        ready = [task for task in self.tables["AgenticTask"].values() if self._could_run(task)]
        self._ready = {task.key: self._ready.get(task.key, now) for task in ready}
        if not self.judges_idle:
            return
        self.court.exercised("work-conserving", len(ready))
        nodes = self._nodes()
        for key in self._idle.told(now, [task.key for task in ready if self._finds(task, nodes)]):
            bound = self._idle.bound / 1e6
            self.court.fail("work-conserving", key, f"waits for more than {bound:g}s while a node that fits has room")

    def _passing(self, taken: AgenticTask, now: int) -> None:
        node = self._nodes()[taken.status.assigned_node]
        for key, since in self._ready.items():
            task = self.tables["AgenticTask"].get(key)
            if task is None or not _sooner(task, taken) or mismatches(self._want(task), node):
                continue
            self.court.exercised("passed-over")
            if now - since > self.patience:
                waited = (now - since) / 1e6
                self.court.fail("passed-over", key, f"{taken.key} was given {node.name}; this has waited {waited:g}s")

    def _could_run(self, task: AgenticTask) -> bool:
        """Whether the task does not run, and only for want of a node."""
        status = task.status
        if status.phase not in (Phase.PENDING, Phase.SCHEDULED) or task.metadata.deletion_timestamp is not None:
            return False
        rests = status.retry_after is not None and status.retry_after > EPOCH + self.court.now() // SECOND
        return not rests and self._depends_on_nothing(task) and self._agent_takes(task)

    def _depends_on_nothing(self, task: AgenticTask) -> bool:
        for name in task.spec.depends_on:
            found = self.tables["AgenticTask"].get(f"{task.metadata.namespace}/{name}")
            if found is None or not succeeded_on_target(found.status):
                return False
        return True

    def _agent_takes(self, task: AgenticTask) -> bool:
        key = agent_key(task)
        if not key:
            return True
        agent = self.tables["Agent"].get(key)
        if agent is None:
            return False
        limit = agent.spec.max_concurrent_tasks
        others = sum(agent_key(each) == key for each in self._placed() if each is not task)
        return limit is None or others < limit

    def _placed(self) -> Iterator[AgenticTask]:
        return (task for task in self.tables["AgenticTask"].values() if task.status.phase in IN_FLIGHT)

    def _want(self, task: AgenticTask) -> Requirement:
        return requirement_of(task, self.tables["Agent"].get(agent_key(task)))

    def _nodes(self) -> dict[str, Node]:
        used: Counter[str] = Counter()
        ram: Counter[str] = Counter()
        for task in self._placed():
            want = self._want(task)
            used[task.status.assigned_node] += want.slot
            ram[task.status.assigned_node] += want.min_ram_gb
        nodes = {}
        for name, fleet_node in self.tables["FleetNode"].items():
            node = nodes[name] = Node(name)
            node.learn(fleet_node, fleet_node.status.phase is FleetNodePhase.READY)
            node.used, node.taken_ram_gb = used[name], ram[name]
        return nodes

    def _finds(self, task: AgenticTask, nodes: dict[str, Node]) -> bool:
        """Whether some node could take it; what it holds itself without running does not count as taken."""
        want = self._want(task)
        own = nodes.get(task.status.assigned_node)
        _shift(own, want, -1)
        found = any(not mismatches(want, node) and obstacle(want, node) is None for node in nodes.values())
        _shift(own, want, 1)
        return found


def _shift(node: Node | None, want: Requirement, by: int) -> None:
    if node is not None:
        node.used += by * want.slot
        node.taken_ram_gb += by * want.min_ram_gb


def _assigned(change: Change) -> Any:
    new, old = change.new, change.old
    moved = change.kind == "AgenticTask" and new is not None and old is not None
    return moved and new.status.phase is Phase.SCHEDULED and old.status.phase is Phase.PENDING


def _sooner(task: AgenticTask, other: AgenticTask) -> bool:
    """Whether `task` finishes work that has been begun, and `other` begins some that is no more urgent."""
    depth, its = (_DOWNSTREAM.get(each.spec.kind, 2) for each in (task, other))
    return task.status.phase is Phase.PENDING and task.spec.priority >= other.spec.priority and depth < its
