"""Arms: the clusters that the one contract is tested on.

An arm gives `cluster` (a foreman.cluster.Cluster), `run(coro)` (the coroutine's result), `pause(seconds)` (a coroutine that
lets time pass), `compact()` (the server forgets its history; `compacts` says whether it can), a `namespace` nobody else writes
to, and says whether a garbage collector `collects`. It is a context manager, made from the fixtures it needs. The contract uses
nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
import urllib.request
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self

import pytest
from kubeconfigs import kubeconfig
from lab import Lab

from foreman.api import AgenticTask, Lease, ObjectMeta
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection
from foreman.kube.paths import path_of
from sim.apiserver import ApiServer
from sim.garbage import GarbageCollector
from sim.http.clock import LoopClock
from sim.http.serve import Server

WATCH_SECONDS = 1
_numbers = itertools.count()


async def clear_tasks(connection: Connection, namespace: str) -> None:
    """Leave no task behind: on a server that tests share, operators of other tests would take it on."""
    await connection.request("DELETE", path_of(AgenticTask, namespace))


class SimArm:
    """SimCluster over ApiServer, in virtual time."""

    collects = True
    compacts = True
    namespace = "contract"

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._lab = Lab()
        self.cluster = self._lab.client(self._lab.process())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return self._lab.run(coro)

    async def pause(self, seconds: float) -> None:
        await self._lab.process().sleep(seconds)

    def compact(self) -> None:
        self._lab.server.compact()


class KubeArm:
    """KubeCluster over HTTP to the server whose kubeconfig `_start` gives."""

    collects = False
    compacts = False

    def __init__(self, request: pytest.FixtureRequest) -> None:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        self.namespace = f"contract-{worker}-{os.getpid()}-{next(_numbers)}"
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._connection = self.run(Connection.open(self._start()))
        self.cluster = KubeCluster(self._connection, watch_seconds=WATCH_SECONDS)
        for namespace in (self.namespace, f"{self.namespace}-b"):
            self.run(self._create_namespace(namespace))
        return self

    def __exit__(self, *exc: object) -> None:
        for namespace in (self.namespace, f"{self.namespace}-b"):
            self.run(clear_tasks(self._connection, namespace))
        self.run(self._connection.close())
        self._stop()
        self._runner.close()

    def _start(self) -> str:
        raise NotImplementedError

    def _stop(self) -> None:
        return None

    def compact(self) -> None:
        raise NotImplementedError

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        async def outcome() -> Any:
            return await coro

        return self._runner.run(outcome())

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _create_namespace(self, name: str) -> None:
        """Where namespaces are objects they must be there first; elsewhere they are just strings."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        reply = await self._connection.request("POST", "/api/v1/namespaces", body=body)
        assert reply.status in (201, 404, 409), reply


class HttpArm(KubeArm):
    """Over the simulator's API server."""

    collects = True
    compacts = True

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._folder: Path = request.getfixturevalue("tmp_path")
        self._store = ApiServer(lambda: int(time.time()))
        self._server = Server(self._store)

    def _start(self) -> str:
        async def start() -> None:
            GarbageCollector(LoopClock(), self._store)  # type: ignore[arg-type]
            await self._server.start()

        self.run(start())
        return kubeconfig(self._folder, self._server.url)

    def _stop(self) -> None:
        self.run(self._server.stop())

    def compact(self) -> None:
        self._store.compact()


class RealArm(KubeArm):
    """Over a real API server, as it runs in production: with its watch cache."""

    fixture = "real_server"

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self.server = request.getfixturevalue(self.fixture)

    def _start(self) -> str:
        return str(self.server.kubeconfig)


class UncachedArm(RealArm):
    """The same over a server without a watch cache: every watch reads etcd, whose history can be cut off."""

    compacts = True
    fixture = "uncached_server"

    def compact(self) -> None:
        """etcd keeps the revision that it is compacted to, so that one is made for the purpose."""
        mark = Lease(metadata=ObjectMeta(name=f"mark-{next(_numbers)}", namespace=f"{self.namespace}-b"))
        revision = self.run(self.cluster.create(mark)).version
        body = json.dumps({"revision": revision, "physical": True}).encode()
        urllib.request.urlopen(f"{self.server.etcd}/v3/kv/compaction", data=body, timeout=10).read()


ARMS = (SimArm, HttpArm, RealArm, UncachedArm)
