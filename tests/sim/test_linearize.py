"""The linearizability checker against a brute force that tries all orders, and against histories that are legal by birth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.linearize import Operation, check
from sim.register import FREE, INITIAL, REGISTER, Call, Register


def orders(history: Sequence[Operation]) -> bool:
    """By the definition: some order of all answered operations and some of the others obeys time and specification."""
    answered = [each for each in history if each.responded is not None]
    unknown = [each for each in history if each.responded is None]
    chosen = (answered + list(some) for n in range(len(unknown) + 1) for some in combinations(unknown, n))
    return any(_legal(order) for some in chosen for order in permutations(some))


def _legal(order: Sequence[Operation]) -> bool:
    state: Any = INITIAL
    for number, each in enumerate(order):
        if any(later.responded is not None and later.responded < each.invoked for later in order[number + 1 :]):
            return False
        state = REGISTER.step(state, each.call)
        if state is None:
            return False
    return True


def assigned(attempt: int, node: str = "n") -> Register:
    return Register("assigned", attempt, node, "")


def held(attempt: int, holder: str, node: str = "n") -> Register:
    return Register("held", attempt, node, holder)


def moves(state: Register) -> list[Call]:
    """What may be done to a register in this state."""
    reading = Call("read", "u", state, state)
    free = Register(FREE, state.attempt, "", "")
    if state.phase == FREE:
        return [
            reading,
            Call("admit", "op", state, state),
            *(Call("assign", "op", state, assigned(state.attempt + 1, node)) for node in "nm"),
        ]
    if state.phase == "assigned":
        claims = [Call("claim", h, state, held(state.attempt, h, state.node)) for h in ("a", "b")]
        return [reading, *claims, Call("release", "op", state, free)]
    if state.phase == "held":
        return [
            reading,
            Call("release", "op", state, free),
            Call("report", state.holder, state, state._replace(phase="done")),
        ]
    return [reading]


@st.composite
def legal(draw: st.DrawFn) -> list[Operation]:
    """A history whose operations took effect at moments drawn first; each was invoked before and answered after, or never."""
    state, history = INITIAL, []
    for number in range(draw(st.integers(1, 6))):
        call = draw(st.sampled_from(moves(state)))
        state = call.leaves
        moment = 100 * number + 50
        invoked = moment - draw(st.integers(0, 250)) * 2 - 1
        responded = draw(st.one_of(st.none(), st.integers(0, 250)))
        history.append(Operation(invoked, None if responded is None else moment + responded * 2, call))
    return history


@st.composite
def spoilt(draw: st.DrawFn) -> list[Operation]:
    """A legal history with something changed: an order, a holder, an answer, one operation left out or done twice."""
    history = draw(legal())
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(history) - 1))
        each = history[at]
        how = draw(st.sampled_from(["move", "holder", "attempt", "twice", "drop"]))
        if how == "move":
            invoked = draw(st.integers(-200, 700)) * 2 + 1
            history[at] = Operation(invoked, invoked + draw(st.integers(0, 100)) * 2 + 1, each.call)
        elif how == "holder":
            history[at] = each._replace(call=each.call._replace(leaves=each.call.leaves._replace(holder="c")))
        elif how == "attempt":
            history[at] = each._replace(call=each.call._replace(expects=each.call.expects._replace(attempt=1)))
        elif how == "twice" and len(history) < 7:
            history.append(each)
        elif how == "drop" and len(history) > 1:
            del history[at]
    return history


@given(legal())
@settings(max_examples=300, deadline=None)
def test_what_is_legal_by_birth_is_accepted(history: list[Operation]) -> None:
    assert check(history, REGISTER) is None


@given(legal() | spoilt())
@settings(max_examples=600, deadline=None)
def test_it_judges_like_all_orders_tried(history: list[Operation]) -> None:
    violation = check(history, REGISTER)
    assert (violation is None) == orders(history)
    if violation is not None:
        assert {each.call for each in violation.window} <= {each.call for each in history}
        assert not orders(violation.window)


CLAIM_A = Call("claim", "a", assigned(1), held(1, "a"))
CLAIM_B = Call("claim", "b", assigned(1), held(1, "b"))
BEGIN = [
    Operation(0, 1, Call("admit", "op", INITIAL, INITIAL)),
    Operation(2, 3, Call("assign", "op", INITIAL, assigned(1))),
]


def test_a_double_claim_is_told_in_two_operations() -> None:
    first, second = Operation(4, 7, CLAIM_A), Operation(5, 9, CLAIM_B)
    later = Operation(20, 21, Call("read", "u", held(1, "a"), held(1, "a")))
    violation = check([*BEGIN, first, second, later], REGISTER)
    assert violation is not None
    assert violation.anyhow
    assert list(violation.window) == [first, second]


def test_two_claims_of_which_one_caller_never_heard_are_legal() -> None:
    assert check([*BEGIN, Operation(4, 7, CLAIM_A), Operation(5, None, CLAIM_B)], REGISTER) is None


def test_a_claim_of_unknown_outcome_may_take_effect_long_after() -> None:
    seen = Call("read", "u", assigned(1), assigned(1))
    then = Call("read", "u", held(1, "a"), held(1, "a"))
    history = [*BEGIN, Operation(4, None, CLAIM_A), Operation(10, 11, seen), Operation(12, 13, then)]
    assert check(history, REGISTER) is None
    violation = check([*history, Operation(14, 15, seen)], REGISTER)
    assert violation is not None


def test_a_read_that_goes_back_in_time_is_not() -> None:
    old = Call("read", "u", INITIAL, INITIAL)
    violation = check([*BEGIN, Operation(4, 5, old)], REGISTER)
    assert violation is not None
    assert [each.call.kind for each in violation.window] == ["assign", "read"]


def test_only_the_holder_of_the_attempt_reports() -> None:
    for claim in (held(1, "b"), held(2, "a")):
        report = Call("report", "a", claim._replace(holder="a"), claim._replace(phase="done"))
        assert check([*BEGIN, Operation(4, 5, CLAIM_B), Operation(6, 7, report)], REGISTER) is not None


def test_a_long_history_with_many_unknown_outcomes_is_no_burden() -> None:
    history, state, at = [], INITIAL, 0
    for number in range(400):
        choices = moves(state)
        call = choices[1 + number % (len(choices) - 1)] if len(choices) > 1 else choices[0]
        if call.leaves.phase == "done":
            call = Call("release", "op", state, Register(FREE, state.attempt, "", ""))
        history.append(Operation(at, at + 3 if number % 3 else None, call))
        history += [Operation(at, None, other) for other in choices[1:3]]
        state, at = call.leaves, at + 5
    assert check(history, REGISTER) is None
