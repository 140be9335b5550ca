"""Operators and agents as real processes on an API server over HTTP, while everything that can is killed, cut and restarted.

Two hundred tasks in chains. At the end each has ended exactly once, each was executed to a landed result exactly once, none is
left behind, and every process that was told to end has ended in good order.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from e2e_backends import Real, Simulated
from e2e_proxy import Proxy
from real_server import Missing
from support import new_task

from foreman.api import TERMINAL, AgenticTask, FleetNode, Verdict
from foreman.cache import Cache
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection
from foreman.kube.runtime import AsyncioRuntime

TASKS = 200
CHAINS = 20
AGENTS = 3
BLOWS = 24
PATIENCE_SECONDS = 240
ENDPOINTS_OFF = ("--metrics-bind-address", "0", "--health-probe-bind-address", "0", "--log-format", "json")


class Process:
    """`foreman ...` under a supervisor that starts it again after every death; remembers its log and how its lives ended."""

    def __init__(self, folder: Path, name: str, *words: str) -> None:
        self.words = words
        self.log = folder / f"{name}.log"
        self.codes: list[int] = []
        self._told_to_end = False
        self._alive = asyncio.Event()
        self._process: asyncio.subprocess.Process
        self._supervisor: asyncio.Task[None]

    async def start(self) -> None:
        await self._boot()
        self._supervisor = asyncio.create_task(self._supervise())

    async def _boot(self) -> None:
        with self.log.open("ab") as sink:
            self._born_at = sink.tell()
            command = [sys.executable, "-m", "foreman.cli", *self.words, *ENDPOINTS_OFF]
            self._process = await asyncio.create_subprocess_exec(*command, stdout=sink, stderr=sink)
        self._alive.set()

    async def _supervise(self) -> None:
        while True:
            self.codes.append(await self._process.wait())
            if self._told_to_end:
                return
            await self._boot()

    def kill(self) -> None:
        self._alive.clear()
        if self._process.returncode is None:
            self._process.kill()

    async def end(self, how: int = signal.SIGTERM) -> None:
        """Tell it to end, and wait for that."""
        self._told_to_end = True
        if self._process.returncode is None:
            self._process.send_signal(how)
        await self._supervisor

    async def in_service(self) -> None:
        """Wait until its present life has come as far as to work."""
        await self._alive.wait()
        while not any("in sync" in line["message"] for line in self.lines(self._born_at)):
            await asyncio.sleep(0.1)

    def lines(self, since: int = 0) -> list[dict[str, Any]]:
        """What is in the log from byte `since` on."""
        texts = self.log.read_bytes()[since:].decode().splitlines()
        return [json.loads(text) for text in texts if text.startswith("{")]


class Chaos:
    """A fleet of processes behind a proxy, and what befalls it, drawn from `seed`."""

    def __init__(self, backend: Any, folder: Path, seed: int, elect: bool) -> None:
        self.backend = backend
        self.proxy = Proxy(backend.port)
        self.folder = folder
        self.elect = elect
        self.fleet = f"chaos-{os.getpid()}-{seed}"
        self.luck = random.Random(seed)
        self.operators: list[Process] = []
        self.agents: list[Process] = []
        self.ends: Counter[str] = Counter()
        self.blows: Counter[str] = Counter()

    async def start(self) -> None:
        await self.backend.up()
        await self.proxy.start()
        path = self.backend.kubeconfig(self.proxy.port)
        elect = ("--leader-elect", "--leader-elect-namespace", "default") if self.elect else ()
        for number in range(2):
            self.operators.append(Process(self.folder, f"operator-{number}", "operator", "--kubeconfig", path, *elect))
        for number, node in enumerate(self.nodes):
            mine = (
                "--fleet-node-name",
                node,
                "--slots",
                "4",
                "--stub-sleep",
                "100ms",
                "--task-poll-interval",
                "1s",
            )
            self.agents.append(Process(self.folder, f"agent-{number}", "agent", "--kubeconfig", path, *mine))
        await asyncio.gather(*(process.start() for process in self.everybody))

    @property
    def nodes(self) -> list[str]:
        return [f"{self.fleet}-{number}" for number in range(AGENTS)]

    @property
    def everybody(self) -> list[Process]:
        return [*self.operators, *self.agents]

    async def put_tasks(self, cluster: KubeCluster) -> None:
        for number in range(TASKS):
            needs = [f"t{number - CHAINS}"] if number >= CHAINS else []
            await cluster.create(new_task(f"t{number}", dependsOn=needs))

    async def rage(self) -> None:
        """One blow after the other."""
        for _ in range(BLOWS):
            await asyncio.sleep(self.luck.uniform(0.2, 1.0))
            what = self.luck.choice(("agent", "agent", "operator", "cut", "cut", "refuse", "server"))
            self.blows[what] += 1
            if what in ("agent", "operator"):
                self.luck.choice(self.agents if what == "agent" else self.operators).kill()
            elif what == "server":
                await self.backend.down()
                await asyncio.sleep(self.luck.uniform(0.1, 1.0))
                await self.backend.up()
            else:
                self.proxy.cut()
                self.proxy.refusing = what == "refuse"
                await asyncio.sleep(self.luck.uniform(0.0, 1.5))
                self.proxy.refusing = False

    def watch(self, runtime: AsyncioRuntime, cluster: KubeCluster) -> Cache[AgenticTask]:
        """Count how often each task comes to its end."""
        tasks: Cache[AgenticTask] = Cache(cluster, runtime, "AgenticTask", namespace="default", retry=0.2)

        def changed(key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
            before = old is not None and old.status.phase in TERMINAL
            if new is not None and new.status.phase in TERMINAL and not before:
                self.ends[key] += 1

        tasks.listen(changed)
        runtime.spawn(tasks.run(), "tasks")
        return tasks

    async def settle(self) -> None:
        """Tell everybody to end, once everybody is there."""
        await asyncio.gather(*(agent.in_service() for agent in self.agents))
        await asyncio.gather(*(process.end() for process in self.everybody))

    async def close(self) -> None:
        for process in self.everybody:
            await process.end(signal.SIGKILL)
        await self.proxy.close()
        await self.backend.close()


async def play(chaos: Chaos) -> tuple[list[AgenticTask], list[FleetNode]]:
    """The whole story; the tasks and nodes as they are at the end."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(chaos.close)
        await chaos.start()
        connection = await Connection.open(chaos.backend.kubeconfig(chaos.backend.port))
        stack.push_async_callback(connection.close)
        cluster, runtime = KubeCluster(connection), AsyncioRuntime()
        tasks = chaos.watch(runtime, cluster)

        async def story() -> None:
            await chaos.put_tasks(cluster)
            await chaos.rage()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(chaos.ends) < TASKS or len(tasks) < TASKS:
                    await asyncio.sleep(0.1)
                await chaos.settle()

        await runtime.run(story())
        ended = await cluster.list("AgenticTask", namespace="default")
        nodes = await cluster.list("FleetNode")
        return list(ended.items), list(nodes.items)  # type: ignore[arg-type]


def landed(chaos: Chaos) -> Counter[str]:
    """How often an agent says that its result for a task has landed."""
    lines = [line for agent in chaos.agents for line in agent.lines()]
    return Counter(line["object"] for line in lines if line.get("reason") == "ExecutorSucceeded")


@pytest.mark.parametrize(
    ("kind", "seed", "elect"),
    [(Simulated, 1, False), (Simulated, 2, True), (Real, 3, False)],
    ids=["simulated", "simulated-leader", "real"],
)
def test_every_task_ends_exactly_once(kind: Any, seed: int, elect: bool, tmp_path: Path) -> None:
    try:
        chaos = Chaos(kind(tmp_path), tmp_path, seed, elect)
    except Missing as why:
        pytest.skip(str(why))
    tasks, nodes = asyncio.run(play(chaos))
    keys = {f"default/t{number}" for number in range(TASKS)}
    assert sum(chaos.blows.values()) == BLOWS
    assert {task.key for task in tasks} == keys
    assert {task.status.verdict for task in tasks} == {Verdict.GO}
    assert chaos.ends == dict.fromkeys(keys, 1)
    assert set(landed(chaos)) <= keys
    assert max(landed(chaos).values()) == 1
    assert {node.metadata.name: str(node.status.phase) for node in nodes} == dict.fromkeys(chaos.nodes, "Draining")
    for process in chaos.everybody:
        *deaths, last = process.codes
        assert last == 0, process.log.read_text()[-3000:]
        assert set(deaths) <= {-signal.SIGKILL, 1}, process.log.read_text()[-3000:]
