"""A cluster at one moment, and the questions that one look at it answers."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from foreman.api import IN_FLIGHT, Agent, AgenticTask, FleetNode, Phase, Workload
from foreman.decide.pending import Eligible, Step, next_step
from foreman.decide.requirement import Requirement, agent_key, requirement_of


class Snapshot:
    """Objects by key. `at`: unix seconds by the clock of whoever looked."""

    def __init__(
        self,
        at: int,
        tasks: Iterable[AgenticTask],
        nodes: Iterable[FleetNode],
        agents: Iterable[Agent],
        workloads: Iterable[Workload] = (),
    ) -> None:
        self.at = at
        self.tasks = {task.key: task for task in tasks}
        self.nodes = {node.key: node for node in nodes}
        self.agents = {agent.key: agent for agent in agents}
        self.workloads = {workload.key: workload for workload in workloads}
        self.acyclic: set[str] = set()

    @cached_property
    def _dependents(self) -> dict[str, list[AgenticTask]]:
        found: dict[str, list[AgenticTask]] = {}
        for task in self.tasks.values():
            for name in task.spec.depends_on:
                found.setdefault(f"{task.metadata.namespace}/{name}", []).append(task)
        return found

    def agent_of(self, task: AgenticTask) -> Agent | None:
        return self.agents.get(agent_key(task))

    def want(self, task: AgenticTask) -> Requirement:
        return requirement_of(task, self.agent_of(task))

    def upstream(self, task: AgenticTask, name: str) -> AgenticTask | None:
        """The dependency `name` of the task."""
        return self.tasks.get(f"{task.metadata.namespace}/{name}")

    def dependents(self, task: AgenticTask) -> list[AgenticTask]:
        """The tasks that depend on this one."""
        return self._dependents.get(task.key, [])

    def busy(self, agent: str) -> int:
        """How many tasks of the Agent ('namespace/name') are on a node."""
        return sum(agent_key(task) == agent for task in self.tasks.values() if on_node(task))

    def with_tasks(self, tasks: Iterable[AgenticTask]) -> Snapshot:
        """The same moment, had these been there too."""
        return Snapshot(self.at, [*self.tasks.values(), *tasks], self.nodes.values(), self.agents.values())


def on_node(task: AgenticTask) -> bool:
    """Whether the task takes something of a node."""
    return task.status.phase in IN_FLIGHT and bool(task.status.assigned_node)


def awaits(task: AgenticTask) -> bool:
    """Whether the task has yet to be placed. One that no operator has looked at counts: it will be Pending in a moment."""
    return task.status.phase in (None, Phase.PENDING) and task.metadata.deletion_timestamp is None


def step_of(snapshot: Snapshot, task: AgenticTask) -> Step:
    """What the operator does with a task that awaits a node."""
    looked_at = task.evolve(status=task.status.evolve(phase=Phase.PENDING))
    depended_on = bool(snapshot.dependents(task))
    return next_step(looked_at, lambda name: snapshot.upstream(task, name), depended_on, snapshot.at, snapshot.acyclic)


def rest_of(snapshot: Snapshot, task: AgenticTask) -> int:
    """Seconds that the task rests after a failure, as far as the API tells."""
    after = task.status.retry_after
    left = after - snapshot.at if after is not None else 0
    return max(min(left, task.spec.retry_policy.backoff_seconds), 0)


def agent_is_missing(snapshot: Snapshot, task: AgenticTask) -> bool:
    return bool(agent_key(task)) and snapshot.agent_of(task) is None


def placeable(snapshot: Snapshot, task: AgenticTask) -> bool:
    """Whether only a node is missing."""
    return (
        awaits(task)
        and isinstance(step_of(snapshot, task), Eligible)
        and not rest_of(snapshot, task)
        and not agent_is_missing(snapshot, task)
    )
