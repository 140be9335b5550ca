"""Against a real server, when there is one: FOREMAN_TEST_OPENAI_BASE_URL=http://localhost:8080/v1 (and _MODEL, _KEY).

What a small model makes of the task is its own affair. Whatever it is, it must end, in a verdict, within its budget, with a
transcript; an answer in plain text must come, streamed and not."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from foreman.executors.endpoint import Address, AsyncioLeash, Endpoint, Habits
from foreman.executors.loop import End, Limits, Loop, Patient, Request, judge
from foreman.executors.loop.transcript import document, entries
from foreman.executors.tools.protocol import Answer
from foreman.kube.runtime import AsyncioRuntime

BASE_URL = os.environ.get("FOREMAN_TEST_OPENAI_BASE_URL", "")
pytestmark = pytest.mark.skipif(not BASE_URL, reason="FOREMAN_TEST_OPENAI_BASE_URL names no server")
SECONDS = 120


class Lookup:
    name = "lookup"
    description = "Look up the capital of a country."
    parameters = {
        "type": "object",
        "properties": {"country": {"type": "string"}},
        "required": ["country"],
    }

    async def call(self, arguments):
        return Answer("Paris")


def endpoint(streaming):
    model = os.environ.get("FOREMAN_TEST_OPENAI_MODEL", "default")
    return Endpoint(Address(BASE_URL, model, os.environ.get("FOREMAN_TEST_OPENAI_KEY", "")), Habits(streaming, 60))


@pytest.mark.parametrize("streaming", [True, False])
def test_it_answers(streaming):
    async def main():
        client = endpoint(streaming)
        turn = await client.complete(Request(({"role": "user", "content": "Say hello."},), (), 16, 0.0))
        await client.close()
        return turn

    turn = asyncio.run(main())
    assert turn.text or turn.reasoning


@pytest.mark.parametrize("streaming", [True, False])
def test_a_run_ends_in_a_verdict(streaming):
    async def main():
        runtime = AsyncioRuntime()
        client = endpoint(streaming)
        limits = Limits(max_turns=6, seconds=SECONDS, turn_seconds=60, max_output_tokens=128)
        model = Patient(client, runtime, 2, lambda below: below // 2)
        task = (
            "What is the capital of France? Use lookup, then submit_result with verdict GO and the answer as summary."
        )
        loop = Loop(runtime, model, {"lookup": Lookup()}, limits, system="You use tools.", task=task)
        ending = await loop.run(AsyncioLeash(runtime.event(), SECONDS))
        await client.close()
        return ending, loop

    ending, loop = asyncio.run(asyncio.wait_for(main(), SECONDS * 2))
    assert ending.end is not End.STOPPED
    assert judge(ending).verdict in ("GO", "NO-GO", "INCOMPLETE")
    assert len(json.loads(document(entries(loop.conversation)))["messages"]) == len(loop.conversation.messages)
