"""The agent controller: says on each Agent, by the condition Validated, whether its configuration is complete."""

from __future__ import annotations

from foreman.api import Agent
from foreman.cache import Cache
from foreman.cluster import Cluster
from foreman.controller import Controller
from foreman.decide.agents import validated
from foreman.runtime import Runtime


class AgentController:
    """Reconciles Agents by key."""

    def __init__(self, cluster: Cluster, runtime: Runtime, agents: Cache[Agent]) -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.agents = agents
        self.controller = Controller("agent", runtime, self.reconcile, workers=2)
        agents.listen(self._changed)

    def start(self) -> None:
        self.controller.start()

    def _changed(self, key: str, old: Agent | None, new: Agent | None) -> None:
        if new is not None and (old is None or old.metadata.generation != new.metadata.generation):
            self.controller.queue.add(key)

    async def reconcile(self, key: str) -> float | None:
        agent = self.agents.get(key)
        changes = validated(agent, self.runtime.wall()) if agent is not None else None
        if agent is not None and changes is not None:
            self.agents.observe(await self.cluster.patch_status(agent, changes, if_version=agent.version))
        return None
