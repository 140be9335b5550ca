"""A Workload of three issues, coder, gate and review each, worked on by real processes: one is killed, or frozen."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from e2e_work import ISSUES, TEST, Brain, Stage, staged

from foreman.api import WorkloadPhase
from foreman.executors.git.fence import parse
from foreman.kube.runtime import AsyncioRuntime

LAST_TURN = 4
"""Of a coder: it submits, and then its work is pushed."""


def play(folder: Path, brain: Callable[[], Brain], story: Callable[[Stage], Awaitable[Any]]) -> Stage:
    """The stage as it is when the story is over; everybody has ended."""

    async def main() -> Stage:
        runtime = AsyncioRuntime()
        played: list[Stage] = []

        async def whole() -> None:
            async with staged(folder, brain(), runtime) as stage:
                await asyncio.gather(*(stage.agent(node) for node in stage.nodes))
                await stage.put()
                await story(stage)
                played.append(stage)

        await runtime.run(whole())
        return played[0]

    return asyncio.run(main())


def assert_all_is_well(stage: Stage) -> None:
    """Each issue went through coder, gate and review, and its branch was pushed once, by the attempt that counts."""
    workload = stage.workload
    assert workload is not None
    assert workload.status.phase is WorkloadPhase.COMPLETED
    assert (workload.status.succeeded_tasks, workload.status.failed_tasks) == (9, 0)
    verdicts = {task.metadata.name: str(task.status.verdict) for task in stage.tasks}
    assert verdicts == {
        f"batch-{step.format(n=issue)}": verdict
        for issue in ISSUES
        for step, verdict in {"code-{n}": "GO", "verify-{n}": "GATE-PASS", "review-{n}-0": "GO"}.items()
    }
    branches = stage.remote.branches()
    assert set(branches) == {f"foreman/batch/issue-{issue}" for issue in ISSUES}
    for issue in ISSUES:
        branch, task = f"foreman/batch/issue-{issue}", stage.task(f"batch-code-{issue}")
        result = task.status.result
        assert result is not None
        assert stage.remote.pushes(branch) == [branches[branch]] == [result["extra"]["commitSHA"]]
        assert stage.remote.file(branch, f"sum_{issue}.py") == "def double(x):\n    return x + x\n"
        assert stage.remote.file(branch, f"test_sum_{issue}.py") == TEST.format(n=issue)
        record = parse(stage.remote.fence(branch))
        assert record is not None
        assert (record.attempt, record.published) == (task.status.attempt, branches[branch])


def holder(stage: Stage, task: str) -> str:
    return stage.task(task).status.assigned_node


def test_an_agent_killed_in_the_middle_of_a_turn_costs_its_attempt_and_nothing_else(tmp_path: Path) -> None:
    killed: list[str] = []

    async def story(stage: Stage) -> None:
        await stage.brain.reached.wait()
        node = holder(stage, "batch-code-2")
        killed.append(node)
        await stage.kill(node)
        assert stage.remote.branches().keys().isdisjoint({"foreman/batch/issue-2"})
        await stage.agent(node)
        await stage.over()
        for agent in stage.agents.values():
            agent.terminate()
        assert [await agent.wait() for agent in stage.agents.values()] == [0, 0]

    stage = play(tmp_path, lambda: Brain(2, 2), story)
    assert_all_is_well(stage)
    assert [stage.task(f"batch-code-{issue}").status.attempt for issue in ISSUES] == [1, 2, 1]
    journal = tmp_path / f"work-{killed[0]}/.transcripts/default/batch-code-2/attempt-1/journal.jsonl"
    said = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    assert [each["content"] for each in said if each["role"] == "assistant"] == ["turn 0", "turn 1"]


def test_an_agent_frozen_before_its_push_does_not_overwrite_its_successor(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.brain.reached.wait()
        node = holder(stage, "batch-code-2")
        zombie = stage.agents[node]
        zombie.send_signal(signal.SIGSTOP)
        await stage.agent(node, "--take-over")
        await stage.over()
        before = stage.remote.branches()
        stage.brain.released.set()
        zombie.send_signal(signal.SIGCONT)
        assert await zombie.wait() == 1
        assert stage.remote.branches() == before

    assert_all_is_well(play(tmp_path, lambda: Brain(2, LAST_TURN), story))
