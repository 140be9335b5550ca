"""Context: what of the conversation is shown, by both strategies."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from foreman.api import ContextStrategy
from foreman.executors.loop import Limits, ToolCall, Turn
from foreman.executors.loop.compaction import drop_point, elided, size, tokens
from foreman.executors.loop.conversation import Conversation

CALL = ToolCall("c", "read_file", "{}")
TURN = Turn(calls=(CALL,))
HEAD = 2


def conversation(turns, strategy=ContextStrategy.WINDOW, length=1000, **limits):
    made = Conversation(Limits(strategy=strategy, **limits), "system", "task")
    for number in range(1, turns + 1):
        add(made, number, length)
    return made


def add(made, number, length=1000):
    made.said(number, TURN, (CALL,), False)
    made.answered(CALL, f"{number:04}" + "x" * length)


def answers(view):
    return [m["content"] for m in view if m["role"] == "tool"]


def test_the_window_shows_the_last_three_turns_in_full():
    view = conversation(6).view()
    assert [len(each) > 500 for each in answers(view)] == [False] * 3 + [True] * 3
    assert answers(view)[0] == "[read_file: an earlier answer of 1004 bytes, no longer shown]"


def test_within_the_window_nothing_is_changed():
    made = conversation(3)
    assert made.view() == made.messages


def test_the_width_of_the_window_is_the_agents():
    assert sum(len(each) > 500 for each in answers(conversation(9, observed_turns=5).view())) == 5


def test_bytes_are_counted_not_characters():
    assert "of 2000 bytes" in elided({"role": "tool", "name": "x", "content": "é" * 1000})["content"]


def test_an_answer_shorter_than_its_header_is_left_alone():
    assert answers(conversation(6, length=2).view())[0] == "0001xx"


def test_the_whole_is_kept_for_the_transcript():
    made = conversation(9)
    made.view()
    assert all(len(each) == 1004 for each in answers(made.messages))


def test_a_session_under_its_budget_is_sent_as_it_is():
    made = conversation(20, ContextStrategy.SESSION)
    assert made.view() == made.messages


def test_a_session_over_its_budget_drops_the_oldest_turns_well_below_it():
    made = conversation(40, ContextStrategy.SESSION, context_tokens=5000)
    view = made.view()
    assert made.tokens() <= 3000
    assert view[0] == made.messages[0]
    assert view[1]["content"].startswith("task\n\n[")
    assert view[2]["role"] == "assistant"
    assert view[-1] == made.messages[-1]


def test_the_drop_point_stays_for_many_turns():
    """The prompt's beginning may change only when something is dropped; else the server's cache of it is lost (#1287)."""
    made = conversation(1, ContextStrategy.SESSION, context_tokens=5000)
    heads = []
    for number in range(2, 60):
        add(made, number)
        view = made.view()
        heads.append((view[1]["content"], view[2]["content"], answers(view)[0]))
        assert tokens(sum(map(size, view))) <= 5000 + 40
    changes = sum(1 for one, two in pairwise(heads) if one != two)
    assert 1 <= changes <= len(heads) / 5


def test_a_turn_too_large_for_the_budget_is_kept_when_it_is_the_last():
    made = conversation(3, ContextStrategy.SESSION, context_tokens=100)
    view = made.view()
    assert len(view) == HEAD + 2
    assert answers(view)[0].startswith("0003")


def test_two_words_in_a_row_become_one_message():
    made = conversation(1)
    made.told("one")
    made.told("two")
    assert made.view()[-1] == {"role": "user", "content": "one\n\ntwo"}
    assert made.messages[1]["content"] == "task"


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=60), st.integers(100, 20_000), st.integers(0, 30))
def test_dropping_never_splits_a_turn_nor_goes_back(lengths, budget, before):
    sizes = [50, 50, *(each for length in lengths for each in (20, length))]
    starts = list(range(2, len(sizes), 2))
    earlier = starts[min(before, len(starts) - 1)] if before else 0
    place = drop_point(sizes, starts, earlier, budget)
    assert place == 0 or place in starts
    assert place >= earlier
    left = tokens(100 + sum(sizes[max(place, 2) :]))
    assert left <= budget or place in (starts[-1], 0 if len(starts) == 1 else starts[-1])
    # Once it has moved, it stays where it is as long as nothing is added.
    assert drop_point(sizes, starts, place, budget) == place
