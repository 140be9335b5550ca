"""On a cluster with the Go original's CRDs: nothing to select by, no attempt, no holder; and all the same everything runs."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from kube_live import Live, until
from real_server import RealServer

from foreman.api import Phase, Verdict
from foreman.executors import Execution


def test_tasks_run_and_what_is_missing_is_said_once(original_server: RealServer, caplog: Any) -> None:
    async def story() -> dict[str, Any]:
        async with Live(original_server.kubeconfig) as live:
            await live.operator()
            await live.agent(slots=2)
            await live.agent()
            for number in range(12):
                await live.put(f"t{number}", dependsOn=[f"t{number - 1}"] if number % 4 else [])
            return await live.all_ended()

    with caplog.at_level(logging.WARNING, "foreman"):
        tasks = asyncio.run(story())
    assert {task.status.verdict for task in tasks.values()} == {Verdict.GO}
    assert {task.status.attempt for task in tasks.values()} == {0}
    said = [record.getMessage() for record in caplog.records]
    clients = 4
    for missing in ("select AgenticTask by status.assignedNode", "status.attempt of AgenticTask", "status.holder of"):
        assert 1 <= len([line for line in said if missing in line]) <= clients, said


class Gated:
    """Runs until it is let go."""

    kind = "gated"

    def __init__(self, live: Live) -> None:
        self.started = live.runtime.event()
        self.executions: list[Execution] = []

    async def execute(self, execution: Execution) -> None:
        self.executions.append(execution)
        self.started.set()
        await execution.cancelled.wait()


def test_a_claim_taken_away_is_noticed_without_an_attempt_number(original_server: RealServer) -> None:
    async def story() -> tuple[Any, int]:
        async with Live(original_server.kubeconfig) as live:
            gate = Gated(live)
            name = await live.agent(executor=gate)
            task = await live.put("t")
            moved = {"phase": Phase.SCHEDULED, "assigned_node": name}
            await live.cluster.patch_status(task, {"phase": Phase.PENDING}, if_version=None)
            await live.cluster.patch_status(task, moved, if_version=None)
            assert await gate.started.wait(10)
            taken = {"phase": Phase.RUNNING, "assigned_node": "elsewhere", "claimed_at": 1}
            await live.cluster.patch_status(task, taken, if_version=None)
            watcher = live.agents[name].watcher

            async def dropped() -> bool:
                return watcher.discarded == 1

            await until(dropped)
            return await live.task("t"), watcher.landed

    task, landed = asyncio.run(story())
    assert (task.status.phase, task.status.assigned_node, landed) == (Phase.RUNNING, "elsewhere", 0)
