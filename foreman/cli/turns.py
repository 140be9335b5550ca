"""A run as one sees it on a terminal: each turn, what it called, what came of it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TextIO

from rich.console import Console
from rich.text import Text

from foreman.api import Agent, AgenticTask, Result
from foreman.executors.loop import Listener, ToolCall, Transient, Turn
from foreman.executors.tools.protocol import Answer

SHOWN = 200
GOOD, BAD, DIM = "green", "red", "dim"
STYLES = {"GO": GOOD, "GATE-PASS": GOOD}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Whoever was listening has gone, or the disk is full: the work goes on unheard, and so does the end of the process."""
        self.quiet = True
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class Turns(Listener):
    def __init__(self, sink: TextIO) -> None:
        self.console = _Console(file=sink, highlight=False, soft_wrap=True)

    def _line(self, *parts: tuple[str, str]) -> None:
        if not self.console.quiet:
            try:
                self.console.print(Text.assemble(*((printable(text), style) for text, style in parts)))
            except OSError:
                self.console.on_broken_pipe()

    def begins(self, task: AgenticTask, agent: Agent) -> None:
        self._line((f"{task.key}", "bold"), (f"  {task.spec.kind} by {agent.metadata.name} ({agent.spec.role})", DIM))

    def replied(self, turn: int, what: Turn, seconds: float) -> None:
        tokens = f", {what.usage.prompt}+{what.usage.completion} tokens" if what.usage.prompt else ""
        self._line((f"turn {turn}", "bold"), (f"  {seconds:.1f}s{tokens}", DIM))
        if what.reasoning:
            self._line(("  thinks  ", DIM), (brief(what.reasoning), DIM))
        if what.text.strip():
            self._line(("  says    ", DIM), (brief(what.text), ""))

    def answered(self, turn: int, call: ToolCall, answer: Answer, seconds: float) -> None:
        self._line(("  calls   ", DIM), (call.name, "cyan"), (f" {brief(call.arguments)}", ""))
        self._line(("  gets    ", DIM), (brief(answer.text), BAD if answer.failed else DIM))

    def checking(self, turn: int) -> None:
        self._line(("  checks  the work that was submitted, as the gate would", DIM))

    def told(self, turn: int, text: str) -> None:
        self._line(("  told    ", DIM), (brief(text), "yellow"))

    def retried(self, number: int, why: Transient, pause: float) -> None:
        self._line(("  retry   ", DIM), (f"{number} in {pause:.2g}s: {brief(str(why))}", "yellow"))

    def ends(self, result: Result) -> None:
        reason = f" ({result.failure_reason})" if result.failure_reason else ""
        self._line(
            (result.verdict, f"bold {STYLES.get(result.verdict, BAD)}"),
            (f"{reason}  {' '.join(result.summary.split())}", ""),
        )
        for name, label in (("branch", "branch"), ("commitSHA", "commit"), ("transcriptRef", "transcript")):
            if name in result.extra:
                self._line((f"  {label:<12}", DIM), (str(result.extra[name]), ""))
        if "turnCount" in result.extra and "transcriptRef" not in result.extra:
            self._line((f"  {'transcript':<12}", DIM), ("could not be stored: no space, or no permission", BAD))


def brief(text: str) -> str:
    """One line of it."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def printable(text: str) -> str:
    """Without what would steer a terminal: the text is a model's."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
