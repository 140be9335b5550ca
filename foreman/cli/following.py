"""What a user hears while tasks are followed: a line for each transition, a word when the API is away, and the verdict."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import typer

from foreman.api import AgenticTask, Phase, Workload, WorkloadPhase, condition, format_time, succeeded_on_target
from foreman.cluster import Cluster, ClusterError
from foreman.decide.attempts import change
from foreman.decide.outlook import roughly
from foreman.dispatching import follow
from foreman.runtime import Runtime

OFF_TARGET = 1
TIMED_OUT = 124
INTERRUPTED = 130
_COLOURS = {"Succeeded": "green", "Completed": "green", "Failed": "red", "Pending": "yellow"}


class Voice:
    """Lines for people, or JSON lines for machines, on stdout; what is not about a task goes to stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.open: dict[str, str] = {}

    def created(self, task: AgenticTask | Workload) -> None:
        """The task or Workload as it is at first: just created, or found."""
        following = "dispatch --attach" if isinstance(task, AgenticTask) else "explain workload"
        self.open[task.key] = f"foreman {following} {task.key}"
        node = task.status.assigned_node if isinstance(task, AgenticTask) else ""
        self._tell(task, task.status.phase or "created", node, "", "")

    def changed(self, old: AgenticTask | Workload, new: AgenticTask | Workload) -> None:
        if isinstance(new, Workload):
            if (said := _standing(new)) != _standing(old):  # type: ignore[arg-type]
                self._tell(new, said[0], "", said[1], said[2])
            return
        assert isinstance(old, AgenticTask)
        news = change(old, new)
        if news is not None:
            self._tell(new, news.phase, news.node, news.reason, news.message)

    def outage(self, error: ClusterError | None) -> None:
        what = f"the API server does not answer: {error}; waiting for it" if error else "the API server is back"
        print(f"foreman: {what}", file=sys.stderr, flush=True)

    def over(self, key: str, task: AgenticTask | Workload | None) -> bool:
        """Say how it ended; whether that is on target."""
        self.open.pop(key, None)
        good, verdict, summary = _ending(task)
        if self.as_json:
            typer.echo(
                json.dumps({"task": key, "ended": True, "verdict": verdict, "on_target": good, "summary": summary})
            )
            return good
        word = typer.style(verdict or "gone", fg="green" if good else "red")
        typer.echo(f"{key}: {word}" + (f": {summary}" if summary else ""))
        return good

    def left(self, why: str) -> None:
        """The tasks go on, but nobody follows them any more."""
        for key, command in self.open.items():
            print(f"foreman: {why}: {key} goes on; to follow it: {command}", file=sys.stderr)

    def interrupted_or(self, work: Callable[[], int]) -> int:
        """The exit code of `work`, or that of ^C."""
        try:
            return work()
        except KeyboardInterrupt:
            self.left("interrupted")
            return INTERRUPTED

    def _tell(self, task: AgenticTask | Workload, phase: str, node: str, reason: str, message: str) -> None:
        now = format_time(int(time.time()))
        if self.as_json:
            row: dict[str, Any] = {"time": now, "task": task.key, "phase": str(phase), "node": node}
            attempt = {"attempt": task.status.attempt} if isinstance(task, AgenticTask) else {}
            typer.echo(json.dumps({**row, **attempt, "reason": reason, "message": message}))
        else:
            shown = typer.style(f"{phase:<9}", fg=_COLOURS.get(str(task.status.phase or Phase.PENDING)))
            said = f"{reason}: {message}" if message else reason
            typer.echo("  ".join((now[11:19], task.key, shown, node or "-", said)).rstrip())
        sys.stdout.flush()


def _standing(workload: Workload) -> tuple[str, str, str]:
    """Phase, reason and sentence: what it says of its children, or of its plan."""
    status = workload.status
    ended = status.phase in (WorkloadPhase.COMPLETED, WorkloadPhase.FAILED)
    told = condition(status.conditions, "Completed") if ended else condition(status.conditions, "Dispatched")
    told = told or condition(status.conditions, "Planned")
    return str(status.phase or "created"), told.reason if told else "", told.message if told else ""


def _ending(order: AgenticTask | Workload | None) -> tuple[bool, str, str]:
    """Whether it ended on target, its verdict, and a sentence."""
    if order is None:
        return False, "", "deleted before it ended"
    if isinstance(order, Workload):
        phase, _, message = _standing(order)
        return phase == WorkloadPhase.COMPLETED, phase, message
    status = order.status
    summary = str((status.result or {}).get("summary", ""))
    return succeeded_on_target(status), str(status.verdict or ""), summary


async def follow_all(
    cluster: Cluster, runtime: Runtime, tasks: Sequence[AgenticTask | Workload], limit: float | None, voice: Voice
) -> int:
    """Follow all to their ends, at most `limit` seconds; the exit code."""

    async def one(task: AgenticTask | Workload) -> bool:
        return voice.over(task.key, await follow(cluster, runtime, task, voice.changed, voice.outage))

    try:
        async with asyncio.timeout(limit):
            good = await asyncio.gather(*map(one, tasks))
    except TimeoutError:
        voice.left(f"not over after {roughly(limit or 0)}")
        return TIMED_OUT
    return 0 if all(good) else OFF_TARGET
