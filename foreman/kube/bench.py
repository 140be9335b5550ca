"""How fast on Kubernetes: `python -m foreman.kube.bench [dispatch|idle|memory|all] [--kubeconfig FILE] [--json]`.

Without --kubeconfig a `foreman dev --api-only` is started on loopback, in a process of its own. Machines are noisy, so figures
are ratios or rates within one run: dispatching is compared, turn by turn, with the bare client making the same number of the
same calls at the same concurrency. Nothing is asserted here: the table says which target was met.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from foreman.agent.agent import Agent, AgentOptions
from foreman.agent.registrar import Identity
from foreman.api import TERMINAL, AgenticTask, FleetNode, FleetNodeSpec, NodeCapability, ObjectMeta, Result, from_wire
from foreman.audit import build_record
from foreman.cluster import NotFound
from foreman.executors import Execution
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import MERGE_PATCH, Connection
from foreman.kube.paths import path_of
from foreman.kube.runtime import AsyncioRuntime
from foreman.operator import Operator, OperatorOptions

AGENTS = 4
SLOTS = 8
IDLE_AGENTS = 100
READY_SECONDS = 30


@dataclass(frozen=True)
class Figure:
    """One line of the table: the target is a lower bound where `at_least`, else an upper one."""

    name: str
    value: float
    unit: str
    target: float
    at_least: bool
    detail: str

    @property
    def ok(self) -> bool:
        return self.value >= self.target if self.at_least else self.value < self.target


class Calls:
    """Counts requests by (verb, kind)."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()

    def __call__(self, verb: str, kind: str, outcome: str, seconds: float) -> None:
        self.counted[verb, kind] += 1


class Instant:
    """An executor that takes no time."""

    kind = "instant"

    async def execute(self, execution: Execution) -> Result:
        return Result(kind="instant", verdict="GO", summary="done")


class Fleet:
    """An operator and agents in this process, each with its own connection. `calls` counts what they ask."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self.runtime = AsyncioRuntime()
        self.calls = Calls()
        self.stop = self.runtime.event()
        self.connections: list[Connection] = []
        self.serving: set[str] = set()
        self.operator: Operator
        self.audit = True

    async def client(self) -> KubeCluster:
        self.connections.append(await Connection.open(self.kubeconfig))
        return KubeCluster(self.connections[-1], self.calls)

    async def agent(self, name: str) -> None:
        identity = Identity(name, f"{name}/1", FleetNodeSpec(node_name=name, slots=SLOTS))
        capability = NodeCapability(total_ram_gb=64, available_ram_gb=64)
        options = AgentOptions(namespace=self.namespace, grace=0)
        agent = Agent(await self.client(), self.runtime, identity, Instant(), lambda: capability, options)
        self.runtime.spawn(self._serve(agent, name), name)

    async def _serve(self, agent: Agent, name: str) -> None:
        self.serving.add(name)
        await agent.run(self.stop)
        self.serving.discard(name)

    async def operate(self) -> None:
        """Start the operator and wait until it has seen everything."""
        client = await self.client()
        self.audit = await keeps_records(client)
        options = OperatorOptions(namespace=self.namespace, audit=self.audit)
        self.operator = Operator(client, self.runtime, options, lambda n: 0)
        self.runtime.spawn(self.operator.run(self.stop), "operator")
        for cache in (self.operator.tasks, self.operator.nodes):
            await cache.synced.wait()

    async def close(self) -> None:
        """Let the agents go in good order, lest their nodes are still taken for alive, and clear away what was made."""
        names = tuple(self.serving)
        self.stop.set()
        while self.serving:
            await asyncio.sleep(0.05)
        await self.runtime.run(clear(await self.client(), self.namespace, names))
        for connection in self.connections:
            await connection.close()


@asynccontextmanager
async def fleet(kubeconfig: str, namespace: str, agents: int) -> AsyncIterator[Fleet]:
    made = Fleet(kubeconfig, namespace)
    try:
        for number in range(agents):
            await made.agent(f"{namespace}-{number}")
        yield made
    finally:
        await made.close()


async def clear(cluster: KubeCluster, namespace: str, nodes: Iterable[str]) -> None:
    """Delete the nodes, and the tasks and records of the namespace."""
    left = [FleetNode(metadata=ObjectMeta(name=name), spec=FleetNodeSpec(node_name=name)) for name in nodes]
    for kind in ("AgenticTask", "ConfigMap"):
        try:
            left += (await cluster.list(kind, namespace=namespace)).items  # type: ignore[arg-type]
        except NotFound:
            continue
    await in_turns(left, cluster.delete)


async def keeps_records(cluster: KubeCluster) -> bool:
    """Whether there are ConfigMaps: a server for custom resources alone has none."""
    try:
        await cluster.list("ConfigMap", namespace="default")
    except NotFound:
        return False
    return True


# dispatch throughput


async def dispatch(kubeconfig: str, tasks: int, rounds: int) -> Figure:
    """Tasks from created to Succeeded, their records kept, against the bare client making the same calls."""
    ratios, ours, theirs = [], 0.0, 0.0
    for number in range(rounds):
        namespace = f"bench-{os.getpid()}-{number}"
        await fill(kubeconfig, namespace, tasks)
        seconds, calls = await dispatched(kubeconfig, namespace, tasks)
        bare = await bare_calls(kubeconfig, f"{namespace}-bare", tasks, calls)
        ratios.append(bare / seconds)
        ours, theirs = tasks / seconds, tasks / bare
    detail = f"{ours:.0f} tasks/s against {theirs:.0f}; calls a task: {sum(calls.values()) / tasks:.1f}"
    return Figure("dispatch throughput : bare client", median(ratios), "x", 0.5, True, detail)


async def fill(kubeconfig: str, namespace: str, count: int) -> None:
    connection = await Connection.open(kubeconfig)
    cluster = KubeCluster(connection)
    await in_turns(range(count), lambda number: cluster.create(new_task(namespace, number)))
    await connection.close()


async def dispatched(kubeconfig: str, namespace: str, count: int) -> tuple[float, Counter[tuple[str, str]]]:
    """Seconds until all tasks of the namespace are done with, and the calls that took."""
    async with fleet(kubeconfig, namespace, AGENTS) as live:
        done = asyncio.Event()
        left = count

        def settled(key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
            nonlocal left
            if key.startswith(f"{namespace}/") and finished(new, live.audit) and not finished(old, live.audit):
                left -= 1
                if not left:
                    done.set()

        await asyncio.sleep(1)
        live.calls.counted.clear()
        started = time.perf_counter()
        await live.operate()
        live.operator.tasks.listen(settled)
        await done.wait()
        return time.perf_counter() - started, live.calls.counted


def finished(task: AgenticTask | None, audit: bool) -> bool:
    """Ended, and where records are kept, recorded."""
    return task is not None and task.status.phase in TERMINAL and bool(task.metadata.annotations or not audit)


async def bare_calls(kubeconfig: str, namespace: str, count: int, calls: Counter[tuple[str, str]]) -> float:
    """Seconds the client alone takes for as many of the same calls, on as many connections, task by task concurrently."""
    connections = [await Connection.open(kubeconfig) for _ in range(AGENTS + 1)]
    await fill(kubeconfig, namespace, count)
    writes = max(calls["patch_status", "AgenticTask"] // count, 1)
    extra = [verb for verb in (("create", "ConfigMap"), ("patch", "AgenticTask")) if calls[verb] >= count]

    async def life(number: int) -> None:
        connection, task = connections[number % len(connections)], new_task(namespace, number)
        path = path_of(AgenticTask, namespace, task.metadata.name)
        for step in range(writes):
            status = {
                "status": {"phase": "Running", "attempt": step + 1, "holder": "bench/1", "conditions": CONDITIONS}
            }
            await connection.request("PATCH", f"{path}/status", body=status, content_type=MERGE_PATCH)
        for verb, _ in extra:
            if verb == "create":
                body = record(namespace, task)
                await connection.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", body=body)
            else:
                mark = {"metadata": {"annotations": {"foreman.llmkube.dev/audited": "true"}}}
                await connection.request("PATCH", path, body=mark, content_type=MERGE_PATCH)

    started = time.perf_counter()
    await in_turns(range(count), life)
    seconds = time.perf_counter() - started
    await clear(KubeCluster(connections[0]), namespace, ())
    for connection in connections:
        await connection.close()
    return seconds


CONDITIONS = [
    {"type": type_, "status": "True", "reason": "Bench", "message": "as long as they are", "lastTransitionTime": when}
    for type_, when in (("Scheduled", "2026-01-01T00:00:00Z"), ("Running", "2026-01-01T00:00:01Z"))
]


def record(namespace: str, task: AgenticTask) -> dict[str, Any]:
    meta = {"name": f"foreman-audit-{task.metadata.name}", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"audit.json": build_record(task)}}


async def in_turns(items: Any, work: Callable[[Any], Any], at_once: int = AGENTS * SLOTS) -> None:
    """Work on all items, so many at a time."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(at_once)))


def new_task(namespace: str, number: int) -> AgenticTask:
    made = from_wire(
        {
            "apiVersion": "foreman.llmkube.dev/v1alpha1",
            "kind": "AgenticTask",
            "metadata": {"name": f"task-{number}", "namespace": namespace},
            "spec": {"kind": "freeform", "payload": {"prompt": "bench"}},
        }
    )
    assert isinstance(made, AgenticTask)
    return made


# idle traffic


async def idle(kubeconfig: str, seconds: float) -> Figure:
    """Requests of an operator and a hundred agents that have nothing to do, heartbeats left out."""
    namespace = f"bench-{os.getpid()}-idle"
    async with fleet(kubeconfig, namespace, IDLE_AGENTS) as live:
        await live.operate()
        await asyncio.sleep(5)
        live.calls.counted.clear()
        await asyncio.sleep(seconds)
        counted = Counter(live.calls.counted)
    beats = counted.pop(("patch_status", "FleetNode"), 0)
    rate = sum(counted.values()) / seconds / IDLE_AGENTS
    beyond = ", ".join(f"{verb} {kind}: {count}" for (verb, kind), count in counted.items())
    detail = f"{beats} heartbeats in {seconds:.0f} s; beyond them {beyond or 'nothing'}"
    return Figure("requests of an idle agent", rate, "/s", 0.1, False, detail)


# memory


async def memory(kubeconfig: str, seconds: float = 10) -> Figure:
    """Resident memory of one `foreman agent` process that is registered and waits."""
    name = f"bench-{os.getpid()}-memory"
    command = [sys.executable, "-m", "foreman.cli", "agent", "--kubeconfig", kubeconfig, "--fleet-node-name", name]
    addresses = ["--metrics-bind-address", "0", "--health-probe-bind-address", "0"]
    process = subprocess.Popen([*command, *addresses], stderr=subprocess.DEVNULL)
    try:
        await asyncio.sleep(seconds)
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(process.pid)], capture_output=True, text=True, check=True)
        return Figure("memory of an agent", int(told.stdout) / 1024, "MiB", 120, False, "resident, ps -o rss")
    finally:
        process.terminate()
        process.wait()


# the whole


@contextmanager
def server(kubeconfig: str | None) -> Iterator[str]:
    """The kubeconfig given, or that of a server of our own."""
    if kubeconfig is not None:
        yield kubeconfig
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        command = [sys.executable, "-m", "foreman.cli", "dev", "--api-only", "--port", "0", "--kubeconfig", str(path)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            limit = time.monotonic() + READY_SECONDS
            while not path.exists():
                if process.poll() is not None or time.monotonic() > limit:
                    raise SystemExit("bench: the API server did not start")
                time.sleep(0.1)
            yield str(path)
        finally:
            process.terminate()
            process.wait()


async def measure(options: argparse.Namespace, kubeconfig: str) -> list[Figure]:
    figures = []
    if options.bench in ("dispatch", "all"):
        figures.append(await dispatch(kubeconfig, options.tasks, options.rounds))
    if options.bench in ("idle", "all"):
        figures.append(await idle(kubeconfig, options.seconds))
    if options.bench in ("memory", "all"):
        figures.append(await memory(kubeconfig))
    return figures


def table(figures: list[Figure]) -> str:
    rows = [("", "figure", "target", "", "")]
    for each in figures:
        bound = f"{'>=' if each.at_least else '<'} {each.target:g}"
        verdict = "ok" if each.ok else "missed"
        rows.append((each.name, f"{each.value:.3g} {each.unit}", bound, verdict, each.detail))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m foreman.kube.bench", description=__doc__.split("\n")[0])
    parser.add_argument("bench", nargs="?", default="all", choices=["dispatch", "idle", "memory", "all"])
    parser.add_argument("--kubeconfig", help="measure against this cluster")
    parser.add_argument("--tasks", type=int, default=300, help="tasks a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60, help="how long the idle fleet is watched")
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    options = parser.parse_args()
    with server(options.kubeconfig) as kubeconfig:
        figures = asyncio.run(measure(options, kubeconfig))
    print(json.dumps([{**asdict(each), "ok": each.ok} for each in figures]) if options.json else table(figures))


if __name__ == "__main__":
    main()
