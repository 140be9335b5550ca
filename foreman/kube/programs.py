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
from foreman.api import FleetNodeSpec
from foreman.cache import Cache
from foreman.executors import StubExecutor
from foreman.kube import machine
from foreman.kube.chronicle import Complaints, chronicle, discarded, registered, watch_over
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection
from foreman.kube.credentials import NoCluster
from foreman.kube.events import Recorder
from foreman.kube.health import Address, Check, Endpoints
from foreman.kube.metrics import (
    Metrics,
    agent_metrics,
    cache_metrics,
    controller_metrics,
    operator_metrics,
    recorder_metrics,
    time_reconciles,
)
from foreman.kube.preflight import Need, preflight
from foreman.kube.process import Unusable
from foreman.kube.readiness import agent_checks, checked, operator_checks
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
    endpoints = Endpoints(ground.health, ground.metrics, lambda: checked(checks), metrics.registry)
    about = {"version": foreman.__version__, "identity": identity, "server": connection.server}
    log.info("starting foreman %s", component, extra=about)
    try:
        async with endpoints:
            if not await unless_stopped(preflight(connection, runtime, needs), stop):
                yield None
                return
            kube = KubeCluster(connection, metrics.request)
            cluster = Witness(kube)
            cluster.on_shown.append(metrics.shown)
            cluster.on_refused.append(Complaints().refused)
            recorder = Recorder(kube, runtime, f"foreman-{component}", identity, socket.gethostname())
            cluster.on_written.append(lambda old, new: chronicle(recorder, old, new))
            metrics.read(lambda: recorder_metrics(recorder))
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
            lambda: operator_metrics(operator),
        ):
            metrics.read(collect)
        for cache in caches:
            watch_over(runtime, cache)
        operator.on_lead = lambda: log.info("leading", extra={"identity": options.identity})
        checks.append(lambda: operator_checks(operator, caches))
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
        metrics.read(lambda: agent_metrics(agent))
        metrics.read(lambda: cache_metrics(agent.watcher.tasks))
        watch_over(runtime, agent.watcher.tasks)
        agent.registrar.on_standby = lambda other: log.warning(
            "standing by: %s is spoken for by %s; --take-over would take it", name, other
        )
        agent.watcher.on_discarded = discarded
        runtime.spawn(registered(agent, name), "registered")
        checks.append(lambda: agent_checks(agent, runtime))
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


# this machine


def _capability(declared: Declared) -> Any:
    return probe(platform.system(), declared, machine.read)


def _architecture() -> str:
    """As Go and Kubernetes name it."""
    said = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(said, said)
