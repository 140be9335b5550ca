"""The two programs of production, put together: operator and agent on a real cluster, with health, metrics, logs and Events."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import foreman
from foreman.agent.agent import Agent, AgentOptions
from foreman.agent.capability import Declared, probe
from foreman.agent.registrar import Identity
from foreman.api import FleetNodeSpec
from foreman.election import LEASE_NAME
from foreman.executors import Executor, StubExecutor
from foreman.kube import machine
from foreman.kube.chronicle import Complaints, chronicle, discarded, registered, standing_by, watch_over
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
from foreman.kube.native import NativeSettings, native_executor, native_needs
from foreman.kube.outfit import look_over
from foreman.kube.preflight import Need, preflight
from foreman.kube.process import Life, Unusable
from foreman.kube.readiness import agent_checks, checked, operator_checks
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
    """The node an agent speaks for. `stub_sleep`: seconds each task takes; `machine`: its name, '' to find one; `native`: how
    tasks are really worked on, None for the stub."""

    spec: FleetNodeSpec
    declared: Declared
    labels: dict[str, str]
    stub_sleep: float
    machine: str = ""
    native: NativeSettings | None = None


def operator_needs(options: OperatorOptions) -> Sequence[Need]:
    needs = [
        Need("AgenticTask", ("get", "list", "watch", "create", "patch")),
        Need("AgenticTask", ("patch",), "status"),
        Need("FleetNode", ("get", "list", "watch", "delete")),
        Need("FleetNode", ("patch",), "status"),
        Need("Agent", ("get", "list", "watch")),
        Need("Agent", ("patch",), "status"),
        Need("Workload", ("get", "list", "watch")),
        Need("Workload", ("patch",), "status"),
    ]
    if options.audit:
        needs.append(Need("ConfigMap", ("list", "create", "patch", "delete")))
    if options.leader_elect:
        needs.append(Need("Lease", ("get", "create", "patch"), "", options.namespace, LEASE_NAME))
    return needs


def agent_needs(namespace: str | None, node: str = "") -> Sequence[Need]:
    return [
        Need("AgenticTask", ("get", "list", "watch"), namespace=namespace),
        Need("AgenticTask", ("patch",), "status", namespace),
        Need("FleetNode", ("get", "create", "patch"), name=node),
        Need("FleetNode", ("patch",), "status", name=node),
    ]


class Stage(NamedTuple):
    """What both programs are given: a cluster that tells what was done to it, and where to count and record it."""

    cluster: Witness
    connection: Connection
    recorder: Recorder
    metrics: Metrics
    checks: list[Callable[[], Iterator[Check]]]


async def staged(life: Life, ground: Ground, component: str, identity: str, needs: Sequence[Need]) -> Stage | None:
    """Connected, listening, and admitted by the cluster; None when told to end before that. Raises Unusable, ProcessExit."""
    try:
        connection = await Connection.open(ground.kubeconfig, ground.context)
    except NoCluster as error:
        raise Unusable(str(error)) from error
    life.closing.push_async_callback(connection.close)
    about = {"version": foreman.__version__, "identity": identity, "server": connection.server}
    log.info("starting foreman %s", component, extra=about)
    metrics = Metrics(component)
    checks: list[Callable[[], Iterator[Check]]] = []
    endpoints = Endpoints(ground.health, ground.metrics, lambda: checked(checks), metrics.registry)
    await life.closing.enter_async_context(endpoints)
    if not await unless_stopped(preflight(connection, life.runtime, needs), life.stop):
        return None
    kube = KubeCluster(connection, metrics.request)
    recorder = Recorder(kube, life.runtime, f"foreman-{component}", identity, socket.gethostname())
    metrics.read(lambda: recorder_metrics(recorder))
    cluster = Witness(kube)
    cluster.on_shown.append(metrics.shown)
    cluster.on_refused.append(Complaints().refused)
    cluster.on_written.append(lambda old, new: chronicle(recorder, old, new))
    return Stage(cluster, connection, recorder, metrics, checks)


async def operate(life: Life, ground: Ground, options: OperatorOptions) -> None:
    """An operator, until it is told to end."""
    options = replace(options, identity=machine.operator_identity())
    stage = await staged(life, ground, "operator", options.identity, operator_needs(options))
    if stage is None:
        return
    operator = Operator(stage.cluster, life.runtime, options, machine.draw)
    _measure_operator(operator, stage)
    for cache in operator.caches:
        watch_over(life.runtime, cache)
    operator.on_lead = lambda: log.info("leading", extra={"identity": options.identity})
    stage.checks.append(lambda: operator_checks(operator, operator.caches))
    await operator.run(life.stop)
    await stage.recorder.flush()


def _measure_operator(operator: Operator, stage: Stage) -> None:
    metrics = stage.metrics
    controllers = operator.controllers
    if operator.auditor is not None:
        operator.auditor.on_outcome = Outcomes(metrics).ended
    time_reconciles(metrics, operator.runtime, *controllers)
    stage.cluster.on_written.append(ScheduleToClaim(metrics, operator.runtime, operator.tasks).written)
    metrics.read(Phases(operator.tasks, operator.nodes).collect)
    metrics.read(lambda: cache_metrics(*operator.caches))
    metrics.read(lambda: controller_metrics(*controllers))
    metrics.read(lambda: operator_metrics(operator))


async def attend(life: Life, ground: Ground, node: NodeSettings, options: AgentOptions) -> None:
    """A node's agent, until it is told to end."""
    if node.native is not None:
        await look_over(node.native.shop, node.native.base_url, os.environ)
    name = node.spec.node_name
    instance = machine.agent_instance(name, node.machine)
    needs = [*agent_needs(options.namespace, name), *(native_needs(options.namespace) if node.native else ())]
    stage = await staged(life, ground, "agent", instance, needs)
    if stage is None:
        return
    system = platform.system()
    identity = Identity(
        name, instance, node.spec, node.labels, foreman.__version__, system.lower(), machine.architecture()
    )
    executor: Executor = StubExecutor(life.runtime, node.stub_sleep)
    if node.native is not None:
        executor = native_executor(stage.cluster, stage.connection, life.runtime, node.native)
    capability = partial(probe, system, node.declared, machine.read)
    agent = Agent(stage.cluster, life.runtime, identity, executor, capability, options)
    _measure_agent(agent, stage)
    watch_over(life.runtime, agent.watcher.tasks)
    agent.registrar.on_standby = partial(standing_by, name)
    agent.watcher.on_discarded = discarded
    life.runtime.spawn(registered(agent, name), "registered")
    stage.checks.append(lambda: agent_checks(agent, life.runtime))
    await agent.run(life.stop)
    await stage.recorder.flush()


def _measure_agent(agent: Agent, stage: Stage) -> None:
    claims = Claims(stage.metrics)
    stage.cluster.on_written.append(claims.written)
    stage.cluster.on_refused.append(claims.refused)
    stage.metrics.read(lambda: agent_metrics(agent))
    stage.metrics.read(lambda: cache_metrics(agent.watcher.tasks))


async def unless_stopped(work: Coroutine[Any, Any, None], stop: Signal) -> bool:
    """Do `work`, or leave it when `stop` comes first; whether it was done. Raises what it raises."""
    doing = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
        return doing.done()
    finally:
        for task in (doing, waiting):
            task.cancel()
