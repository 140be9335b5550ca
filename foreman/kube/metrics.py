"""Prometheus metrics. Most are read off the product's own counters when somebody asks; `tallies` counts the rest.

The names of tasks' outcomes are the original's, so that its dashboards and alerts fit. No metric has a label with the name of a
task: such labels have no bound.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import foreman
from foreman.agent.agent import Agent
from foreman.cache import Cache
from foreman.controller import Controller
from foreman.kube.events import Recorder
from foreman.operator import Operator
from foreman.runtime import Runtime

REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RECONCILE_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0)


class Metrics:
    """The registry of one process, with what every process counts: API requests and watch events."""

    def __init__(self, component: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = self.histogram(
            "foreman_api_request_duration_seconds",
            "Requests to the API server; outcome is ok or the error's name",
            ("verb", "kind", "outcome"),
            REQUEST_BUCKETS,
        )
        self._events = self.counter("foreman_watch_events_total", "Watch events seen", ("kind", "type"))
        info = GaugeMetricFamily("foreman_build_info", "1, with the version", labels=("version", "component"))
        info.add_metric((foreman.__version__, component), 1)
        self.read(lambda: (info,))

    def counter(self, name: str, what: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, what, labels, registry=self.registry)

    def histogram(self, name: str, what: str, labels: tuple[str, ...], buckets: Iterable[float]) -> Histogram:
        return Histogram(name, what, labels, buckets=tuple(buckets), registry=self.registry)

    def read(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Ask `collect` at each scrape."""
        self.registry.register(_AtScrape(collect))

    def request(self, verb: str, kind: str, outcome: str, seconds: float) -> None:
        self._requests.labels(verb, kind, outcome).observe(seconds)

    def shown(self, kind: str, type_: str) -> None:
        self._events.labels(kind, type_).inc()


class _AtScrape(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        """Nothing: else registering would ask what is not there yet."""
        return ()


def gauge(name: str, what: str, values: Mapping[str, float], label: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=(label,))
    for value, number in values.items():
        family.add_metric((value,), number)
    return family


def count(name: str, what: str, values: Mapping[str, float], label: str) -> CounterMetricFamily:
    family = CounterMetricFamily(name, what, labels=(label,))
    for value, number in values.items():
        family.add_metric((value,), number)
    return family


def total(name: str, what: str, number: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, what, value=number)


def cache_metrics(*caches: Cache[Any]) -> Iterator[Metric]:
    """Objects held, relists, and whether each cache is up to date as far as it knows."""
    yield gauge("foreman_cache_objects", "Objects in the cache", {c.kind: len(c) for c in caches}, "kind")
    yield gauge("foreman_cache_watching", "1: synced and watching", {c.kind: c.watching for c in caches}, "kind")
    yield count("foreman_cache_relists_total", "Full lists", {c.kind: c.relists for c in caches}, "kind")


def controller_metrics(*controllers: Controller) -> Iterator[Metric]:
    yield gauge("foreman_workqueue_depth", "Keys that wait", {c.name: len(c.queue) for c in controllers}, "controller")
    yield count("foreman_reconcile_total", "Reconciles", {c.name: c.reconciles for c in controllers}, "controller")
    errors = CounterMetricFamily("foreman_reconcile_errors_total", "Refusals met", labels=("controller", "error"))
    for controller in controllers:
        for error, number in controller.errors.items():
            errors.add_metric((controller.name, error), number)
    yield errors


def operator_metrics(operator: Operator) -> Iterator[Metric]:
    yield GaugeMetricFamily("foreman_leader", "1: this operator acts", value=operator.active)
    yield total("foreman_assignments_refused_total", "Assignments that were not written", operator.scheduler.conflicts)
    nodes = operator.scheduler.fleet.nodes.values()
    slots = {"total": sum(node.slots for node in nodes), "used": sum(node.used for node in nodes)}
    yield gauge("foreman_fleet_slots", "Slots of the fleet by the operator's books", slots, "state")


def agent_metrics(agent: Agent) -> Iterator[Metric]:
    watcher = agent.watcher
    slots = {"total": watcher.slots, "used": len(watcher.runs)}
    yield gauge("foreman_agent_slots", "Slots of this agent; used: tasks that run", slots, "state")
    reports = {"landed": watcher.landed, "discarded": watcher.discarded}
    yield count("foreman_agent_reports_total", "Ended runs, by what became of their report", reports, "outcome")
    registered = {agent.registrar.identity.name: agent.registrar.registered.is_set()}
    yield gauge("foreman_agent_registered", "1: this process speaks for the node", registered, "node")


def recorder_metrics(recorder: Recorder) -> Iterator[Metric]:
    events = {"written": recorder.written, "dropped": recorder.dropped}
    yield count("foreman_events_total", "Kubernetes Events of this process", events, "outcome")


def time_reconciles(metrics: Metrics, runtime: Runtime, *controllers: Controller) -> None:
    """Measure how long each reconcile takes."""
    latency = metrics.histogram(
        "foreman_reconcile_duration_seconds", "How long a reconcile took", ("controller",), RECONCILE_BUCKETS
    )
    for controller in controllers:
        controller.reconcile = _timed(controller.reconcile, runtime, latency.labels(controller.name).observe)


def _timed(
    reconcile: Callable[[str], Awaitable[float | None]], runtime: Runtime, observe: Callable[[float], None]
) -> Callable[[str], Awaitable[float | None]]:
    async def timed(key: str) -> float | None:
        started = runtime.now()
        try:
            return await reconcile(key)
        finally:
            observe(runtime.now() - started)

    return timed
