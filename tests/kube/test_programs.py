"""`foreman operator` and `foreman agent` as processes on an API server, simulated and real: work, end, die, come back."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kube_door import NO_ENDPOINTS, Command, Ended, message
from kube_live import unique
from kubeconfigs import kubeconfig
from real_server import free_port
from support import new_task

from foreman.api import AgenticTask, FleetNode
from foreman.cluster import NotFound
from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection
from sim.apiserver import ApiServer
from sim.http.serve import Server

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


Story = Callable[[Fleet], Coroutine[Any, Any, None]]
Play = Callable[[Story], None]


async def told(kubeconfig: str, story: Story) -> None:
    """Run the story; whatever it started is gone afterwards."""
    connection = await Connection.open(kubeconfig)
    made = Fleet(kubeconfig, KubeCluster(connection))
    try:
        await story(made)
    finally:
        for command in made.commands:
            command.kill()
            await command.process.wait()
        await connection.close()


def played_on_http(folder: Path) -> Play:
    """On the simulator's API server over HTTP, one of its own for each story."""

    async def main(story: Story) -> None:
        server = Server(ApiServer(lambda: int(time.time())))
        await server.start()
        try:
            await told(kubeconfig(folder, server.url), story)
        finally:
            await server.stop()

    return lambda story: asyncio.run(main(story))


@pytest.fixture(params=["http", "real"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """`play(story)` on each kind of server there is."""
    if request.param == "http":
        return played_on_http(tmp_path)
    path = request.getfixturevalue("real_server").kubeconfig
    return lambda story: asyncio.run(told(path, story))


async def told_to_end(command: Command, number: int = signal.SIGTERM) -> Ended:
    command.signal(number)
    return await command.end()


def label(made: Fleet) -> tuple[str, str]:
    return "--node-labels", f"fleet={made.namespace}"


def test_a_task_runs_and_both_end_with_0_when_told(play):
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

    play(story)


def test_what_happened_is_in_the_log_as_json(play):
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

    play(story)


def test_a_running_task_is_finished_within_the_grace(play):
    async def story(made: Fleet) -> None:
        await made.operator()
        agent = await made.agent(*label(made), "--stub-sleep", "1s")
        await made.put("t")
        await made.phase("t", "Running")
        assert (await told_to_end(agent)).code == 0
        assert (await made.task("t")).status.phase == "Succeeded"

    play(story)


def test_a_task_that_takes_longer_than_the_grace_is_handed_back_and_done_by_the_next(play):
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

    play(story)


def test_a_killed_agent_recovers_its_task_when_it_is_back(play):
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

    play(story)


def test_a_second_agent_of_a_name_stands_by_and_takes_over_when_the_first_leaves(tmp_path):
    async def story(made: Fleet) -> None:
        first = await made.agent()
        second = await made.agent(until="standing by")
        assert len([line for line in second.seen if "standing by" in line]) == 1
        assert (await told_to_end(first)).code == 0
        await second.line("registered")

    played_on_http(tmp_path)(story)


def test_an_agent_that_is_to_take_over_does_and_the_first_ends_with_1(play):
    async def story(made: Fleet) -> None:
        first = await made.agent("--heartbeat-interval", "200ms")
        second = await made.agent("--take-over")
        ended = await first.end()
        assert ended.code == 1
        assert message(ended.last).endswith(f"has taken the name {made.node} over")
        assert not [line for line in ended.err if "Traceback" in line]
        assert (await told_to_end(second)).code == 0

    play(story)


def test_an_operator_that_lost_the_lease_ends_with_1_and_the_next_takes_it(play):
    async def story(made: Fleet) -> None:
        operator = await made.operator()
        await operator.line("leading")
        lease = await made.cluster.get("Lease", "foreman-operator.llmkube.dev", made.namespace)
        await made.cluster.patch(lease, {"spec": {"holder_identity": "usurper"}}, if_version=None)
        ended = await operator.end()
        assert ended.code == 1
        assert "ending: usurper has taken the lease from" in ended.last
        assert not [line for line in ended.err if "Traceback" in line]

    play(story)


def test_readiness_and_metrics_of_both(play):
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
            assert "foreman_leader 1.0" in (await get(ports[0], "metrics"))[1]

    play(story)


def test_a_standby_agent_is_alive_and_not_ready(play):
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

    play(story)


def test_two_agents_that_would_listen_on_one_port(play):
    async def story(made: Fleet) -> None:
        port = free_port()
        words = ("--health-probe-bind-address", f"127.0.0.1:{port}", "--metrics-bind-address", "0")
        await made.agent(*words)
        second = await made.start("agent", "--fleet-node-name", f"{made.node}-2", *words)
        ended = await second.end()
        assert ended.code == 1
        assert f"cannot listen on 127.0.0.1:{port}: address already in use" in ended.last
        assert len(ended.err) == 2

    play(story)


def test_people_are_told_by_events_and_by_the_record(tmp_path):
    """What the operator and the agent each did is on the task for `kubectl describe`, and outlives it in a ConfigMap."""

    async def story(made: Fleet) -> None:
        port = free_port()
        await made.operator("--health-probe-bind-address", "0", "--metrics-bind-address", f"127.0.0.1:{port}")
        await made.agent(*label(made))
        await made.put("t")
        await made.put("after", dependsOn=["nothing-there"], timeoutSeconds=1)

        async def events() -> list[tuple[str, str, str]]:
            listing = await made.cluster.list("Event", namespace=made.namespace)
            found = [(e.source.component, e.reason, e.type) for e in listing.items if e.involved_object.name == "t"]  # type: ignore[attr-defined]
            return sorted(found)

        async def all_there() -> bool:
            return len(await events()) == 3

        await made.until(all_there)
        assert await events() == [
            ("foreman-agent", "Claimed", "Normal"),
            ("foreman-agent", "ExecutorSucceeded", "Normal"),
            ("foreman-operator", "FleetNodeAssigned", "Normal"),
        ]
        async with aiohttp.ClientSession() as session:

            async def counted() -> bool:
                async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    said = 'foreman_task_completed_total{agent="",kind="freeform",outcome="",verdict="GO"} 1.0'
                    return said in await answer.text()

            await made.until(counted)
        record = await made.cluster.get("ConfigMap", "foreman-audit-t", made.namespace)
        assert "audit.json" in record.data  # type: ignore[attr-defined]

    played_on_http(tmp_path)(story)


def test_an_api_server_that_goes_and_comes_back_is_told_of_once(tmp_path):
    """A running task outlives the outage, and its result lands."""

    async def story() -> None:
        store = ApiServer(lambda: int(time.time()))
        server = Server(store)
        await server.start()
        port = server.port

        async def outage(made: Fleet) -> None:
            operator, agent = await made.operator(), await made.agent(*label(made), "--stub-sleep", "3s")
            await made.put("t")
            await made.phase("t", "Running")
            await server.stop()
            await agent.line("does not answer")
            await operator.line("does not answer")
            await again.start(port)
            await made.phase("t", "Succeeded")
            assert (await made.task("t")).status.attempt == 1
            ended = await told_to_end(agent)
            assert ended.code == 0
            assert len([line for line in ended.err if "does not answer" in line]) == 1
            assert len([line for line in ended.err if "answers again" in line]) == 1

        again = Server(store)
        try:
            await told(kubeconfig(tmp_path, server.url), outage)
        finally:
            await again.stop()

    asyncio.run(story())
