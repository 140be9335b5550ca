"""What the scheduler would do next with a snapshot: its own cycle over the same Fleet and Waiting, with nothing written."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from foreman.api import AgenticTask, FleetNodePhase
from foreman.decide.fleet import Draw, Fleet
from foreman.decide.queueing import GroupKey, Waiting, rank_of
from foreman.decide.requirement import Requirement, agent_key
from foreman.decide.snapshot import Snapshot, on_node, placeable

DEFAULT_POLICY = "first-fit"


class Forecast(NamedTuple):
    """`order`: the tasks that wait for a node, by key, first in line first; `placed`: the node each that finds one gets."""

    order: tuple[str, ...]
    placed: dict[str, str]


def first(count: int) -> int:
    """The draw of somebody who asks what could be: always the first."""
    return 0


def fleet_of(snapshot: Snapshot, policy: str = DEFAULT_POLICY, draw: Draw = first) -> Fleet:
    """The fleet and what is taken of it. A node is usable while its phase says so."""
    fleet = Fleet(policy, draw, _nothing)
    for node in snapshot.nodes.values():
        fleet.learn(node, node.status.phase is FleetNodePhase.READY)
    for task in snapshot.tasks.values():
        if on_node(task):
            fleet.occupy(task.key, task.status.assigned_node, snapshot.want(task))
    return fleet


def forecast(snapshot: Snapshot, policy: str = DEFAULT_POLICY, draw: Draw = first) -> Forecast:
    """The outcome of the next scheduling cycle."""
    fleet = fleet_of(snapshot, policy, draw)
    waiting = Waiting()
    line = sorted((task for task in snapshot.tasks.values() if placeable(snapshot, task)), key=rank_of)
    for task in line:
        waiting.add(rank_of(task), GroupKey(snapshot.want(task), agent_key(task)))
    busy = Counter(agent_key(task) for task in snapshot.tasks.values() if on_node(task))
    placed: dict[str, str] = {}
    while (choice := waiting.next()) is not None:
        group, rank = choice
        task = snapshot.tasks[rank.key]
        node = None if at_limit(snapshot, task, busy[group.agent]) else fleet.choose(group.want, task.status.strikes)
        if node is None:
            waiting.sleep(group)
            continue
        waiting.remove(rank.key)
        fleet.occupy(rank.key, node, group.want)
        busy[group.agent] += 1
        placed[rank.key] = node
    return Forecast(tuple(task.key for task in line), placed)


def at_limit(snapshot: Snapshot, task: AgenticTask, busy: int) -> bool:
    """Whether the task's Agent already runs as many tasks as it may."""
    agent = snapshot.agent_of(task)
    limit = agent.spec.max_concurrent_tasks if agent is not None else None
    return limit is not None and busy >= limit


def _nothing(want: Requirement) -> None:
    return None
