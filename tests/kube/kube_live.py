"""A live fleet in one process: operators and agents on asyncio, each with a connection of its own to one API server."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from typing import Any

from support import new_task

from foreman.agent.agent import Agent, AgentOptions
from foreman.agent.registrar import Identity
from foreman.api import TERMINAL, AgenticTask, FleetNodeSpec, NodeCapability
from foreman.executors.stub import StubExecutor
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection
from foreman.kube.runtime import AsyncioRuntime
from foreman.operator import Operator, OperatorOptions

PATIENCE_SECONDS = 60.0
_numbers = itertools.count()


def unique(word: str) -> str:
    """A name nobody else uses on a server that tests share."""
    return f"{word}-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}-{next(_numbers)}"


class Live:
    """Use as `async with`; ends everything it started. Every object is in, or named after, its own `namespace`."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig
        self.namespace = unique("live")
        self.runtime = AsyncioRuntime()
        self.cluster: KubeCluster
        self.agents: dict[str, Agent] = {}
        self.operators: list[Operator] = []
        self.stop = self.runtime.event()
        self._connections: list[Connection] = []

    async def __aenter__(self) -> Live:
        self.cluster = await self.connect()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.runtime.run(asyncio.sleep(0))
        for connection in self._connections:
            await connection.close()

    async def connect(self, **options: Any) -> KubeCluster:
        connection = await Connection.open(self.kubeconfig)
        self._connections.append(connection)
        return KubeCluster(connection, **options)

    async def operator(self, **options: Any) -> Operator:
        """One more operator, with the audit off unless asked for."""
        options = {"audit": False, "namespace": self.namespace} | options
        made = Operator(await self.connect(), self.runtime, OperatorOptions(**options), lambda n: 0)
        self.operators.append(made)
        self.runtime.spawn(made.run(self.stop), "operator")
        return made

    async def agent(self, slots: int = 1, executor: Any = None, **options: Any) -> str:
        """One more agent; its node's name."""
        name = f"{self.namespace}-{len(self.agents)}"
        identity = Identity(name, f"{name}/1", FleetNodeSpec(node_name=name, slots=slots))
        made = Agent(
            await self.connect(),
            self.runtime,
            identity,
            executor or StubExecutor(self.runtime, 0.001),
            lambda: NodeCapability(total_ram_gb=64, available_ram_gb=64),
            AgentOptions(**{"namespace": self.namespace, **options}),
        )
        self.agents[name] = made
        self.runtime.spawn(made.run(self.stop), name)
        return name

    async def put(self, name: str, **spec: Any) -> AgenticTask:
        return await self.cluster.create(new_task(name, self.namespace, **spec))

    async def task(self, name: str) -> AgenticTask:
        found = await self.cluster.get("AgenticTask", name, self.namespace)
        assert isinstance(found, AgenticTask)
        return found

    async def tasks(self) -> dict[str, AgenticTask]:
        listing = await self.cluster.list("AgenticTask", namespace=self.namespace)
        return {obj.metadata.name: obj for obj in listing.items if isinstance(obj, AgenticTask)}

    async def all_ended(self) -> dict[str, AgenticTask]:
        """The tasks, once every one of them is terminal."""

        async def ended() -> bool:
            return all(task.status.phase in TERMINAL for task in (await self.tasks()).values())

        await until(ended)
        return await self.tasks()


async def until(condition: Callable[[], Awaitable[bool]], within: float = PATIENCE_SECONDS) -> None:
    """Look again and again until `condition` holds; fails when it never does."""
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.05)
