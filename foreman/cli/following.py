"""What a user hears while tasks are followed: a line for each transition, a word when the API is away, and the verdict."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import typer

from foreman.api import AgenticTask, Phase, format_time, succeeded_on_target
from foreman.cluster import Cluster, ClusterError
from foreman.decide.attempts import change
from foreman.decide.outlook import roughly
from foreman.dispatching import follow
from foreman.runtime import Runtime

OFF_TARGET = 1
TIMED_OUT = 124
INTERRUPTED = 130
_COLOURS = {Phase.SUCCEEDED: "green", Phase.FAILED: "red", Phase.PENDING: "yellow"}


class Voice:
    """Lines for people, or JSON lines for machines, on stdout; what is not about a task goes to stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.open: dict[str, None] = {}

    def created(self, task: AgenticTask) -> None:
        """The task as it is at first: just created, or found."""
        self.open[task.key] = None
        self._tell(task, task.status.phase or "created", task.status.assigned_node, "", "")

    def changed(self, old: AgenticTask, new: AgenticTask) -> None:
        news = change(old, new)
        if news is not None:
            self._tell(new, news.phase, news.node, news.reason, news.message)

    def outage(self, error: ClusterError | None) -> None:
        what = f"the API server does not answer: {error}; waiting for it" if error else "the API server is back"
        print(f"foreman: {what}", file=sys.stderr, flush=True)

    def over(self, key: str, task: AgenticTask | None) -> bool:
        """Say how it ended; whether that is on target."""
        self.open.pop(key, None)
        good = task is not None and succeeded_on_target(task.status)
        verdict = str(task.status.verdict or "") if task is not None else ""
        summary = str((task.status.result or {}).get("summary", "")) if task is not None else "deleted before it ended"
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
        for key in self.open:
            print(f"foreman: {why}: {key} goes on; to follow it: foreman dispatch --attach {key}", file=sys.stderr)

    def interrupted_or(self, work: Callable[[], int]) -> int:
        """The exit code of `work`, or that of ^C."""
        try:
            return work()
        except KeyboardInterrupt:
            self.left("interrupted")
            return INTERRUPTED

    def _tell(self, task: AgenticTask, phase: str, node: str, reason: str, message: str) -> None:
        now = format_time(int(time.time()))
        if self.as_json:
            row: dict[str, Any] = {"time": now, "task": task.key, "phase": str(phase), "node": node}
            typer.echo(json.dumps({**row, "attempt": task.status.attempt, "reason": reason, "message": message}))
        else:
            shown = typer.style(f"{phase:<9}", fg=_COLOURS.get(task.status.phase or Phase.PENDING))
            said = f"{reason}: {message}" if message else reason
            typer.echo("  ".join((now[11:19], task.key, shown, node or "-", said)).rstrip())
        sys.stdout.flush()


async def follow_all(
    cluster: Cluster, runtime: Runtime, tasks: Sequence[AgenticTask], limit: float | None, voice: Voice
) -> int:
    """Follow all to their ends, at most `limit` seconds; the exit code."""

    async def one(task: AgenticTask) -> bool:
        return voice.over(task.key, await follow(cluster, runtime, task, voice.changed, voice.outage))

    try:
        async with asyncio.timeout(limit):
            good = await asyncio.gather(*map(one, tasks))
    except TimeoutError:
        voice.left(f"not over after {roughly(limit or 0)}")
        return TIMED_OUT
    return 0 if all(good) else OFF_TARGET
