"""The scheduler: eligible tasks in, conditional assignments out.

As in kube-scheduler, a synchronous cycle decides over a snapshot that is kept up to date in place (the Fleet),
assumes the result, and an asynchronous binding writes it. A binding that is refused forgets the assumption and gives
the task back to its controller. Nothing polls: a task that does not fit sleeps with its group until a node opens that
could take it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from foreman.api import IN_FLIGHT, Agent, AgenticTask, Phase
from foreman.cache import Cache
from foreman.cluster import Cluster, ClusterError, Unavailable
from foreman.decide import custody
from foreman.decide.fleet import Draw, Fleet
from foreman.decide.queueing import GroupKey, Waiting, rank_of
from foreman.decide.requirement import Requirement, agent_key, requirement_of
from foreman.runtime import Runtime

PATIENCE_SECONDS = 1.0


class Scheduler:
    """Places waiting tasks. `give_back(key)` returns a task whose binding was refused."""

    assign = staticmethod(custody.assign)
    rank = staticmethod(rank_of)

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        tasks: Cache[AgenticTask],
        agents: Cache[Agent],
        policy: str,
        draw: Draw,
        give_back: Callable[[str], None],
    ) -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.tasks = tasks
        self.agents = agents
        self.fleet = Fleet(policy, draw, self._opened)
        self.waiting = Waiting()
        self.give_back = give_back
        self.conflicts = 0
        self._busy_agents: defaultdict[str, int] = defaultdict(int)
        self._agent_of: dict[str, str] = {}
        self._binding: dict[str, None] = {}
        self._planned = False
        tasks.listen(self._task_changed)
        agents.listen(self._agent_changed)

    def offer(self, task: AgenticTask) -> None:
        """Let an eligible task wait for a node."""
        if task.key not in self._binding:
            agent = agent_key(task)
            self.waiting.add(self.rank(task), GroupKey(self._want(task), agent))
            self._plan()

    def withdraw(self, key: str) -> None:
        """The task no longer waits, or no longer exists."""
        self.waiting.remove(key)

    def _want(self, task: AgenticTask) -> Requirement:
        agent = agent_key(task)
        return requirement_of(task, self.agents.get(agent) if agent else None)

    def close(self) -> None:
        """Place nothing any more."""
        self._planned = True

    # the scheduling cycle: synchronous, so that it sees one state of the world

    def _plan(self) -> None:
        """Run a cycle once the events of this moment are all in, so that priority decides and not arrival."""
        if not self._planned:
            self._planned = True
            self.runtime.call_later(0, self._cycle)

    def _cycle(self) -> None:
        self._planned = False
        while (choice := self.waiting.next()) is not None:
            group, rank = choice
            task = self.tasks.get(rank.key)
            if task is None:
                self.waiting.remove(rank.key)
            elif self.at_limit(group.agent) or (node := self._choose(group, task)) is None:
                self.waiting.sleep(group)
            else:
                self._assume(task, node, group)
                self.runtime.spawn(self._bind(task, node, group.want.slot), "bind")

    def _choose(self, group: GroupKey, task: AgenticTask) -> str | None:
        return self.fleet.choose(group.want, task.status.strikes)

    def at_limit(self, agent: str) -> bool:
        if not agent or (found := self.agents.get(agent)) is None:
            return False
        limit = found.spec.max_concurrent_tasks
        return limit is not None and self._busy_agents[agent] >= limit

    # assume, bind, forget

    def _assume(self, task: AgenticTask, node: str, group: GroupKey) -> None:
        key = task.key
        self.waiting.remove(key)
        self._binding[key] = None
        self.fleet.occupy(key, node, group.want)
        if group.agent:
            self._count_agent(key, group.agent)

    async def _bind(self, task: AgenticTask, node: str, slot: bool) -> None:
        key = task.key
        bound = await self._assigned(task, node, slot)
        del self._binding[key]
        if bound is not None:
            self.tasks.observe(bound)
        # Bound or not: from now on the cache alone says what the task occupies.
        now = self.tasks.get(key)
        self._occupancy(key, now)
        if bound is None and self._unseen(task):
            await self.catch_up(task)
        # Or released again before this answer came: it was offered while it still counted as being bound.
        if bound is None or (now is not None and now.status.phase is Phase.PENDING):
            self.give_back(key)

    async def catch_up(self, task: AgenticTask) -> None:
        """What was refused would be refused again, until the cache shows what came in between; should that be lost on its way,
        the API server is asked."""
        await self.runtime.sleep(PATIENCE_SECONDS)
        if self._unseen(task):
            await self.tasks.find_out(task)

    def _unseen(self, task: AgenticTask) -> bool:
        now = self.tasks.get(task.key)
        return now is not None and now.version == task.version

    async def _assigned(self, task: AgenticTask, node: str, slot: bool) -> AgenticTask | None:
        """The task as assigned, or None if somebody else has written it, or an earlier one of these writes has landed.

        One without an answer may be in, or may come yet. Forgotten too early, its place and its Agent's would be given away a
        second time; so the same is written again, until the version it was made for is gone.
        """
        changes = self.assign(task, node, self.runtime.wall(), slot)
        while True:
            try:
                return await self.cluster.patch_status(task, changes, if_version=task.version)
            except Unavailable:
                self.conflicts += 1
                found = await self.tasks.find_out(task)
                if found is None or found.version != task.version:
                    return None
            except ClusterError:
                self.conflicts += 1
                return None

    # what the caches tell

    def _task_changed(self, key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
        if key in self.waiting.group_of and (new is None or new.status.phase is not Phase.PENDING):
            self.waiting.remove(key)
        if key not in self._binding:
            self._occupancy(key, new)

    def _occupancy(self, key: str, task: AgenticTask | None) -> None:
        held = self.fleet.holds.get(key)
        node = task.status.assigned_node if task is not None and task.status.phase in IN_FLIGHT else ""
        if task is None or not node:
            # Node and Agent are taken and given back together.
            if held is not None:
                self.fleet.vacate(key)
                self._uncount_agent(key)
        elif held is None or held.node != node:
            self.fleet.occupy(key, node, self._want(task))
            agent = agent_key(task)
            if agent:
                self._count_agent(key, agent)

    def _occupy_anew(self, key: str) -> None:
        held, task = self.fleet.holds.get(key), self.tasks.get(key)
        if held is not None and task is not None:
            self.fleet.vacate(key)
            self.fleet.occupy(key, held.node, self._want(task))

    def _count_agent(self, key: str, agent: str) -> None:
        if key not in self._agent_of:
            self._agent_of[key] = agent
            self._busy_agents[agent] += 1

    def _uncount_agent(self, key: str) -> None:
        agent = self._agent_of.pop(key, None)
        if agent is not None:
            self._busy_agents[agent] -= 1
            if self.waiting.wake_of_agent(agent):
                self._plan()

    def _agent_changed(self, agent: str, old: Agent | None, new: Agent | None) -> None:
        """An Agent's limit or demand may have changed, or is known only now: its tasks are judged anew."""
        for held, its_agent in self._agent_of.items():
            if its_agent == agent and held not in self._binding:
                self._occupy_anew(held)
        for key, group in list(self.waiting.groups.items()):
            if key.agent == agent:
                for task in list(group.members):
                    self.waiting.remove(task)
                    self.give_back(task)

    def _opened(self, want: Requirement) -> None:
        if self.waiting.wake_wanting(want):
            self._plan()
