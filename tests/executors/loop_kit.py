"""A loop with a scripted model, in virtual time: what each turn is, what the tools answer, how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from foreman.executors.loop import Ending, Limits, Loop, ModelError, Request, RuntimeLeash, ToolCall, Turn, Usage
from foreman.executors.loop.listener import Listener
from foreman.executors.tools.protocol import Answer
from sim.clock import Clock
from sim.host import SECOND, Host, Process

Script = Sequence["Turn | ModelError | Callable[[Request], Turn]"]


@dataclass
class Toy:
    """A tool that answers by a function of its arguments."""

    name: str
    answer: Callable[[Mapping[str, Any]], Any] = lambda arguments: "done"
    description: str = "a toy"
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    calls: list[Mapping[str, Any]] = field(default_factory=list)

    async def call(self, arguments: Mapping[str, Any]) -> Answer:
        self.calls.append(arguments)
        said = self.answer(arguments)
        return said if isinstance(said, Answer) else Answer(str(said))


def toys(*names: str) -> dict[str, Toy]:
    return {name: Toy(name) for name in names or ("read_file", "write_file", "str_replace", "grep", "bash")}


def calls(*made: tuple[str, Any], text: str = "", prompt: int = 0, **more: Any) -> Turn:
    """A turn that calls tools: ('read_file', {'path': 'a'}) ..."""
    each = tuple(
        ToolCall(f"id{i}", name, arguments if isinstance(arguments, str) else json.dumps(arguments))
        for i, (name, arguments) in enumerate(made)
    )
    return Turn(text, calls=each, finish=more.pop("finish", "tool_calls"), usage=Usage(prompt, 5), **more)


def submit(verdict: str = "GO", summary: str = "done", **more: Any) -> Turn:
    return calls(("submit_result", {"verdict": verdict, "summary": summary, **more}))


class Scripted:
    """A model that says what it is told to; the last turn repeats. Each takes `seconds`."""

    def __init__(self, script: Script, process: Process | None = None, seconds: float = 1.0) -> None:
        self.script = list(script)
        self.process = process
        self.seconds = seconds
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Turn:
        step = self.script[min(len(self.requests), len(self.script) - 1)]
        self.requests.append(request)
        if self.process is not None:
            await self.process.sleep(self.seconds)
        if isinstance(step, Turn):
            return step
        if isinstance(step, Exception):
            raise step
        return step(request)


@dataclass
class Outcome:
    ending: Ending
    loop: Loop
    model: Scripted
    seconds: float

    @property
    def offered(self) -> list[list[str]]:
        """Names of the tools offered, request by request."""
        return [[each["function"]["name"] for each in request.tools] for request in self.model.requests]

    def said(self, role: str) -> list[str]:
        return [each["content"] for each in self.loop.conversation.messages if each["role"] == role]


def drive(main: Callable[[Process], Any], within: float = 36_000) -> Any:
    """What `main(process)` returns, in virtual time."""
    clock = Clock()
    outcome: list[Any] = []

    async def program(process: Process) -> None:
        outcome.append(await main(process))

    host = Host(clock, "box", program)
    crashes: list[Exception] = []
    host.on_crash = lambda host, task, error: crashes.append(error)
    host.boot()
    while not outcome and not crashes:
        assert clock.now < within * SECOND, f"did not end within {within}s of virtual time"
        clock.run(until=clock.now + SECOND)
    if crashes:
        raise crashes[0]
    return outcome[0]


def run(
    *script: Any,
    tools: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    cancel_after: float | None = None,
    seconds: float = 1.0,
    listener: Listener | None = None,
    check: Any = None,
    model: Callable[[Scripted, Process], Any] = lambda scripted, process: scripted,
) -> Outcome:
    """The loop on the script, to its end. `model` may wrap the scripted one."""
    limits = limits or Limits()

    async def main(process: Process) -> Outcome:
        cancelled = process.event()
        if cancel_after is not None:
            process.call_later(cancel_after, cancelled.set)
        scripted = Scripted(script, process, seconds)
        loop = Loop(
            process,
            model(scripted, process),
            toys() if tools is None else tools,
            limits,
            system="You are a coder.",
            task="Mend it.",
            listener=listener,
            check=check,
        )
        ending = await loop.run(RuntimeLeash(process, cancelled, limits.seconds))
        return Outcome(ending, loop, scripted, process.now())

    return drive(main)
