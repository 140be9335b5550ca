"""Checks of who is placed where, for the scenarios that ask for them: each looks at the whole fleet, which costs time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from foreman.api import IN_FLIGHT, AgenticTask, FleetNodePhase, Phase, succeeded_on_target
from foreman.decide.filters import Node, mismatches, obstacle
from foreman.decide.requirement import Requirement, agent_key, requirement_of
from sim.selection import Change

if TYPE_CHECKING:
    from sim.apiserver import ApiServer
    from sim.checkers.checkers import Checkers
    from sim.scenario import Scenario

_SECOND = 1_000_000
SIGHT = 1 * _SECOND
"""How long a task must have waited before an operator must have seen it."""


def fleet(server: ApiServer) -> dict[str, Node]:
    """The nodes with what is taken of them, as the API server has it."""
    nodes = {}
    for name, found in server.tables["FleetNode"].items():
        nodes[name] = Node(name)
        nodes[name].learn(found, found.status.phase is FleetNodePhase.READY)
    for task in server.tables["AgenticTask"].values():
        node = nodes.get(task.status.assigned_node)
        if node is not None and task.status.phase in IN_FLIGHT:
            want = wanted(server, task)
            node.used += int(want.slot)
            node.taken_ram_gb += want.min_ram_gb
    return nodes


def wanted(server: ApiServer, task: AgenticTask) -> Requirement:
    return requirement_of(task, server.tables["Agent"].get(agent_key(task)))


def eligible(server: ApiServer, task: AgenticTask, wall: int) -> bool:
    """Whether nothing but a node is in the way of a task."""
    status = task.status
    if status.phase is not Phase.PENDING or (status.retry_after or 0) > wall or task.metadata.deletion_timestamp:
        return False
    tasks = server.tables["AgenticTask"]
    upstream = [tasks.get(f"{task.metadata.namespace}/{name}") for name in task.spec.depends_on]
    if not all(each is not None and succeeded_on_target(each.status) for each in upstream):
        return False
    name = agent_key(task)
    agent = server.tables["Agent"].get(name)
    if agent is None or agent.spec.max_concurrent_tasks is None:
        return name == "" or agent is not None
    busy = [each for each in tasks.values() if agent_key(each) == name and each.status.phase in IN_FLIGHT]
    return bool(len(busy) < agent.spec.max_concurrent_tasks)


class Stranded:
    """No eligible task waits for longer than `checks.stranding` for a node that is held only by tasks for which a smaller
    node was free when they were placed."""

    invariants: ClassVar[tuple[str, ...]] = ("stranded",)

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self.bound = scenario.checks.stranding
        self.misplaced: dict[str, str] = {}
        self.since: dict[str, int] = {}

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.checks.stranding > 0

    def committed(self, change: Change) -> None:
        new: AgenticTask | None = change.new
        if change.kind == "AgenticTask":
            if new is None or new.status.phase not in IN_FLIGHT:
                self.misplaced.pop(change.key, None)
            elif new.status.phase is Phase.SCHEDULED and change.old.status.phase is Phase.PENDING:
                self.court.exercised("stranded")
                self._placed(new)
        self._look()

    def ended(self, wall: int) -> None:
        self._look()

    def _placed(self, task: AgenticTask) -> None:
        server, chosen = self.court.server, task.status.assigned_node
        want, nodes = wanted(server, task), fleet(server)
        smaller = [
            node.name
            for node in nodes.values()
            if node.ram_gb < nodes[chosen].ram_gb and obstacle(want, node) is None and not mismatches(want, node)
        ]
        if smaller:
            self.misplaced[task.key] = smaller[0]

    def _look(self) -> None:
        server, now = self.court.server, self.court.now()
        nodes = fleet(server)
        waiting = {}
        for key, task in server.tables["AgenticTask"].items():
            if eligible(server, task, server.wall()) and (blocked := self._stranded(task, nodes)):
                waiting[key] = since = self.since.get(key, now)
                if 0 <= since < now - self.bound:
                    waiting[key] = -1
                    self.court.fail("stranded", key, f"waits for {blocked[0]}, held by {blocked[1]}")
        self.since = waiting

    def _stranded(self, task: AgenticTask, nodes: dict[str, Node]) -> tuple[str, str] | None:
        """(node, task that holds it for no need), or None."""
        server = self.court.server
        want = wanted(server, task)
        fitting = [node for node in nodes.values() if node.ready and not mismatches(want, node)]
        if any(obstacle(want, node) is None for node in fitting):
            return None
        for node in fitting:
            held = [
                each.key
                for each in server.tables["AgenticTask"].values()
                if each.status.assigned_node == node.name and each.status.phase in IN_FLIGHT
            ]
            if held and all(key in self.misplaced for key in held):
                return node.name, f"{held[0]}, which {self.misplaced[held[0]]} could have taken"
        return None


class Urgency:
    """Of the tasks with the same demand the most urgent is placed first (`checks: {urgency: true}`)."""

    invariants: ClassVar[tuple[str, ...]] = ("urgency",)

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self.since: dict[str, int] = {}

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.checks.urgency

    def committed(self, change: Change) -> None:
        new: AgenticTask | None = change.new
        if change.kind != "AgenticTask":
            return
        if new is None or new.status.phase is not Phase.PENDING:
            self.since.pop(change.key, None)
        else:
            self.since.setdefault(change.key, self.court.now())
        if new is not None and new.status.phase is Phase.SCHEDULED and change.old.status.phase is Phase.PENDING:
            self.court.exercised("urgency")
            self._placed(new)

    def ended(self, wall: int) -> None:
        return

    def _placed(self, task: AgenticTask) -> None:
        server = self.court.server
        for key, since in self.since.items():
            other = server.tables["AgenticTask"][key]
            same = wanted(server, other) == wanted(server, task) and agent_key(other) == agent_key(task)
            seen = self.court.now() - since > SIGHT and not other.status.handbacks
            if same and seen and other.spec.priority > task.spec.priority and eligible(server, other, server.wall()):
                why = f"placed before {key}, priority {other.spec.priority} against {task.spec.priority}"
                self.court.fail("urgency", task.key, why)
                return
