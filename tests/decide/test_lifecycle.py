"""The phase table: complete, closed, and in agreement with who may write."""

from __future__ import annotations

from itertools import product

import pytest

from foreman.api import IN_FLIGHT, TERMINAL, Phase
from foreman.api.ownership import TRANSITIONS
from foreman.decide.lifecycle import TABLE, Event, IllegalTransition, after, diagram

MOVES = {(phase, target) for (phase, _), target in TABLE.items()}


@pytest.mark.parametrize(("phase", "event"), list(product([None, *Phase], Event)))
def test_every_pair_is_in_the_table_or_illegal(phase, event):
    if (phase, event) in TABLE:
        assert after(phase, event) is TABLE[phase, event]
    else:
        with pytest.raises(IllegalTransition, match=f"cannot be {event.value}"):
            after(phase, event)


@pytest.mark.parametrize("phase", sorted(TERMINAL))
def test_nothing_leads_out_of_a_terminal_phase(phase):
    assert not [event for event in Event if (phase, event) in TABLE]


def test_every_event_has_a_place():
    assert {event for _, event in TABLE} == set(Event)


def reached(moves):
    found = {None}
    while more := {target for phase, target in moves if phase in found} - found:
        found |= more
    return found


def test_every_phase_is_reached():
    assert reached(MOVES) == {None, *Phase}


@pytest.mark.parametrize("phase", [None, *Phase])
def test_an_end_can_be_reached_from_everywhere(phase):
    seen = {phase}
    while more := {target for source, target in MOVES if source in seen} - seen:
        seen |= more
    assert seen & TERMINAL


@pytest.mark.parametrize("phase", sorted(IN_FLIGHT))
def test_whatever_is_in_flight_can_be_taken_back_and_given_up(phase):
    assert after(phase, Event.EXPIRED) is after(phase, Event.HANDED_BACK) is Phase.PENDING
    assert after(phase, Event.GAVE_UP) is Phase.FAILED


def test_the_diagram_shows_every_phase_and_every_event():
    picture = diagram()
    assert picture.startswith("stateDiagram-v2\n")
    assert all(phase in picture for phase in Phase)
    assert all(event.value in picture for event in Event)
    assert all(f"{phase} --> [*]" in picture for phase in TERMINAL)


def test_the_diagram_shows_each_move_once():
    arrows = [line.partition(":")[0].strip() for line in diagram().splitlines()[1:]]
    assert len(arrows) == len(set(arrows))
    moves = {f"{phase or '[*]'} --> {target}" for phase, target in MOVES}
    assert set(arrows) == moves | {f"{phase} --> [*]" for phase in TERMINAL}


def test_every_move_has_somebody_who_may_make_it():
    assert not {move for move in MOVES if not TRANSITIONS.get(move)}


def test_nobody_may_make_a_move_the_table_does_not_have():
    assert not set(TRANSITIONS) - MOVES
