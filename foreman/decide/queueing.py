"""Who is next: waiting tasks in groups of equal demand, each ordered by priority, then depth, then age.

An event wakes only groups it can help; inside a group, if the first does not fit none does, so one look decides for all.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

from foreman.api import AgenticTask, TaskKind
from foreman.decide.requirement import Requirement

DEPTH = {TaskKind.REVIEW: 0, TaskKind.VERIFY: 1}
"""What finishes work comes before what begins some, or a backlog of new work starves every pipeline (#936). All that
begins work is equal: a stream of one kind must not starve another."""


class GroupKey(NamedTuple):
    """What a group has in common: the demand, and the Agent ('namespace/name') whose maxConcurrentTasks bounds it, or ''."""

    want: Requirement
    agent: str


class Rank(NamedTuple):
    """Order of service: higher priority, then what ends a pipeline, then older, then by key."""

    urgency: int
    depth: int
    created: int
    key: str


class Group:
    """Waiting tasks of one demand. `untold`: those that do not say on themselves yet why they wait (`said`), oldest first."""

    __slots__ = ("_heap", "key", "members", "said", "untold")

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.members: dict[str, Rank] = {}
        self.untold: dict[str, None] = {}
        self.said = ""
        self._heap: list[Rank] = []

    def add(self, rank: Rank) -> None:
        self.members[rank.key] = rank
        self.untold[rank.key] = None
        heappush(self._heap, rank)

    def head(self) -> Rank | None:
        heap = self._heap
        while heap and self.members.get(heap[0].key) != heap[0]:
            heappop(heap)
        return heap[0] if heap else None

    def news(self, reason: str) -> None:
        """The reason has changed: every member is to be told."""
        self.said = reason
        self.untold = {rank.key: None for rank in sorted(self.members.values())}


def rank_of(task: AgenticTask) -> Rank:
    return Rank(-task.spec.priority, DEPTH.get(task.spec.kind, 2), task.metadata.creation_timestamp or 0, task.key)


class Waiting:
    """All tasks that wait for a node, and which of their groups are worth a look."""

    def __init__(self) -> None:
        self.groups: dict[GroupKey, Group] = {}
        self.awake: dict[GroupKey, None] = {}
        self.group_of: dict[str, Group] = {}
        self._by_want: dict[Requirement, list[Group]] = {}
        self._by_agent: dict[str, list[Group]] = {}

    def __len__(self) -> int:
        return len(self.group_of)

    def __contains__(self, task: str) -> bool:
        return task in self.group_of

    def add(self, rank: Rank, key: GroupKey) -> None:
        """Let the task wait in group `key` (and in no other) and wake the group."""
        group = self.group_of.get(rank.key)
        if group is not None and (group.key != key or group.members.get(rank.key) != rank):
            self.remove(rank.key)
            group = None
        if group is None:
            group = self._group(key)
            group.add(rank)
            self.group_of[rank.key] = group
        self.awake[key] = None

    def remove(self, task: str) -> None:
        group = self.group_of.pop(task, None)
        if group is not None:
            del group.members[task]
            group.untold.pop(task, None)

    def retell(self, task: str) -> None:
        """The task has not been told after all why it waits."""
        group = self.group_of.get(task)
        if group is not None:
            group.untold[task] = None

    def wake_wanting(self, want: Requirement) -> bool:
        """Wake the groups with that demand; True if any has a task waiting."""
        return self._wake(self._by_want.get(want, ()))

    def wake_of_agent(self, agent: str) -> bool:
        return self._wake(self._by_agent.get(agent, ()))

    def next(self) -> tuple[GroupKey, Rank] | None:
        """The most urgent task of all groups that are awake; groups found empty go to sleep."""
        best: tuple[GroupKey, Rank] | None = None
        for key in list(self.awake):
            head = self.groups[key].head()
            if head is None:
                del self.awake[key]
            elif best is None or head < best[1]:
                best = key, head
        return best

    def sleep(self, key: GroupKey) -> None:
        self.awake.pop(key, None)

    def _wake(self, groups: list[Group] | tuple[()]) -> bool:
        woken = False
        for group in groups:
            if group.members:
                self.awake[group.key] = None
                woken = True
        return woken

    def _group(self, key: GroupKey) -> Group:
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(key)
            self._by_want.setdefault(key.want, []).append(group)
            if key.agent:
                self._by_agent.setdefault(key.agent, []).append(group)
        return group
