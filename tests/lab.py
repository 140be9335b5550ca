"""A bare simulated cluster: API server, network, processes, and nothing of the product running in it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from sim.apiserver import HISTORY, ApiServer
from sim.clock import Clock
from sim.cluster import Endpoint, SimCluster
from sim.draw import Distribution, distribution
from sim.garbage import GarbageCollector
from sim.host import EPOCH, SECOND, Host, Process, Program
from sim.network import Link

T = TypeVar("T")
PATIENCE = 3600 * SECOND


async def idle(process: Process) -> None:
    """A program that does nothing for ever."""
    await process.event().wait()


class Lab:
    """Tests spawn what they want on its processes, and let virtual time pass."""

    def __init__(
        self,
        *,
        replicas: int = 1,
        stale_lists: bool = False,
        history: int = HISTORY,
        seed: int = 0,
        delays: Any = "1ms",
    ) -> None:
        self.env = Clock()
        self.server = ApiServer(lambda: EPOCH + self.env.now // SECOND, history)
        self.endpoint = Endpoint(self.env, self.server, replicas, stale_lists)
        self.garbage = GarbageCollector(self.env, self.server)
        self.seed = seed
        self.delays: Distribution = distribution(delays)
        self.hosts: dict[str, Host] = {}
        self.links: dict[str, Link] = {}

    def host(self, name: str, program: Program = idle, restart: float = 30) -> Host:
        """A booted host; its program restarts `restart` seconds after it ended by itself."""
        self.links[name] = Link(name, self.seed, self.delays, self.delays)
        host = self.hosts[name] = Host(self.env, name, program, round(restart * SECOND))
        host.boot()
        return host

    def process(self, name: str = "client") -> Process:
        """The live process of a host, which is made if there is none of that name."""
        process = (self.hosts.get(name) or self.host(name)).process
        assert process is not None
        return process

    def client(self, process: Process) -> SimCluster:
        name = process.host.name
        return SimCluster(self.endpoint, self.links[name], process, f"{name}/{process.host.boots}", "operator")

    def run(self, coro: Coroutine[Any, Any, T], process: Process | None = None) -> T:
        """The coroutine's result, after as much virtual time as it takes; raises what it raises."""
        outcome: list[tuple[bool, Any]] = []

        async def drive() -> None:
            try:
                outcome.append((True, await coro))
            except Exception as error:
                outcome.append((False, error))

        (process or self.process()).spawn(drive(), "test")
        limit = self.env.now + PATIENCE
        while not outcome:
            assert self.env.peek() <= limit, "no result within an hour of virtual time"
            self.env.step()
        ok, value = outcome[0]
        if not ok:
            raise value
        return value  # type: ignore[no-any-return]

    def now(self) -> float:
        return self.env.now / SECOND

    def advance(self, seconds: float) -> None:
        if seconds > 0:
            self.env.run(until=self.env.now + round(seconds * SECOND))
