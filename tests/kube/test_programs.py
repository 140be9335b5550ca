"""`foreman operator` and `foreman agent` as processes on a real API server: work, end, die, come back."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
from kube_door import NO_ENDPOINTS, Command, Ended, message
from kube_live import unique
from real_server import RealServer, free_port
from support import new_task

from foreman.api import AgenticTask, FleetNode
from foreman.cluster import NotFound
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection

PATIENCE_SECONDS = 60.0


class Fleet:
    """Processes and a client beside them. Tasks are in, and nodes named after, a `namespace` nobody else uses."""

    def __init__(self, kubeconfig: str, cluster: KubeCluster) -> None:
        self.kubeconfig = kubeconfig
        self.cluster = cluster
        self.namespace = unique("programs")
        self.node = f"{self.namespace}-n"
        self.commands: list[Command] = []

    async def start(self, *words: str) -> Command:
        given = [] if "--health-probe-bind-address" in words else list(NO_ENDPOINTS)
        command = await Command.start(words[0], "--kubeconfig", self.kubeconfig, *given, *words[1:])
        self.commands.append(command)
        return command

    async def operator(self, *words: str) -> Command:
        """A candidate of an election that this fleet has for itself."""
        command = await self.start("operator", "--leader-elect", "--leader-elect-namespace", self.namespace, *words)
        await command.line("in sync")
        return command

    async def agent(self, *words: str, until: str = "in sync") -> Command:
        given = ("--fleet-node-name", self.node, "--task-namespace", self.namespace, "--stub-sleep", "20ms")
        command = await self.start("agent", *given, *words)
        await command.line(until)
        return command

    async def put(self, name: str, **spec: Any) -> None:
        """A task that only this fleet's nodes may take."""
        labels = {"requiredCapability": {"nodeSelector": {"fleet": self.namespace}}}
        await self.cluster.create(new_task(name, self.namespace, **labels, **spec))

    async def task(self, name: str) -> AgenticTask:
        found = await self.cluster.get("AgenticTask", name, self.namespace)
        assert isinstance(found, AgenticTask)
        return found

    async def fleet_node(self) -> FleetNode | None:
        try:
            found = await self.cluster.get("FleetNode", self.node)
        except NotFound:
            return None
        assert isinstance(found, FleetNode)
        return found

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await condition():
                await asyncio.sleep(0.05)

    async def phase(self, name: str, *phases: str) -> None:
        """Wait until the task is in one of these phases."""

        async def reached() -> bool:
            return (await self.task(name)).status.phase in phases

        await self.until(reached)


def fleet(server: RealServer, story: Callable[[Fleet], Coroutine[Any, Any, None]]) -> None:
    """Run the story; whatever it started is gone afterwards."""

    async def told() -> None:
        connection = await Connection.open(server.kubeconfig)
        made = Fleet(server.kubeconfig, KubeCluster(connection))
        try:
            await story(made)
        finally:
            for command in made.commands:
                command.kill()
                await command.process.wait()
            await connection.close()

    asyncio.run(told())


async def told_to_end(command: Command, number: int = signal.SIGTERM) -> Ended:
    command.signal(number)
    return await command.end()


def label(made: Fleet) -> tuple[str, str]:
    return "--node-labels", f"fleet={made.namespace}"


def test_a_task_runs_and_both_end_with_0_when_told(real_server):
    async def story(made: Fleet) -> None:
        operator, agent = await made.operator(), await made.agent(*label(made))
        await made.put("t")
        await made.phase("t", "Succeeded")
        task = await made.task("t")
        assert (task.status.attempt, task.status.verdict, task.status.assigned_node) == (1, "GO", made.node)
        ended = await told_to_end(agent)
        assert (ended.code, message(ended.last), ended.out) == (0, "ended as told", [])
        node = await made.fleet_node()
        assert node is not None
        assert node.status.phase == "Draining"
        ended = await told_to_end(operator, signal.SIGINT)
        assert (ended.code, message(ended.last), ended.out) == (0, "ended as told", [])
        lease = await made.cluster.get("Lease", "foreman-operator.llmkube.dev", made.namespace)
        assert lease.spec.holder_identity == ""  # type: ignore[attr-defined]

    fleet(real_server, story)


def test_what_happened_is_in_the_log_as_json(real_server):
    async def story(made: Fleet) -> None:
        await made.operator()
        agent = await made.agent(*label(made), "--log-format", "json")
        await made.put("t")
        await made.phase("t", "Succeeded")
        await agent.line("ExecutorSucceeded")
        ended = await told_to_end(agent)
        lines = [json.loads(line) for line in ended.err]
        about = [line for line in lines if line.get("object") == f"{made.namespace}/t"]
        assert [line["reason"] for line in about] == ["Claimed", "ExecutorSucceeded"]
        assert all((line["attempt"], line["node"]) == (1, made.node) for line in about)

    fleet(real_server, story)


def test_a_running_task_is_finished_within_the_grace(real_server):
    async def story(made: Fleet) -> None:
        await made.operator()
        agent = await made.agent(*label(made), "--stub-sleep", "1s")
        await made.put("t")
        await made.phase("t", "Running")
        assert (await told_to_end(agent)).code == 0
        assert (await made.task("t")).status.phase == "Succeeded"

    fleet(real_server, story)


def test_a_task_that_takes_longer_than_the_grace_is_handed_back_and_done_by_the_next(real_server):
    async def story(made: Fleet) -> None:
        await made.operator()
        agent = await made.agent(*label(made), "--stub-sleep", "1h", "--grace", "100ms")
        await made.put("t")
        await made.phase("t", "Running")
        assert (await told_to_end(agent)).code == 0
        assert (await made.task("t")).status.phase == "Pending"
        await made.agent(*label(made))
        await made.phase("t", "Succeeded")
        assert (await made.task("t")).status.attempt == 2

    fleet(real_server, story)


def test_a_killed_agent_recovers_its_task_when_it_is_back(real_server):
    async def story(made: Fleet) -> None:
        await made.operator()
        agent = await made.agent(*label(made), "--stub-sleep", "1h")
        await made.put("t")
        await made.phase("t", "Running")
        agent.kill()
        await agent.end()
        await made.agent(*label(made))
        await made.phase("t", "Succeeded")
        assert (await made.task("t")).status.attempt == 2

    fleet(real_server, story)


def test_a_second_agent_of_a_name_stands_by_and_takes_over_when_the_first_leaves(real_server):
    async def story(made: Fleet) -> None:
        first = await made.agent()
        second = await made.agent(until="standing by")
        assert len([line for line in second.seen if "standing by" in line]) == 1
        assert (await told_to_end(first)).code == 0
        await second.line("registered")

    fleet(real_server, story)


def test_an_agent_that_is_to_take_over_does_and_the_first_ends_with_1(real_server):
    async def story(made: Fleet) -> None:
        first = await made.agent("--heartbeat-interval", "200ms")
        second = await made.agent("--take-over")
        ended = await first.end()
        assert ended.code == 1
        assert message(ended.last).endswith(f"has taken the name {made.node} over")
        assert not [line for line in ended.err if "Traceback" in line]
        assert (await told_to_end(second)).code == 0

    fleet(real_server, story)


def test_an_operator_that_lost_the_lease_ends_with_1_and_the_next_takes_it(real_server):
    async def story(made: Fleet) -> None:
        operator = await made.operator()
        await operator.line("leading")
        lease = await made.cluster.get("Lease", "foreman-operator.llmkube.dev", made.namespace)
        await made.cluster.patch(lease, {"spec": {"holder_identity": "usurper"}}, if_version=None)
        ended = await operator.end()
        assert ended.code == 1
        assert "ending: usurper has taken the lease from" in ended.last
        assert not [line for line in ended.err if "Traceback" in line]

    fleet(real_server, story)


def test_readiness_and_metrics_of_both(real_server):
    async def story(made: Fleet) -> None:
        ports = [free_port() for _ in range(2)]
        where = [
            ("--health-probe-bind-address", f"127.0.0.1:{p}", "--metrics-bind-address", f"127.0.0.1:{p}") for p in ports
        ]
        await made.operator(*where[0])
        await made.agent(*label(made), *where[1])
        await made.put("t")
        await made.phase("t", "Succeeded")
        async with aiohttp.ClientSession() as session:

            async def get(port: int, path: str) -> tuple[int, str]:
                async with session.get(f"http://127.0.0.1:{port}/{path}") as answer:
                    return answer.status, await answer.text()

            async def ready() -> bool:
                return [(await get(port, "readyz"))[0] for port in ports] == [200, 200]

            await made.until(ready)
            assert f"+ registered: {made.node}\n" in (await get(ports[1], "readyz"))[1]
            assert "+ election: active\n" in (await get(ports[0], "readyz"))[1]
            text = (await get(ports[1], "metrics"))[1]
            assert 'foreman_agent_claims_total{outcome="won"} 1.0' in text
            assert 'foreman_agent_reports_total{outcome="landed"} 1.0' in text
            assert "foreman_leader{" in (await get(ports[0], "metrics"))[1]

    fleet(real_server, story)


def test_a_standby_agent_is_alive_and_not_ready(real_server):
    async def story(made: Fleet) -> None:
        port = free_port()
        await made.agent()
        words = ("--health-probe-bind-address", f"127.0.0.1:{port}", "--metrics-bind-address", "0")
        await made.agent(*words, until="standing by")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                assert answer.status == 200
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                assert answer.status == 503
                assert "- registered: standing by for" in await answer.text()

    fleet(real_server, story)


def test_two_agents_that_would_listen_on_one_port(real_server):
    async def story(made: Fleet) -> None:
        port = free_port()
        words = ("--health-probe-bind-address", f"127.0.0.1:{port}", "--metrics-bind-address", "0")
        await made.agent(*words)
        second = await made.start("agent", "--fleet-node-name", f"{made.node}-2", *words)
        ended = await second.end()
        assert ended.code == 1
        assert f"cannot listen on 127.0.0.1:{port}: address already in use" in ended.last
        assert len(ended.err) == 2

    fleet(real_server, story)
