"""The operator: caches, scheduler and controllers of one process, with or without an election in front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foreman.agent_controller import AgentController
from foreman.api import Agent, AgenticTask, FleetNode, Workload
from foreman.audit import Auditor
from foreman.cache import Cache
from foreman.cluster import Cluster
from foreman.controller import Controller
from foreman.decide.fleet import Draw
from foreman.election import Election
from foreman.explainer import Explainer
from foreman.liveness import Liveness
from foreman.node_controller import NodeController
from foreman.runtime import Runtime, Signal
from foreman.scheduler import Scheduler
from foreman.task_controller import TaskController
from foreman.workload_controller import WorkloadController


@dataclass(frozen=True)
class OperatorOptions:
    """`policy`: one of decide.policies.POLICIES. `audit_retention`: seconds, 0 keeps records for ever. `audit`: keep
    any at all. `allow_cloud`: whether Workloads may have reviewers of a provider that is not local."""

    policy: str = "first-fit"
    leader_elect: bool = False
    identity: str = "operator"
    namespace: str = "foreman-system"
    audit: bool = True
    audit_retention: float = 168 * 3600
    allow_cloud: bool = True


@dataclass(frozen=True)
class OperatorParts:
    """What an operator is made of; a test or a mutation swaps one part for another."""

    scheduler: type[Scheduler] = Scheduler
    task_controller: type[TaskController] = TaskController
    node_controller: type[NodeController] = NodeController
    workload_controller: type[WorkloadController] = WorkloadController
    liveness: type[Liveness] = Liveness
    election: type[Election] = Election


class Operator:
    """Everything one operator process runs. `draw(n)`: a uniform integer below n, for the `random` policy."""

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        options: OperatorOptions,
        draw: Draw,
        parts: OperatorParts | None = None,
    ) -> None:
        parts = parts or OperatorParts()
        self.cluster = cluster
        self.runtime = runtime
        self.options = options
        self.tasks: Cache[AgenticTask] = Cache(cluster, runtime, "AgenticTask")
        self.nodes: Cache[FleetNode] = Cache(cluster, runtime, "FleetNode")
        self.agents: Cache[Agent] = Cache(cluster, runtime, "Agent")
        self.workloads: Cache[Workload] = Cache(cluster, runtime, "Workload")
        self.liveness = parts.liveness(runtime, self.nodes)
        self.auditor = Auditor(cluster, runtime, options.audit_retention) if options.audit else None
        self.task_controller = parts.task_controller(
            cluster, runtime, self.tasks, self.nodes, self.agents, self.liveness, self.auditor
        )
        queue = self.task_controller.queue
        self.scheduler = parts.scheduler(
            cluster, runtime, self.tasks, self.agents, options.policy, draw, queue.add_backing_off
        )
        self.task_controller.scheduler = self.scheduler
        self.node_controller = parts.node_controller(
            cluster, runtime, self.nodes, self.liveness, self.scheduler, self.task_controller
        )
        self.workload_controller = parts.workload_controller(
            cluster, runtime, self.workloads, self.tasks, self.agents, options.allow_cloud
        )
        self.agent_controller = AgentController(cluster, runtime, self.agents)
        self.explainer = Explainer(cluster, runtime, self.tasks, self.scheduler)
        self.election = (
            parts.election(cluster, runtime, options.identity, options.namespace) if options.leader_elect else None
        )
        self.on_lead: Callable[[], None] | None = None

    @property
    def active(self) -> bool:
        """Whether this operator acts: it leads, or nobody needs to."""
        return self.election is None or self.election.leading

    @property
    def caches(self) -> tuple[Cache[Any], ...]:
        return self.agents, self.workloads, self.nodes, self.tasks

    @property
    def controllers(self) -> tuple[Controller, ...]:
        parts = self.task_controller, self.node_controller, self.workload_controller, self.agent_controller
        return tuple(each.controller for each in parts)

    async def run(self, stop: Signal) -> None:
        """Serve until `stop` is set, then return. A candidate keeps its caches warm while it waits for its turn.

        Nothing needs to be finished on the way out, for every step that counts is one conditional write: no more is begun,
        and the lease is released. Raises ProcessExit when the process must be restarted.
        """
        for cache in self.caches:
            self.runtime.spawn(cache.run(), f"cache-{cache.kind}")
        if self.election is not None:
            self.runtime.spawn(self.election.run(self._elected), "election")
        else:
            self.runtime.spawn(self._serve(), "serve")
        await stop.wait()
        self.scheduler.close()
        for controller in self.controllers:
            controller.queue.close()
        if self.election is not None:
            await self.election.release()

    def _elected(self) -> None:
        """The lease is ours: begin to act."""
        if self.on_lead is not None:
            self.on_lead()
        self.runtime.spawn(self._serve(), "serve")

    async def _serve(self) -> None:
        for cache in self.caches:
            await cache.synced.wait()
        for part in (self.task_controller, self.node_controller, self.workload_controller, self.agent_controller):
            part.start()
        self.runtime.spawn(self.explainer.run(), "explain")
        if self.auditor is not None:
            self.runtime.spawn(self.auditor.sweep_for_ever(), "audit-sweep")
