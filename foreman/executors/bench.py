"""What the loop itself costs: `python -m foreman.executors.bench [--turns 100] [--rounds 5] [--json]`.

Our time per turn, the endpoint excluded: preparing the request, serialising it as the client does, taking in the turn, the
tool's answer, progress, transcript. Measured at the end of a conversation of so many turns, by both context strategies, and in
one run, as a multiple of what encoding the same request to JSON once costs: that much any client has to pay.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from foreman.api import ContextStrategy, StuckLoopDetection
from foreman.executors.endpoint.leash import AsyncioLeash
from foreman.executors.loop import Limits, Listener, Loop, Request, ToolCall, Turn, Usage
from foreman.executors.loop.transcript import entries
from foreman.executors.tools.protocol import Answer
from foreman.kube.runtime import AsyncioRuntime

TARGET_MS = 5.0
ANSWER = "def f(x):\n    return x + 1  # as it was\n" * 100
MEASURED = 10


@dataclass(frozen=True)
class Figure:
    """Milliseconds of a turn of ours (median over the last turns of all rounds) and of one JSON encoding of its request."""

    strategy: str
    turns: int
    messages: int
    request_kib: float
    turn_ms: float
    encoding_ms: float

    @property
    def ok(self) -> bool:
        return self.turn_ms < TARGET_MS


class Reader:
    name = "read_file"
    description = "Read a file."
    parameters: Mapping[str, Any] = {"type": "object", "properties": {"path": {"type": "string"}}}

    async def call(self, arguments: Mapping[str, Any]) -> Answer:
        return Answer(ANSWER)


class Stopwatch(Listener):
    """A model without any thinking time: what passes between two of its turns is ours. It encodes each request once, as the
    client would, and that belongs to it."""

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.number = 0
        self.left = 0.0
        self.ours: list[float] = []
        self.encodings: list[float] = []
        self.request = b""
        self.messages = 0
        self.loop: Loop | None = None
        self.noted = 0

    async def complete(self, request: Request) -> Turn:
        came = time.perf_counter()
        if self.left:
            self.ours.append(came - self.left)
        self.request = json.dumps({"messages": request.messages, "tools": request.tools}).encode()
        self.messages = len(request.messages)
        self.encodings.append(time.perf_counter() - came)
        self.number += 1
        name, arguments = "read_file", {"path": f"src/module_{self.number}.py"}
        if self.number > self.turns:
            name, arguments = "submit_result", {"verdict": "GO", "summary": "done"}
        call = ToolCall(f"call_{self.number}", name, json.dumps(arguments))
        self.left = time.perf_counter()
        return Turn("I look at it.", "Because of this and that. " * 20, (call,), "tool_calls", Usage(1000, 50))

    def turned(self, turn: int) -> None:
        """What the journal of the transcript takes, file system excluded."""
        if self.loop is not None:
            fresh: Sequence[Mapping[str, Any]] = entries(self.loop.conversation, self.noted)
            self.noted += len(fresh)
            "".join(f"{json.dumps(each)}\n" for each in fresh)


async def conversation(turns: int, strategy: ContextStrategy) -> Stopwatch:
    """One run of so many turns."""
    watch = Stopwatch(turns)
    runtime = AsyncioRuntime()
    limits = Limits(max_turns=turns + 10, strategy=strategy, context_tokens=1_000_000, stuck=StuckLoopDetection())
    loop = Loop(runtime, watch, {"read_file": Reader()}, limits, system="s" * 4000, task="t" * 2000, listener=watch)
    watch.loop = loop
    await loop.run(AsyncioLeash(runtime.event(), 3600))
    return watch


def measure(turns: int, rounds: int, strategy: ContextStrategy) -> Figure:
    watches = [asyncio.run(conversation(turns, strategy)) for _ in range(rounds)]
    ours = [seconds for watch in watches for seconds in watch.ours[-MEASURED:]]
    encodings = [seconds for watch in watches for seconds in watch.encodings[-MEASURED:]]
    last = watches[-1]
    return Figure(
        strategy.value,
        turns,
        last.messages,
        round(len(last.request) / 1024, 1),
        # What we do, and what the client does with it.
        round(1000 * (median(ours) + median(encodings)), 3),
        round(1000 * median(encodings), 3),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m foreman.executors.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=100, help="length of the conversation (default: 100)")
    parser.add_argument("--rounds", type=int, default=5, help="how often it is held (default: 5)")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    said = parser.parse_args()
    if said.turns < 1 or said.rounds < 1:
        print("bench: --turns and --rounds must be at least 1", file=sys.stderr)
        return 2
    figures = [measure(said.turns, said.rounds, strategy) for strategy in ContextStrategy]
    if said.json:
        print(json.dumps([asdict(each) | {"ok": each.ok} for each in figures], indent=2))
    else:
        show(figures)
    return 0


def show(figures: Sequence[Figure]) -> None:
    for each in figures:
        times = each.turn_ms / each.encoding_ms
        print(
            f"{each.strategy:<8} {each.turns} turns, {each.messages} messages, {each.request_kib} KiB: "
            f"{each.turn_ms} ms a turn ({times:.1f} encodings of the request), "
            f"{'under' if each.ok else 'OVER'} {TARGET_MS:g} ms"
        )


if __name__ == "__main__":
    sys.exit(main())
