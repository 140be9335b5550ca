"""The two programs of production, put together: operator and agent on a real cluster, with health, metrics, logs and Events."""

from __future__ import annotations

import asyncio
import logging
import platform
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import foreman
from foreman.agent.agent import Agent, AgentOptions
from foreman.agent.capability import Declared, probe
from foreman.agent.registrar import Identity
from foreman.agent.run import Run
from foreman.api import HEARTBEAT_TIMEOUT_SECONDS, AgenticTask, FleetNodeSpec
from foreman.api.meta import Resource
from foreman.cache import Cache
from foreman.cluster import ClusterError
from foreman.executors import StubExecutor
from foreman.kube import machine
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection
from foreman.kube.credentials import NoCluster
from foreman.kube.events import Recorder, news
from foreman.kube.health import Address, Check, Endpoints
from foreman.kube.metrics import (
    Metrics,
    cache_metrics,
    controller_metrics,
    count,
    gauge,
    time_reconciles,
    total,
)
from foreman.kube.preflight import Need, preflight
from foreman.kube.process import Unusable
from foreman.kube.runtime import AsyncioRuntime
from foreman.kube.tallies import Claims, Outcomes, Phases, ScheduleToClaim
from foreman.kube.witness import Witness
from foreman.operator import Operator, OperatorOptions
from foreman.runtime import Signal

log = logging.getLogger("foreman")


@dataclass(frozen=True)
class Ground:
    """What a program stands on. `kubeconfig` and `context`: None searches as kubectl does; `health`, `metrics`: where to
    listen, None for not at all."""

    kubeconfig: str | None = None
    context: str | None = None
    health: Address | None = None
    metrics: Address | None = None


@dataclass(frozen=True)
class NodeSettings:
    """The node an agent speaks for. `stub_sleep`: seconds each task takes."""

    spec: FleetNodeSpec
    declared: Declared
    labels: dict[str, str]
    stub_sleep: float


def operator_needs(options: OperatorOptions) -> Sequence[Need]:
    needs = [
        Need("AgenticTask", ("get", "list", "watch", "patch")),
        Need("AgenticTask", ("patch",), "status"),
        Need("FleetNode", ("get", "list", "watch", "delete")),
        Need("FleetNode", ("patch",), "status"),
        Need("Agent", ("get", "list", "watch")),
    ]
    if options.audit:
        needs.append(Need("ConfigMap", ("list", "create", "patch", "delete")))
    if options.leader_elect:
        needs.append(Need("Lease", ("get", "create", "patch"), namespace=options.namespace))
    return needs


def agent_needs(namespace: str | None) -> Sequence[Need]:
    return [
        Need("AgenticTask", ("get", "list", "watch"), namespace=namespace),
        Need("AgenticTask", ("patch",), "status", namespace),
        Need("FleetNode", ("get", "create", "patch")),
        Need("FleetNode", ("patch",), "status"),
    ]


class Stage(NamedTuple):
    """What both programs are given: a cluster that tells what was done to it, and where to count and record it."""

    cluster: Witness
    metrics: Metrics
    checks: list[Callable[[], Iterator[Check]]]


@asynccontextmanager
async def staged(
    runtime: AsyncioRuntime, stop: Signal, ground: Ground, component: str, identity: str, needs: Sequence[Need]
) -> AsyncIterator[Stage | None]:
    """Connected, listening, and admitted by the cluster; None when told to end before that.

    Raises Unusable and ProcessExit."""
    try:
        connection = await Connection.open(ground.kubeconfig, ground.context)
    except NoCluster as error:
        raise Unusable(str(error)) from error
    metrics = Metrics(component)
    checks: list[Callable[[], Iterator[Check]]] = []
    endpoints = Endpoints(ground.health, ground.metrics, lambda: _all(checks), metrics.registry)
    about = {"version": foreman.__version__, "identity": identity, "server": connection.server}
    log.info("starting foreman %s", component, extra=about)
    try:
        async with endpoints:
            if not await unless_stopped(preflight(connection, runtime, needs), stop):
                yield None
                return
            cluster = Witness(KubeCluster(connection, metrics.request))
            cluster.on_shown.append(metrics.shown)
            recorder = Recorder(cluster, runtime, f"foreman-{component}", identity, socket.gethostname())
            cluster.on_written.append(lambda old, new: _chronicle(recorder, old, new))
            metrics.read(lambda: _recorder_metrics(recorder))
            yield Stage(cluster, metrics, checks)
    finally:
        await connection.close()


async def operate(runtime: AsyncioRuntime, stop: Signal, ground: Ground, options: OperatorOptions) -> None:
    """An operator, until it is told to end."""
    options = replace(options, identity=machine.operator_identity())
    async with staged(runtime, stop, ground, "operator", options.identity, operator_needs(options)) as stage:
        if stage is None:
            return
        cluster, metrics, checks = stage
        operator = Operator(cluster, runtime, options, machine.draw)
        caches: tuple[Cache[Any], ...] = (operator.tasks, operator.nodes, operator.agents)
        controllers = operator.task_controller.controller, operator.node_controller.controller
        if operator.auditor is not None:
            operator.auditor.on_outcome = Outcomes(metrics).ended
        time_reconciles(metrics, runtime, *controllers)
        cluster.on_written.append(ScheduleToClaim(metrics, runtime, operator.tasks).written)
        phases = Phases(operator.tasks, operator.nodes)
        for collect in (
            lambda: cache_metrics(*caches),
            lambda: controller_metrics(*controllers),
            phases.collect,
            lambda: _operator_metrics(operator),
        ):
            metrics.read(collect)
        for cache in caches:
            _watch_over(runtime, cache)
        operator.on_lead = lambda: log.info("leading", extra={"identity": options.identity})
        checks.append(lambda: _operator_checks(operator, caches))
        await operator.run(stop)


async def attend(
    runtime: AsyncioRuntime, stop: Signal, ground: Ground, node: NodeSettings, options: AgentOptions
) -> None:
    """A node's agent, until it is told to end."""
    name = node.spec.node_name
    instance = machine.agent_instance(name)
    async with staged(runtime, stop, ground, "agent", instance, agent_needs(options.namespace)) as stage:
        if stage is None:
            return
        cluster, metrics, checks = stage
        identity = Identity(
            name, instance, node.spec, node.labels, foreman.__version__, platform.system().lower(), _architecture()
        )
        executor = StubExecutor(runtime, node.stub_sleep)
        agent = Agent(cluster, runtime, identity, executor, lambda: _capability(node.declared), options)
        claims = Claims(metrics)
        cluster.on_written.append(claims.written)
        cluster.on_refused.append(claims.refused)
        metrics.read(lambda: _agent_metrics(agent))
        metrics.read(lambda: cache_metrics(agent.watcher.tasks))
        _watch_over(runtime, agent.watcher.tasks)
        agent.registrar.on_standby = lambda other: log.warning(
            "standing by: %s is spoken for by %s; --take-over would take it", name, other
        )
        agent.watcher.on_discarded = _discarded
        runtime.spawn(_registered(agent, name), "registered")
        checks.append(lambda: _agent_checks(agent, runtime))
        await agent.run(stop)


async def unless_stopped(work: Coroutine[Any, Any, None], stop: Signal) -> bool:
    """Do `work`, or leave it when `stop` comes first; whether it was done. Raises what it raises."""
    doing = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not doing.done():
        doing.cancel()
        return False
    doing.result()
    return True


# what the log says


def _chronicle(recorder: Recorder, old: Resource, new: Resource) -> None:
    what = news(old, new)
    if what is None:
        return
    told: dict[str, object] = {"kind": new.kind, "object": new.key, "reason": what.reason}
    if isinstance(new, AgenticTask) and isinstance(old, AgenticTask):
        told |= {"node": new.status.assigned_node or old.status.assigned_node, "attempt": new.status.attempt}
    log.log(logging.INFO if what.good else logging.WARNING, "%s", what.message or what.reason, extra=told)
    recorder.tell(new, what)


def _watch_over(runtime: AsyncioRuntime, cache: Cache[Any]) -> None:
    def lost(error: ClusterError) -> None:
        log.warning("%s: listing anew: %s", cache.kind, error, extra={"reason": type(error).__name__})

    async def synced() -> None:
        await cache.synced.wait()
        log.info("%s: in sync", cache.kind, extra={"objects": len(cache)})

    cache.on_loss.append(lost)
    cache.on_recovery.append(lambda: log.info("%s: watching again", cache.kind))
    runtime.spawn(synced(), "synced")


async def _registered(agent: Agent, name: str) -> None:
    await agent.registrar.registered.wait()
    log.info("registered as FleetNode %s", name, extra={"slots": agent.watcher.slots})


def _discarded(run: Run) -> None:
    log.warning("result discarded: the attempt is no longer ours", extra={"object": run.key, "attempt": run.attempt})


# readiness


def _all(checks: list[Callable[[], Iterator[Check]]]) -> Iterator[Check]:
    yield Check("admitted", bool(checks), "" if checks else "the API server has not answered yet")
    for each in checks:
        yield from each()


def _cache_check(cache: Cache[Any]) -> Check:
    detail = f"{len(cache)} objects" if cache.watching else "lost" if cache.synced.is_set() else "not listed yet"
    return Check(f"watch {cache.kind}", cache.watching, detail)


def _operator_checks(operator: Operator, caches: tuple[Cache[Any], ...]) -> Iterator[Check]:
    for cache in caches:
        yield _cache_check(cache)
    # A candidate is ready to take over: that is what it is there for.
    yield Check("election", True, "active" if operator.active else "standby")


def _agent_checks(agent: Agent, runtime: AsyncioRuntime) -> Iterator[Check]:
    registrar = agent.registrar
    registered = registrar.registered.is_set()
    other = registrar.standing_by_for
    yield Check(
        "registered", registered, registrar.identity.name if registered else other and f"standing by for {other}"
    )
    silent = runtime.now() - registrar.beaten_at
    if registered:
        yield Check("heartbeat", silent < HEARTBEAT_TIMEOUT_SECONDS, f"{silent:.0f}s ago")
        yield _cache_check(agent.watcher.tasks)
    if registrar.draining:
        yield Check("serving", False, "draining")


# metrics that are read off


def _operator_metrics(operator: Operator) -> Iterator[Any]:
    yield gauge("foreman_leader", "1: this operator acts", {operator.options.identity: operator.active}, "identity")
    yield total("foreman_assignments_refused_total", "Assignments that were not written", operator.scheduler.conflicts)
    nodes = operator.scheduler.fleet.nodes.values()
    slots = {"total": sum(node.slots for node in nodes), "used": sum(node.used for node in nodes)}
    yield gauge("foreman_fleet_slots", "Slots of the fleet by the operator's books", slots, "state")


def _agent_metrics(agent: Agent) -> Iterator[Any]:
    watcher = agent.watcher
    slots = {"total": watcher.slots, "used": len(watcher.runs)}
    yield gauge("foreman_agent_slots", "Slots of this agent; used: tasks that run", slots, "state")
    reports = {"landed": watcher.landed, "discarded": watcher.discarded}
    yield count("foreman_agent_reports_total", "Ended runs, by what became of their report", reports, "outcome")
    registered = {agent.registrar.identity.name: agent.registrar.registered.is_set()}
    yield gauge("foreman_agent_registered", "1: this process speaks for the node", registered, "node")


def _recorder_metrics(recorder: Recorder) -> Iterator[Any]:
    events = {"written": recorder.written, "dropped": recorder.dropped}
    yield count("foreman_events_total", "Kubernetes Events of this process", events, "outcome")


# this machine


def _capability(declared: Declared) -> Any:
    return probe(platform.system(), declared, machine.read)


def _architecture() -> str:
    """As Go and Kubernetes name it."""
    said = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(said, said)
