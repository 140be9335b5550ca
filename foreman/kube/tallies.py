"""What no counter of the product holds, counted from what a process did and saw: outcomes, phases, latencies, claims."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import Metric

from foreman.api import CONDITION_SCHEDULED, AgenticTask, FleetNode, FleetNodePhase, Phase, condition
from foreman.api.meta import Resource
from foreman.audit import outcome_labels
from foreman.cache import Cache
from foreman.cluster import ClusterError, Conflict
from foreman.kube.metrics import Metrics, gauge
from foreman.runtime import Runtime

CLAIM_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0)
NO_REASON = "JustQueued"


class Outcomes:
    """The original's counters of finished tasks. Give `ended` to the auditor, which calls it once for each task."""

    def __init__(self, metrics: Metrics) -> None:
        self._completed = metrics.counter(
            "foreman_task_completed_total", "Finished tasks", ("agent", "kind", "verdict", "outcome")
        )
        self._duration = metrics.histogram(
            "foreman_task_duration_seconds",
            "From start to end of finished tasks",
            ("agent", "kind", "verdict"),
            (2.0**n for n in range(12)),
        )
        self._turns = metrics.histogram(
            "foreman_task_turns", "Turns of the agent loop", ("agent", "kind"), (2.0**n for n in range(10))
        )
        self.workloads = metrics.counter("foreman_workload_completed_total", "Finished workloads", ("outcome",))

    def ended(self, task: AgenticTask) -> None:
        labels = outcome_labels(task)
        status = task.status
        self._completed.labels(*labels).inc()
        if status.started_at is not None and status.finished_at is not None:
            seconds = max(status.finished_at - status.started_at, 0)
            self._duration.labels(labels.agent, labels.kind, labels.verdict).observe(seconds)
        extra = (status.result or {}).get("extra")
        turns = extra.get("turns") if isinstance(extra, dict) else None
        if isinstance(turns, int) and not isinstance(turns, bool):
            self._turns.labels(labels.agent, labels.kind).observe(turns)


class Phases:
    """How many tasks and nodes are in which phase, and why the pending ones wait: kept up to date by the caches' listeners."""

    def __init__(self, tasks: Cache[AgenticTask], nodes: Cache[FleetNode]) -> None:
        self.tasks: Tally[str] = Tally()
        self.pending: Tally[str] = Tally()
        self.nodes: Tally[str] = Tally()
        for task in tasks:
            self._task(task.key, None, task)
        for node in nodes:
            self._node(node.key, None, node)
        tasks.listen(self._task)
        nodes.listen(self._node)

    def _task(self, key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
        for task, step in ((old, -1), (new, 1)):
            if task is not None:
                self.tasks[str(task.status.phase or "")] += step
                if task.status.phase in (None, Phase.PENDING):
                    self.pending[_why(task)] += step

    def _node(self, key: str, old: FleetNode | None, new: FleetNode | None) -> None:
        for node, step in ((old, -1), (new, 1)):
            if node is not None:
                self.nodes[str(node.status.phase or "")] += step

    def collect(self) -> Iterator[Metric]:
        tasks = {"": self.tasks[""], **{str(phase): self.tasks[str(phase)] for phase in Phase}}
        nodes = {str(phase): self.nodes[str(phase)] for phase in FleetNodePhase}
        yield gauge("foreman_agentictask_phase", "Tasks by phase", tasks, "phase")
        yield gauge("foreman_fleetnode_phase", "FleetNodes by phase", nodes, "phase")
        yield gauge("foreman_tasks_pending", "Pending tasks by what they say they wait for", +self.pending, "reason")


def _why(task: AgenticTask) -> str:
    told = condition(task.status.conditions, CONDITION_SCHEDULED)
    return told.reason if told is not None and told.status == "False" else NO_REASON


class ScheduleToClaim:
    """From this operator's assignment to the moment it sees the claim: measured on its own clock, once in the fleet."""

    def __init__(self, metrics: Metrics, runtime: Runtime, tasks: Cache[AgenticTask]) -> None:
        self.runtime = runtime
        self.tasks = tasks
        self.latency = metrics.histogram(
            "foreman_schedule_to_claim_seconds", "From assignment to claim, as the operator saw it", (), CLAIM_BUCKETS
        )
        self._assigned: dict[str, tuple[str, float]] = {}
        tasks.listen(self._seen)

    def written(self, old: Resource, new: Resource) -> None:
        """Give this to a Witness of the operator."""
        if not isinstance(new, AgenticTask) or new.status.phase is not Phase.SCHEDULED:
            return
        seen = self.tasks.get(new.key)
        if seen is not None and seen.status.attempt == new.status.attempt and seen.status.phase is Phase.RUNNING:
            # The watch has brought the claim before the answer to the assignment came.
            self.latency.observe(0)
        else:
            self._assigned[new.key] = new.status.assigned_node, self.runtime.now()

    def _seen(self, key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
        if key not in self._assigned or (new is not None and new.status.phase is Phase.SCHEDULED):
            return
        if new is not None and new.status.phase is Phase.PENDING and (old is None or old.status.phase is Phase.PENDING):
            return  # The cache is still behind the assignment.
        node, since = self._assigned.pop(key)
        if new is not None and new.status.phase is Phase.RUNNING and new.status.assigned_node == node:
            self.latency.observe(self.runtime.now() - since)


class Claims:
    """Claims and heartbeats of an agent, as its Witness sees them."""

    def __init__(self, metrics: Metrics) -> None:
        self._claims = metrics.counter(
            "foreman_agent_claims_total", "Claims tried; lost: somebody was faster", ("outcome",)
        )
        self._beats = metrics.counter("foreman_agent_heartbeats_total", "Heartbeats sent", ("outcome",))
        for outcome in ("won", "lost", "failed"):
            self._claims.labels(outcome)
        for outcome in ("ok", "failed"):
            self._beats.labels(outcome)

    def written(self, old: Resource, new: Resource) -> None:
        if isinstance(new, FleetNode):
            self._beats.labels("ok").inc()
        elif isinstance(old, AgenticTask) and isinstance(new, AgenticTask) and _claims(old, new.status.phase):
            self._claims.labels("won").inc()

    def refused(self, obj: Resource, changes: Mapping[str, Any], error: ClusterError) -> None:
        if isinstance(obj, FleetNode) and "last_heartbeat_time" in changes:
            self._beats.labels("failed").inc()
        elif isinstance(obj, AgenticTask) and _claims(obj, changes.get("phase")):
            self._claims.labels("lost" if isinstance(error, Conflict) else "failed").inc()


def _claims(task: AgenticTask, phase: object) -> bool:
    return task.status.phase is Phase.SCHEDULED and phase is Phase.RUNNING
