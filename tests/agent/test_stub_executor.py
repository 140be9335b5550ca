"""The stub executor: sleeps, says GO, stops when told."""

from __future__ import annotations

import pytest
from agent_kit import Site
from support import new_task

from foreman.executors import Cancelled, Execution, StubExecutor
from foreman.executors.stub import go_duration


def execute(seconds=None, cancel_after=None, **spec):
    """What the stub comes to, and how many seconds it took."""
    site = Site()

    async def main(_, process):
        stub = StubExecutor(process) if seconds is None else StubExecutor(process, seconds)
        cancelled = process.event()
        if cancel_after is not None:
            process.call_later(cancel_after, cancelled.set)
        try:
            result = await stub.execute(Execution(new_task("t", **spec), 1, cancelled))
        except Cancelled as error:
            result = error
        return result, process.now()

    return site.call(main)


def test_the_stub_takes_ten_seconds_and_says_go():
    result, took = execute(modelRef="qwen3", payload={"agent": "coder"})
    assert took == 10
    assert (result.kind, result.verdict, result.schema_version, result.elapsed_sec) == ("stub", "GO", "foreman.v1", 10)
    assert result.summary == "stub executor slept 10s on task default/t"
    assert result.extra == {"taskKind": "freeform", "agentName": "coder", "modelRef": "qwen3"}


@pytest.mark.parametrize(("seconds", "took"), [(1.5, 1.5), (0, 10), (-3, 10)])
def test_a_duration_that_is_not_positive_means_the_default(seconds, took):
    assert execute(seconds)[1] == took


def test_the_stub_stops_at_once_when_cancelled():
    outcome, took = execute(cancel_after=3)
    assert isinstance(outcome, Cancelled)
    assert "after 3.000s" in str(outcome)
    assert took == 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(10, "10s"), (1.5, "1.5s"), (0.25, "250ms"), (90, "1m30s"), (0, "0s"), (3600, "1h0m0s"), (0.0004, "0s")],
)
def test_durations_read_as_the_original_prints_them(seconds, text):
    assert go_duration(seconds) == text
