"""The endpoint against a server that behaves badly: what each misbehaviour becomes, streamed and not, and that nothing hangs.

Backoffs pass in the time of a runtime that only counts them."""

from __future__ import annotations

import asyncio
import time

import pytest
from scripted_endpoint import (
    KEY,
    PARSER_ERROR,
    Hangup,
    InStream,
    Raw,
    Say,
    Silence,
    SlowHeaders,
    Status,
    call,
    error,
    serving,
)

from foreman.api import FailureReason
from foreman.executors.endpoint import Address, Endpoint, Habits
from foreman.executors.loop import (
    ModelError,
    NoTools,
    Overflow,
    Patient,
    Refused,
    Request,
    Transient,
    Turn,
    Unauthorized,
)
from foreman.kube.runtime import AsyncioRuntime

LIMIT = 20
"""Seconds of wall time after which a test has hung; none of them takes one."""
TOOLS = [{"type": "function", "function": {"name": "read_file", "description": "", "parameters": {"type": "object"}}}]
REQUEST = Request(({"role": "user", "content": "hello"},), TOOLS, 512, 0.2)
GOOD = Say("fine", [call("read_file", {"path": "a", "lines": [1, 2]})])
BROKEN_CALL = Say(calls=[call("read_file", '{"path": "a')])
PROMPT = 0.3
both = pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "whole"])


class Counting(AsyncioRuntime):
    """Sleeps without time passing, and remembers how long it should have been."""

    def __init__(self):
        super().__init__()
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(round(seconds, 6))
        await asyncio.sleep(0)


class Answered:
    def __init__(self, turn, failure, server, slept):
        self.turn, self.failure, self.server, self.slept = turn, failure, server, slept

    @property
    def requests(self):
        return len(self.server.asked)


def ask(
    *script, streaming=True, retries=0, times=1, key="", want="", turn_seconds=10.0, base_url=None, request=REQUEST
):
    """The last of `times` turns, or the error it ended with."""

    async def main():
        async with serving(*script, key=want) as server:
            address = Address(base_url or server.base_url, "m", key, "secret models/key" if key else "")
            endpoint = Endpoint(address, Habits(streaming, turn_seconds, usage_seconds=0.05))
            runtime = Counting()
            model = Patient(endpoint, runtime, retries, draw=lambda below: below // 2)
            turn = failure = None
            try:
                for _ in range(times):
                    turn = await model.complete(request)
            except ModelError as problem:
                failure = problem
            finally:
                await endpoint.close()
            return Answered(turn, failure, server, runtime.slept)

    async def bounded():
        async with asyncio.timeout(LIMIT):
            return await main()

    return asyncio.run(bounded())


@both
def test_a_good_answer(streaming):
    done = ask(
        Say("fine", [call("read_file", {"path": "ä"}), call("grep", {})], reasoning="since"), streaming=streaming
    )
    turn = done.turn
    assert (turn.text, turn.reasoning, turn.finish) == ("fine", "since", "tool_calls")
    assert [(each.id, each.name) for each in turn.calls] == [("c0", "read_file"), ("c1", "grep")]
    assert turn.calls[0].arguments == '{"path": "\\u00e4"}'
    assert turn.usage == (100, 10)


@both
def test_what_is_asked(streaming):
    [asked] = ask(GOOD, streaming=streaming).server.asked
    assert (asked["model"], asked["max_tokens"], asked["temperature"], asked["tools"]) == ("m", 512, 0.2, TOOLS)
    assert asked["stream"] is streaming
    assert ("stream_options" in asked) is streaming


@both
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (error(500, PARSER_ERROR), FailureReason.MODEL_MISUNDERSTOOD),
        (error(500, "Failed to parse tool call arguments as JSON"), FailureReason.MODEL_MISUNDERSTOOD),
        (InStream(PARSER_ERROR), FailureReason.MODEL_MISUNDERSTOOD),
        (Say("fine", cut=2), FailureReason.INFERENCE_SERVICE_UNAVAILABLE),
        (Say("fine", break_off=2), FailureReason.INFERENCE_SERVICE_UNAVAILABLE),
        (error(503, "loading model"), FailureReason.INFERENCE_SERVICE_UNAVAILABLE),
        (error(502, "bad gateway"), FailureReason.INFERENCE_SERVICE_UNAVAILABLE),
        (error(429, "slow down"), FailureReason.INFERENCE_SERVICE_UNAVAILABLE),
        (Hangup(), FailureReason.INFERENCE_SERVICE_UNAVAILABLE),
        (Raw(b'{"choices": []}', "application/json"), FailureReason.INFERENCE_SERVICE_UNAVAILABLE),
        (Raw(b'{"choices": [', "application/json"), FailureReason.INFERENCE_SERVICE_UNAVAILABLE),
        (Raw(b"data: {nonsense\n\n", "text/event-stream"), FailureReason.INFERENCE_SERVICE_UNAVAILABLE),
    ],
    ids=lambda value: "" if isinstance(value, FailureReason) else f"{type(value).__name__}",
)
def test_a_transient_is_tried_again_and_again_and_then_given_up(trouble, reason, streaming):
    done = ask(trouble, trouble, GOOD, streaming=streaming, retries=3)
    assert (done.turn.text, done.turn.retries, done.requests) == ("fine", 2, 3)
    assert done.slept == [0.05, 0.25]

    done = ask(trouble, streaming=streaming, retries=3)
    assert isinstance(done.failure, Transient)
    assert (done.failure.reason, done.failure.retries, done.requests) == (reason, 3, 4)
    assert done.slept == [0.05, 0.25, 1.0]


@both
@pytest.mark.parametrize("trouble", [SlowHeaders(), Silence()], ids=["headers", "silence"])
def test_a_server_that_says_nothing_is_not_waited_for(trouble, streaming):
    began = time.monotonic()
    done = ask(trouble, GOOD, streaming=streaming, retries=1, turn_seconds=PROMPT)
    assert done.turn.text == "fine"
    assert time.monotonic() - began < LIMIT / 2
    failure = ask(trouble, streaming=streaming, turn_seconds=PROMPT).failure
    assert isinstance(failure, Transient)
    assert "no answer within 0.3s" in str(failure)


@both
def test_arguments_that_stay_broken_come_back_as_the_turn_they_are(streaming):
    done = ask(BROKEN_CALL, GOOD, streaming=streaming, retries=3)
    assert (done.turn.text, done.turn.retries) == ("fine", 1)
    done = ask(BROKEN_CALL, streaming=streaming, retries=2)
    assert done.turn.calls[0].arguments == '{"path": "a'
    assert (done.turn.retries, done.requests) == (2, 3)


@both
def test_an_answer_cut_off_by_the_output_limit_is_not_tried_again(streaming):
    done = ask(Say(calls=[call("read_file", '{"path": "a')], finish="length"), streaming=streaming, retries=3)
    assert (done.requests, done.turn.truncated) == (1, True)


@both
@pytest.mark.parametrize(
    ("say", "turn"),
    [
        (Say(), Turn()),
        (Say(reasoning="hm"), Turn(reasoning="hm")),
        (Say(calls=[call("read_file", "")]), None),
    ],
    ids=["empty", "reasoning-only", "no-arguments"],
)
def test_odd_but_good_answers_are_no_errors(say, turn, streaming):
    done = ask(say, streaming=streaming, retries=3)
    assert done.requests == 1
    if turn is not None:
        assert (done.turn.text, done.turn.reasoning, done.turn.calls) == (turn.text, turn.reasoning, ())


@both
@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (error(500, "internal error"), Refused),
        (error(404, "model 'm' not found"), Refused),
        (error(400, "messages: field required"), Refused),
        (error(400, "hermes does not support tools"), NoTools),
        (error(500, "tools param requires --jinja flag"), NoTools),
        (error(400, '"auto" tool choice requires --enable-auto-tool-choice'), NoTools),
        (error(400, "the request exceeds the available context size"), Overflow),
        (error(400, "This model's maximum context length is 8192 tokens"), Overflow),
        (Status(413, "<html>Request Entity Too Large</html>"), Overflow),
        (error(429, "You exceeded your current quota"), Refused),
        (Raw(b"<html>hello</html>", "text/html"), Refused),
        (Status(418, "I am a teapot"), Refused),
    ],
)
def test_what_is_not_transient_is_not_tried_again(refusal, kind, streaming):
    done = ask(refusal, GOOD, streaming=streaming, retries=3)
    assert type(done.failure) is kind
    assert (done.requests, done.failure.retries) == (1, 0)
    assert "\n" not in str(done.failure)


@both
@pytest.mark.parametrize(("header", "slept"), [("7", 7.5), ("0", 0.05), ("nonsense", 0.05)])
def test_a_retry_after_is_heeded(header, slept, streaming):
    done = ask(error(429, "slow down", Retry_After=header), GOOD, streaming=streaming, retries=3)
    assert done.turn.text == "fine"
    assert done.slept == [slept]


@both
def test_a_retry_after_beyond_reason_is_given_up(streaming):
    done = ask(error(429, "come back tomorrow", Retry_After="86400"), streaming=streaming, retries=3)
    assert isinstance(done.failure, Transient)
    assert done.slept == []


@both
@pytest.mark.parametrize("given", [KEY, ""])
def test_a_refused_key_names_the_secret_and_never_shows_it(given, streaming):
    done = ask(GOOD, streaming=streaming, retries=3, key=given, want="another")
    assert isinstance(done.failure, Unauthorized)
    assert done.failure.reason is FailureReason.AUTH_UNAVAILABLE
    assert len(done.server.authorizations) == 1
    said = str(done.failure)
    assert ("secret models/key" if given else "apiKeySecretRef") in said
    assert "401" in said
    assert KEY not in said


@both
def test_the_right_key_is_sent_and_in_no_repr(streaming):
    assert ask(GOOD, streaming=streaming, key=KEY, want=KEY).turn.text == "fine"
    assert KEY not in repr(Address("http://x", "m", KEY))


@both
def test_a_key_that_a_server_quotes_is_taken_out(streaming):
    said = str(ask(error(500, f"the upstream refused {KEY}"), streaming=streaming, key=KEY).failure)
    assert KEY not in said
    assert "[key]" in said


def test_an_endpoint_that_is_down_says_so():
    done = ask(GOOD, base_url="http://127.0.0.1:9/v1", retries=2)
    assert isinstance(done.failure, Transient)
    assert "http://127.0.0.1:9/v1: cannot be reached" in str(done.failure)
    assert done.failure.retries == 2


def test_a_stream_that_stays_open_after_the_end_is_left():
    assert ask(Say("fine", hold=True)).turn.text == "fine"


def test_a_stream_without_done_or_usage_is_complete_with_its_finish_reason():
    turn = ask(Say("fine", done=False, usage=None)).turn
    assert (turn.text, turn.usage) == ("fine", (0, 0))


def test_a_server_that_does_not_stream_when_asked_to_is_understood():
    assert ask(Say("fine", ignore_stream=True)).turn.text == "fine"


@both
@pytest.mark.parametrize(
    ("said", "gone", "instead"),
    [
        ("temperature is not supported with this model", "temperature", None),
        ("Use 'max_completion_tokens' instead of max_tokens", "max_tokens", "max_completion_tokens"),
    ],
)
def test_a_parameter_the_server_refuses_is_left_out_from_then_on(said, gone, instead, streaming):
    done = ask(error(400, said), GOOD, streaming=streaming, times=2)
    assert done.turn.text == "fine"
    assert [gone in asked for asked in done.server.asked] == [True, False, False]
    assert instead is None or done.server.asked[-1][instead] == 512


def test_a_refusal_is_tried_once_without_the_parameter_not_for_ever():
    done = ask(error(400, "temperature is out of the question"))
    assert isinstance(done.failure, Refused)
    assert done.requests == 2


@both
def test_a_cancellation_ends_a_request_at_once(streaming):
    async def main():
        async with serving(SlowHeaders()) as server:
            endpoint = Endpoint(Address(server.base_url, "m"), Habits(streaming))
            asking = asyncio.ensure_future(endpoint.complete(REQUEST))
            while not server.asked:
                await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await endpoint.close()

    asyncio.run(asyncio.wait_for(main(), LIMIT))
