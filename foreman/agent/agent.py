"""The agent process: one node identity = one registrar + one watcher; either failing ends the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from foreman.agent.registrar import HEARTBEAT_SECONDS, Identity, Registrar
from foreman.agent.watcher import POLL_SECONDS, Watcher
from foreman.api import NodeCapability
from foreman.cluster import Cluster
from foreman.executors import Executor
from foreman.runtime import Runtime, Signal

GRACE_SECONDS = 25.0


@dataclass(frozen=True)
class AgentOptions:
    """Seconds throughout. `namespace`: where tasks are taken from, None for all; `grace`: how long runs may end in
    at shutdown; `take_over`: take the node's name from a process that has it."""

    heartbeat: float = HEARTBEAT_SECONDS
    poll: float = POLL_SECONDS
    namespace: str | None = "default"
    grace: float = GRACE_SECONDS
    take_over: bool = False


@dataclass(frozen=True)
class AgentParts:
    """What an agent is made of; a test or a mutation swaps one part for another."""

    registrar: type[Registrar] = Registrar
    watcher: type[Watcher] = Watcher


class Agent:
    """Everything one agent process runs."""

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        identity: Identity,
        executor: Executor,
        probe: Callable[[], NodeCapability],
        options: AgentOptions | None = None,
        parts: AgentParts | None = None,
    ) -> None:
        self.runtime = runtime
        self.options = options or AgentOptions()
        parts = parts or AgentParts()
        self.watcher = parts.watcher(
            cluster,
            runtime,
            identity.name,
            identity.instance,
            executor,
            slots=identity.spec.slots,
            namespace=self.options.namespace,
            poll=self.options.poll,
        )
        self.registrar = parts.registrar(
            cluster, runtime, identity, probe, self.watcher.current_task, self.options.heartbeat, self.options.take_over
        )

    async def run(self, stop: Signal) -> None:
        """Serve until `stop` is set, then drain and return. Raises ProcessExit when it must be restarted."""
        self.runtime.spawn(self._serve(), "serve")
        await stop.wait()
        began = self.runtime.now()
        await self.registrar.farewell()
        await self.watcher.drain(max(began + self.options.grace - self.runtime.now(), 0))

    async def _serve(self) -> None:
        await self.registrar.register()
        if not self.registrar.draining:
            self.runtime.spawn(self.registrar.beat_for_ever(), "heartbeat")
            self.runtime.spawn(self.watcher.run(), "watcher")
