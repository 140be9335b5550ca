"""The user of a run: creates Agents, then Workloads and tasks as they arrive, and asks again where an answer is missing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from foreman.cluster import AlreadyExists, ClusterError
from sim.host import SECOND, Process
from sim.pipelines import sow
from sim.scenario import Scenario
from sim.workload import Arrival, agent_objects, namespaces

CREATORS = 64
"""Requests under way at a time."""


async def submit(cluster: Any, process: Process, scenario: Scenario, queue: Iterator[Arrival], total: int) -> None:
    """Create the Agents, and set those to work who create the rest."""
    for agent in agent_objects(scenario, namespaces(scenario)):
        await _create(cluster, process, agent)
    process.spawn(sow(scenario, process, partial(_create, cluster, process)), "create-workloads")
    for number in range(min(CREATORS, max(total, 1))):
        process.spawn(_create_tasks(cluster, process, queue), f"create-{number}")


async def _create_tasks(cluster: Any, process: Process, queue: Iterator[Arrival]) -> None:
    for arrival in queue:
        wait = arrival.at - process.env.now
        if wait > 0:
            await process.sleep(wait / SECOND)
        await _create(cluster, process, arrival.task)


async def _create(cluster: Any, process: Process, obj: Any) -> None:
    while True:
        try:
            await cluster.create(obj)
            return
        except AlreadyExists:
            return
        except ClusterError:
            await process.sleep(1)
