"""`foreman agent --agent-mode native` as a process: what it says at its start, and how it ends while a model is thinking."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cli_kit import cli, one_line
from e2e_work import Brain, Stage, staged

from foreman.api import AgenticTask, FleetNodePhase, Phase
from foreman.kube.runtime import AsyncioRuntime

TASK, TRANSCRIPT = "batch-code-1", "foreman-transcript-batch-code-1"
DEAD = "http://127.0.0.1:9/v1"


def play(folder: Path, story: Callable[[Stage], Awaitable[Any]]) -> Stage:
    """One agent; the coder of the first issue is kept waiting for its third turn."""
    played: list[Stage] = []

    async def main() -> None:
        runtime = AsyncioRuntime()

        async def whole() -> None:
            async with staged(folder, Brain(1, 2), runtime) as stage:
                await story(stage)
                played.append(stage)

        await runtime.run(whole())

    asyncio.run(main())
    return played[0]


async def working(stage: Stage, *flags: str) -> asyncio.subprocess.Process:
    """An agent in the middle of its third turn."""
    agent = await stage.agent(stage.nodes[0], *flags)
    await stage.put()
    await stage.brain.reached.wait()
    return agent


def messages(folder: Path, stage: Stage, attempt: int) -> list[str]:
    """What the model has said, as the file that is kept has it."""
    place = folder / f"work-{stage.nodes[0]}/.transcripts/default/{TASK}/attempt-{attempt}/transcript.json"
    said = json.loads(place.read_text(encoding="utf-8"))["messages"]
    return [each["content"] for each in said if each["role"] == "assistant"]


def test_told_to_end_it_lets_the_run_come_to_its_end(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        agent = await working(stage)
        agent.terminate()
        await stage.until(lambda: [each.status.phase for each in stage.fleet] == [FleetNodePhase.DRAINING])
        stage.brain.released.set()
        assert await agent.wait() == 0
        task = await stage.cluster.get("AgenticTask", TASK, "default")
        assert isinstance(task, AgenticTask)
        assert (task.status.phase, task.status.verdict) == (Phase.SUCCEEDED, "GO")
        record = await stage.cluster.get("ConfigMap", TRANSCRIPT, "default")
        assert "turn 4" in record.data["transcript.json"]  # type: ignore[attr-defined]

    stage = play(tmp_path, story)
    assert messages(tmp_path, stage, 1) == [f"turn {number}" for number in range(5)]


def test_at_the_end_of_its_grace_it_hands_the_task_back_and_keeps_the_transcript(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        agent = await working(stage, "--grace", "0")
        agent.terminate()
        assert await agent.wait() == 0
        task = await stage.cluster.get("AgenticTask", TASK, "default")
        assert isinstance(task, AgenticTask)
        assert (task.status.phase, task.status.assigned_node, task.status.strikes) == (Phase.PENDING, "", {})
        record = await stage.cluster.get("ConfigMap", TRANSCRIPT, "default")
        assert "turn 1" in record.data["transcript.json"]  # type: ignore[attr-defined]
        assert stage.remote.branches() == {}

    stage = play(tmp_path, story)
    assert messages(tmp_path, stage, 1) == ["turn 0", "turn 1"]


def test_an_endpoint_that_is_down_is_a_line_and_then_the_tasks_reason(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.endpoint.base_url = DEAD
        await stage.agent(stage.nodes[0])
        await stage.put()
        await stage.over()

    stage = play(tmp_path, story)
    said = [json.loads(line) for line in stage.log(stage.nodes[0]).splitlines()]
    warned = [each["message"] for each in said if "endpoint" in each["message"] and each["level"] == "warning"]
    assert warned[0].startswith(f"no model endpoint at {DEAD} (")
    status = stage.task(TASK).status
    assert (status.verdict, status.failure_reason) == ("INCOMPLETE", "InferenceServiceUnavailable")


def test_without_git_it_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ("agent", "--agent-mode", "native", "--workspace-dir", str(tmp_path / "work"))
    assert "there is none on the PATH: install it" in one_line(cli(*words))


def test_without_a_token_it_says_that_it_cannot_push(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    words = (
        "agent",
        "--agent-mode",
        "native",
        "--workspace-dir",
        str(tmp_path),
        "--kubeconfig",
        str(tmp_path / "none"),
    )
    done = cli(*words, "--log-format", "json")
    assert done.returncode == 2
    first, last = done.stderr.splitlines()
    assert json.loads(first)["message"].startswith("no GITHUB_TOKEN in the environment")
    assert last.startswith("foreman: ")
