"""One API server, and agents without an operator: the test plays the operator and says what an execution comes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support import new_task

from foreman.agent.agent import Agent, AgentOptions
from foreman.agent.identity import instance_of
from foreman.agent.registrar import Identity
from foreman.api import AgenticTask, FleetNode, FleetNodeSpec, NodeCapability, Result
from foreman.decide import custody
from foreman.executors import Cancelled, Execution
from sim.apiserver import ApiServer
from sim.clock import Clock
from sim.cluster import Endpoint, SimCluster
from sim.draw import distribution
from sim.hold import Hold
from sim.host import EPOCH, SECOND, Host, Process
from sim.network import Link

GO = Result(kind="stub", verdict="GO", summary="done")
NAMED_RAM = 64


class Work:
    """The executor: `seconds` of work, then whatever `ending` gives or raises."""

    kind = "stub"

    def __init__(self, site: Site, process: Process, holder: str) -> None:
        self.site = site
        self.process = process
        self.holder = holder

    async def execute(self, execution: Execution) -> Result | None:
        site = self.site
        site.started.append((execution.task.metadata.name, execution.attempt, self.holder))
        if await execution.cancelled.wait(timeout=site.seconds):
            site.cancelled.append(execution.task.metadata.name)
            await self.process.sleep(site.dies_hard)
            raise Cancelled("cancelled")
        return site.ending(execution)


class Site:
    """The world of these tests. Set `seconds` and `ending` beforehand; a cancelled run goes on for `dies_hard` seconds."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.server = ApiServer(lambda: EPOCH + self.clock.now // SECOND)
        self.endpoint = Endpoint(self.clock, self.server)
        self.hosts: dict[str, Host] = {}
        self.agents: dict[str, Agent] = {}
        self.agents_made: dict[str, Callable[[Agent], None]] = {}
        self.seconds: float | None = 10
        self.dies_hard: float = 0
        self.ending: Callable[[Execution], Result | None] = lambda execution: GO
        self.started: list[tuple[str, int, str]] = []
        self.cancelled: list[str] = []
        self.writes: list[Any] = []
        self.crashes: list[Exception] = []
        self.capability = NodeCapability(total_ram_gb=NAMED_RAM, available_ram_gb=NAMED_RAM)
        self.server.observers.append(self.writes.append)

    # hosts

    def client(self, process: Process, actor: str) -> SimCluster:
        name = process.host.name
        link = Link(name, 1, distribution("1ms"), distribution("1ms"))
        return SimCluster(self.endpoint, link, process, actor, "agent")

    def host(self, name: str, program: Any, restart: float = 30) -> Host:
        """A booted host that runs `program(process)`."""
        host = self.hosts[name] = Host(self.clock, name, program, round(restart * SECOND))
        host.on_crash = lambda host, task, error: self.crashes.append(error)
        host.boot()
        return host

    def agent(
        self,
        node: str = "n1",
        machine: str = "",
        *,
        slots: int = 1,
        restart: float = 30,
        roles: tuple[str, ...] = ("worker",),
        **kwargs: Any,
    ) -> Host:
        """A booted node agent; `kwargs` are of Identity (labels, version, os, arch) and AgentOptions (grace, poll ...)."""
        options = AgentOptions(
            **{key: kwargs.pop(key) for key in ("grace", "poll", "heartbeat", "take_over") if key in kwargs}
        )

        async def program(process: Process) -> None:
            holder = instance_of(process.host.name, str(process.host.boots))
            identity = Identity(node, holder, FleetNodeSpec(node_name=node, roles=roles, slots=slots), **kwargs)
            work = Work(self, process, holder)
            agent = Agent(self.client(process, holder), process, identity, work, lambda: self.capability, options)
            self.agents[process.host.name] = agent
            self.agents_made.get(process.host.name, lambda agent: None)(agent)
            await agent.run(process.stop)

        return self.host(machine or node, program, restart)

    def call(self, coro: Callable[[SimCluster, Process], Any], within: float = 60) -> Any:
        """The outcome of one coroutine function, run on a host of its own."""
        outcome: list[Any] = []

        async def program(process: Process) -> None:
            outcome.append(await coro(self.client(process, "probe"), process))

        self.host(f"probe-{len(self.hosts)}", program)
        self.until(lambda: bool(outcome or self.crashes), within)
        assert not self.crashes, self.crashes
        return outcome[0]

    # time

    def advance(self, seconds: float) -> None:
        self.clock.run(until=self.clock.now + round(seconds * SECOND))

    def until(self, condition: Callable[[], bool], within: float = 600) -> None:
        end = self.clock.now + round(within * SECOND)
        while not condition():
            assert self.clock.now < end, f"did not happen within {within}s of virtual time"
            self.advance(0.01)

    @property
    def now(self) -> float:
        return self.clock.now / SECOND

    # objects

    def put(self, name: str, node: str = "", namespace: str = "default", **spec: Any) -> AgenticTask:
        """A task, Pending, or assigned to `node`; `spec` in wire names."""
        made = self.server.create("user", new_task(name, namespace, **spec))
        made = self.write(made, phase="Pending")
        return self.assign(name, node, namespace) if node else made

    def assign(self, name: str, node: str, namespace: str = "default") -> AgenticTask:
        """As the scheduler would: the next attempt goes to `node`."""
        task = self.task(name, namespace)
        wall = EPOCH + self.clock.now // SECOND
        return self.server.patch_status("operator", task, custody.assign(task, node, wall), None)

    def expire(self, name: str) -> AgenticTask:
        """As the task controller would: the claim is taken back."""
        task = self.task(name)
        return self.server.patch_status("operator", task, custody.expire(task, "test", 0).changes, None)

    def write(self, obj: Any, **status: Any) -> Any:
        """A write to the status by somebody else, in python names."""
        return self.server.patch_status("somebody", obj, status, None)

    def task(self, name: str, namespace: str = "default") -> AgenticTask:
        return self.server.get("test", "AgenticTask", name, namespace)

    def phase(self, name: str) -> str:
        return str(self.task(name).status.phase)

    def phases(self, name: str) -> list[str]:
        """Every phase the task has been in, in order."""
        seen = [str(c.new.status.phase) for c in self.writes if c.key == f"default/{name}" and c.new is not None]
        return [each for i, each in enumerate(seen) if i == 0 or each != seen[i - 1]]

    def node(self, name: str = "n1") -> FleetNode:
        return self.server.get("test", "FleetNode", name)

    def hold(self, **match: Any) -> Hold:
        return Hold(self.endpoint, **match)
