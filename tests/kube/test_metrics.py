"""Metrics: read off a fleet in virtual time, and equal to what happened there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support import advance, until, world

from foreman.api import Phase
from foreman.kube.metrics import (
    Metrics,
    agent_metrics,
    cache_metrics,
    controller_metrics,
    operator_metrics,
    time_reconciles,
)
from foreman.kube.tallies import NO_REASON, Claims, Outcomes, Phases, ScheduleToClaim
from foreman.kube.witness import Witness
from sim.mutations import Product
from sim.world import World

PLAIN = """
story: Two nodes and a queue.
fleet: {node: {count: 2, slots: 2}}
workload: {count: 30}
executor: {duration: 3s, verdicts: {GO: 3, NO-GO: 1}}
until: 1h
"""


class Observed:
    """A world whose operator and agents are measured as in production."""

    def __init__(self, text: str = PLAIN, *sets: str) -> None:
        self.metrics: dict[str, Metrics] = {}
        self.witnesses: dict[str, Witness] = {}
        self.world: World = world(text, *sets, product=Product(wrap=self._wrap))
        until(self.world, lambda: "operator-0" in self.world.operators)
        self._observe_operator(self.world.operators["operator-0"])
        until(self.world, lambda: len(self.world.agents) == 2, within=5)
        for name, agent in self.world.agents.items():
            self._observe_agent(name, agent)

    def _wrap(self, cluster: Any) -> Witness:
        witness = self.witnesses[cluster.process.host.name] = Witness(cluster)
        metrics = self.metrics[cluster.process.host.name] = Metrics("test")
        witness.on_shown.append(metrics.shown)
        claims = Claims(metrics)
        witness.on_written.append(claims.written)
        witness.on_refused.append(claims.refused)
        return witness

    def _observe_operator(self, operator: Any) -> None:
        metrics = self.metrics["operator-0"]
        assert operator.auditor is not None
        controllers = operator.task_controller.controller, operator.node_controller.controller
        operator.auditor.on_outcome = Outcomes(metrics).ended
        time_reconciles(metrics, operator.runtime, *controllers)
        self.witnesses["operator-0"].on_written.append(
            ScheduleToClaim(metrics, operator.runtime, operator.tasks).written
        )
        metrics.read(Phases(operator.tasks, operator.nodes).collect)
        metrics.read(lambda: operator_metrics(operator))
        metrics.read(lambda: controller_metrics(*controllers))
        metrics.read(lambda: cache_metrics(operator.tasks, operator.nodes, operator.agents))

    def _observe_agent(self, name: str, agent: Any) -> None:
        self.metrics[name].read(lambda: agent_metrics(agent))

    def finish(self) -> None:
        until(self.world, lambda: self.world.stats.settled == 30)
        advance(self.world, 1)

    def samples(self, host: str) -> Iterator[tuple[str, dict[str, str], float]]:
        for family in text_string_to_metric_families(generate_latest(self.metrics[host].registry).decode()):
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value

    def value(self, host: str, name: str, **labels: str) -> float:
        """The sum over the samples of that name with these labels."""
        return sum(v for n, has, v in self.samples(host) if n == name and labels.items() <= has.items())

    def total(self, name: str, **labels: str) -> float:
        return sum(self.value(host, name, **labels) for host in self.world.agents)


def test_finished_tasks_are_counted_once_with_the_originals_labels():
    seen = Observed()
    seen.finish()
    counted = [labels for name, labels, _ in seen.samples("operator-0") if name == "foreman_task_completed_total"]
    assert all(set(labels) == {"agent", "kind", "verdict", "outcome"} for labels in counted)
    assert seen.value("operator-0", "foreman_task_completed_total") == 30
    verdicts = seen.world.stats.verdicts
    for verdict, number in verdicts.items():
        assert seen.value("operator-0", "foreman_task_completed_total", verdict=verdict) == number
    assert seen.value("operator-0", "foreman_task_duration_seconds_count") == 30
    assert seen.value("operator-0", "foreman_task_duration_seconds_bucket", le="2.0") == 0
    assert seen.value("operator-0", "foreman_task_duration_seconds_bucket", le="4.0") == 30


def test_phases_and_reasons_are_what_the_operator_has_seen():
    seen = Observed()
    until(seen.world, lambda: seen.world.stats.settled >= 8)
    advance(seen.world, 0.5)
    tasks = list(seen.world.operators["operator-0"].tasks)
    for phase in Phase:
        expected = sum(task.status.phase is phase for task in tasks)
        assert seen.value("operator-0", "foreman_agentictask_phase", phase=phase.value) == expected
    assert seen.value("operator-0", "foreman_fleetnode_phase", phase="Ready") == 2
    pending = seen.value("operator-0", "foreman_agentictask_phase", phase="Pending")
    assert pending == seen.value("operator-0", "foreman_tasks_pending", reason=NO_REASON) > 0
    until(seen.world, lambda: seen.value("operator-0", "foreman_tasks_pending", reason="NodesBusy") > 0, step=1)
    seen.finish()
    assert seen.value("operator-0", "foreman_agentictask_phase", phase="Succeeded") == 30
    assert seen.value("operator-0", "foreman_tasks_pending") == 0


def test_claims_reports_and_slots_of_agents():
    seen = Observed()
    until(seen.world, lambda: seen.world.executions == 4)
    assert seen.total("foreman_agent_slots", state="total") == 4
    assert seen.total("foreman_agent_slots", state="used") == 4
    seen.finish()
    assert seen.total("foreman_agent_claims_total", outcome="won") == 30
    assert seen.total("foreman_agent_slots", state="used") == 0
    assert seen.total("foreman_agent_registered") == 2
    assert seen.total("foreman_agent_heartbeats_total", outcome="ok") >= 2


def test_the_latency_from_assignment_to_claim_is_measured_for_each_claim():
    seen = Observed()
    seen.finish()
    count = seen.value("operator-0", "foreman_schedule_to_claim_seconds_count")
    mean = seen.value("operator-0", "foreman_schedule_to_claim_seconds_sum") / count
    assert count == 30
    assert 0.001 < mean < 0.1


def test_controllers_caches_and_leadership_are_read_off():
    seen = Observed()
    seen.finish()
    operator = "operator-0"
    assert seen.value(operator, "foreman_reconcile_total", controller="task") >= 60
    assert seen.value(operator, "foreman_reconcile_duration_seconds_count", controller="task") >= 60
    assert seen.value(operator, "foreman_workqueue_depth") == 0
    assert seen.value(operator, "foreman_cache_objects", kind="AgenticTask") == 30
    assert seen.value(operator, "foreman_cache_watching") == 3
    assert seen.value(operator, "foreman_cache_relists_total") >= 3
    assert seen.value(operator, "foreman_leader") == 1
    assert seen.value(operator, "foreman_fleet_slots", state="total") == 4
    assert seen.value(operator, "foreman_watch_events_total", kind="AgenticTask") > 90


def test_no_metric_has_a_label_with_the_name_of_a_task():
    seen = Observed()
    seen.finish()
    names = {task.metadata.name for task in seen.world.server.tables["AgenticTask"].values()}
    for host in seen.metrics:
        for _, labels, _ in seen.samples(host):
            assert not names & set(labels.values())
