"""Turns out of chunks: the oddities of servers, and that how a stream is cut up does not matter."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreman.executors.endpoint.assembly import ANSWER_MAX, Draft, checked, whole
from foreman.executors.endpoint.faults import retry_after
from foreman.executors.loop import ToolCall, Transient, Turn
from foreman.executors.loop.patience import pause


def turn_of(*deltas, finish="stop"):
    draft = Draft()
    for delta in deltas:
        draft.take({"choices": [{"index": 0, "delta": delta}]})
    draft.take({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return draft.turn()


def part(index=0, identity=None, name=None, arguments=None):
    return {"tool_calls": [{"index": index, "id": identity, "function": {"name": name, "arguments": arguments}}]}


def test_a_name_that_comes_with_every_chunk_is_one_name():
    turn = turn_of(part(0, "a", "grep", '{"x"'), part(0, "a", "grep", ":1}"))
    assert turn.calls == (ToolCall("a", "grep", '{"x":1}'),)


def test_a_new_id_under_the_same_index_is_another_call():
    turn = turn_of(part(0, "a", "grep", "{}"), part(0, "b", "bash", '{"y'), part(0, None, None, '":1}'))
    assert turn.calls == (ToolCall("a", "grep", "{}"), ToolCall("b", "bash", '{"y":1}'))


def test_interleaved_calls_are_told_apart_by_index():
    turn = turn_of(
        part(0, "a", "grep", "{"), part(1, "b", "bash", "["), part(0, None, None, "}"), part(1, None, None, "]")
    )
    assert [each.arguments for each in turn.calls] == ["{}", "[]"]


def test_arguments_may_be_an_object():
    message = {"content": None, "tool_calls": [{"function": {"name": "grep", "arguments": {"x": 1}}}]}
    assert whole({"choices": [{"message": message}]}).calls == (ToolCall("", "grep", '{"x": 1}'),)


def test_other_choices_are_ignored():
    draft = Draft()
    draft.take({"choices": [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "yes"}}]})
    assert draft.turn().text == "yes"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_has_several_names(name):
    assert turn_of({name: "hm"}).reasoning == "hm"


def test_an_answer_without_end_is_ended():
    draft = Draft()
    most = {"choices": [{"delta": {"content": "x" * ANSWER_MAX}}]}
    draft.take(most)
    with pytest.raises(Transient, match="does not end"):
        draft.take(most)


@pytest.mark.parametrize(
    ("arguments", "broken"), [("", False), ("{}", False), ("[]", False), ("{", True), ("[" * 9**6, True)]
)
def test_broken_arguments_are_noticed(arguments, broken):
    turn = Turn(calls=(ToolCall("a", "grep", arguments),), finish="tool_calls")
    if not broken:
        assert checked(turn) is turn
        return
    with pytest.raises(Transient) as raised:
        checked(turn)
    assert raised.value.turn is turn


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4), st.text(max_size=60), st.data())
def test_how_a_stream_is_cut_up_does_not_matter(arguments, text, data):
    whole_arguments = json.dumps(arguments)
    deltas, rest = [part(0, "a", "grep", "")], whole_arguments
    while rest:
        n = data.draw(st.integers(1, len(rest)))
        deltas.append(part(0, None, None, rest[:n]))
        rest = rest[n:]
    turn = turn_of({"content": text}, *deltas)
    assert (turn.text, turn.calls[0].arguments) == (text, whole_arguments)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        ("1.5", 1.5),
        ("-3", 0),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 60),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after({"retry-after": value}, now=0) == seconds


@pytest.mark.parametrize(
    ("failures", "retries", "asked", "seconds"),
    [(1, 3, None, 0.05), (2, 3, None, 0.25), (3, 3, None, 1.0), (4, 3, None, None), (9, 20, None, 1.0), (1, 0, None, None),
     (1, 3, 5.0, 5.5), (3, 3, 5.0, 7.0), (20, 20, 5.0, 35.0), (1, 3, 120.0, 120.5), (1, 3, 121.0, None)],
)  # fmt: skip
def test_the_pause_before_a_retry(failures, retries, asked, seconds):
    assert pause(failures, retries, asked, lambda below: below // 2) == seconds


@given(st.integers(0, 1000), st.integers(1, 20), st.floats(0.1, 120.0))
def test_never_sooner_than_was_asked_and_not_much_later(drawn, failures, asked):
    assert asked <= pause(failures, 20, asked, lambda below: drawn) <= max(asked + min(2 ** (failures - 1), 60), 1.2)


def test_who_was_told_the_same_does_not_come_back_at_the_same_moment():
    back = sorted(pause(4, 5, 10.0, lambda below, drawn=drawn: drawn) for drawn in range(1001))
    assert (back[0], back[-1]) == (10.0, 18.0)
    assert len(set(back)) == 1001


@given(st.integers(0, 1000), st.integers(1, 20))
def test_jitter_is_a_fifth_each_way(drawn, failures):
    middle = pause(failures, 20, None, lambda below: below // 2)
    assert 0.8 * middle - 1e-9 <= pause(failures, 20, None, lambda below: drawn) <= 1.2 * middle + 1e-9
