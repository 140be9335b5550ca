"""Says on each waiting task why it waits, as condition Scheduled=False.

A task that has waited a while is told once, and again only when the reason changes: counts that merely move are not worth a
write to every task. Writes are bounded per pass, first in line first, so that a backlog of any size cannot flood the API.
"""

from __future__ import annotations

from foreman.api import CONDITION_SCHEDULED, AgenticTask, condition
from foreman.cache import Cache
from foreman.cluster import Cluster, ClusterError
from foreman.decide.explain import explain
from foreman.decide.pending import blocked
from foreman.decide.queueing import Group
from foreman.runtime import Runtime
from foreman.scheduler import Scheduler

PERIOD_SECONDS = 10.0
BATCH = 256
RECHECK_PASSES = 6


class Explainer:
    """One pass every ten seconds over the scheduler's groups."""

    def __init__(self, cluster: Cluster, runtime: Runtime, tasks: Cache[AgenticTask], scheduler: Scheduler) -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.tasks = tasks
        self.scheduler = scheduler
        self._passes = 0

    async def run(self) -> None:
        while True:
            await self.runtime.sleep(PERIOD_SECONDS)
            self._passes += 1
            budget = BATCH
            for group in list(self.scheduler.waiting.groups.values()):
                if group.members and budget > 0:
                    budget -= await self._tell(group, budget)

    async def _tell(self, group: Group, budget: int) -> int:
        """Tell up to `budget` members; the number of writes."""
        due = [key for key in list(group.untold)[:budget] if self._waited(key)]
        if not due and self._passes % RECHECK_PASSES:
            return 0
        reason, message = self._why(group)
        if reason != group.said:
            group.news(reason)
            due = [key for key in list(group.untold)[:budget] if self._waited(key)]
        for key in due:
            group.untold.pop(key, None)
            await self._write(key, reason, message)
        return len(due)

    def _waited(self, key: str) -> bool:
        task = self.tasks.get(key)
        return task is not None and self.runtime.wall() - (task.metadata.creation_timestamp or 0) >= PERIOD_SECONDS

    def _why(self, group: Group) -> tuple[str, str]:
        agent = group.key.agent
        if self.scheduler.at_limit(agent):
            return "AgentAtLimit", f"Agent {agent} already runs its maxConcurrentTasks"
        why = explain(group.key.want, self.scheduler.fleet.nodes.values())
        return why.reason, why.message

    async def _write(self, key: str, reason: str, message: str) -> None:
        task = self.tasks.get(key)
        if task is None or key not in self.scheduler.waiting:
            return
        told = condition(task.status.conditions, CONDITION_SCHEDULED)
        if told is not None and told.status == "False" and told.reason == reason:
            return
        changes = blocked(task, reason, message, self.runtime.wall())
        if changes is None:
            return
        try:
            self.tasks.observe(await self.cluster.patch_status(task, changes, if_version=task.version))
        except ClusterError:
            # Whoever was faster has changed the task; it is told at a later pass if it still waits.
            self.scheduler.waiting.retell(key)
