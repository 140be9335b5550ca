"""Custody: assignment, strikes, their decay and limit, deadlines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import new_task

from foreman.api import ANNOTATION_CLAIM_EXPIRIES, FailureReason, Phase, Verdict, condition
from foreman.api.patch import merge
from foreman.decide import custody
from foreman.decide.custody import FORGIVE_SECONDS, STRIKE_LIMIT

NOW = 1_800_000_000


def held(phase=Phase.RUNNING, node="a", strikes=None, lived=0, noted=None, **spec):
    """A task in flight on `node`, claimed `lived` seconds ago."""
    made = new_task("t", **spec)
    claimed = NOW - lived if phase is not Phase.SCHEDULED else None
    status = made.status.evolve(
        phase=phase,
        assigned_node=node,
        attempt=1,
        holder="a/1",
        claimed_at=claimed,
        started_at=claimed,
        strikes=strikes or {},
    )
    annotations = {} if noted is None else {ANNOTATION_CLAIM_EXPIRIES: noted}
    return made.evolve(metadata=made.metadata.evolve(annotations=annotations), status=status)


def struck(task):
    """The strikes after an expiry, as the API server merges them."""
    return dict(merge(task.status, custody.expire(task, "x", NOW).changes).strikes)


def test_assignment_raises_the_attempt_and_says_where():
    task = new_task("t")
    task = task.evolve(status=task.status.evolve(phase=Phase.PENDING, attempt=4, retry_after=NOW))
    changes = custody.assign(task, "gpu-1", NOW)
    assert (changes["phase"], changes["assigned_node"], changes["attempt"]) == (Phase.SCHEDULED, "gpu-1", 5)
    assert changes["retry_after"] is None
    told = condition(changes["conditions"], "Scheduled")
    assert (told.status, told.reason, told.message) == ("True", "FleetNodeAssigned", 'scheduled to FleetNode "gpu-1"')


@pytest.mark.parametrize("phase", [Phase.SCHEDULED, Phase.RUNNING, Phase.VERIFYING])
def test_an_expiry_clears_the_claim_and_counts_against_the_node(phase):
    step = custody.expire(held(phase), "last heartbeat never", NOW)
    status = merge(held(phase).status, step.changes)
    assert (status.phase, status.assigned_node, status.holder) == (Phase.PENDING, "", "")
    assert (status.claimed_at, status.started_at, status.attempt) == (None, None, 1)
    assert status.strikes == {"a": 1}
    told = condition(status.conditions, "ClaimExpired")
    assert told.message == 'released from node "a": last heartbeat never'


@pytest.mark.parametrize(
    ("strikes", "lived", "noted", "after"),
    [
        (None, 0, None, {"a": 1}),
        ({"a": 1}, 0, "1", {"a": 2}),
        ({"b": 1}, 0, "1", {"a": 1, "b": 1}),
        ({"b": 1}, FORGIVE_SECONDS - 1, "1", {"a": 1, "b": 1}),
        ({"b": 1}, FORGIVE_SECONDS, "1", {"a": 1}),
        ({"a": 1, "b": 1}, FORGIVE_SECONDS, "2", {"a": 2}),
        ({"a": 2}, 9 * FORGIVE_SECONDS, "2", {"a": 1}),
        (None, 0, "1", {"a": 2}),
        (None, 0, "nonsense", {"a": 1}),
        (None, 0, "-5", {"a": 1}),
    ],
)
def test_strikes_count_and_decay(strikes, lived, noted, after):
    assert struck(held(strikes=strikes, lived=lived, noted=noted)) == after


@pytest.mark.parametrize(
    ("strikes", "noted"), [({"a": 2}, None), ({"a": 1, "b": 1}, "2"), (None, "2"), (None, "7"), ({"b": 2}, "0")]
)
def test_the_third_strike_ends_the_task(strikes, noted):
    task = held(strikes=strikes, noted=noted)
    step = custody.expire(task, "gone", NOW)
    assert step.reason == "ClaimExpiryLimitReached"
    assert (step.changes["phase"], step.changes["verdict"]) == (Phase.FAILED, Verdict.INCOMPLETE)
    assert step.changes["failure_reason"] is FailureReason.INFRASTRUCTURE_ERROR
    told = condition(step.changes["conditions"], "Failed")
    assert told.message == f'claim expired {custody.strikes(task) + 1} times, last on node "a": gone'
    assert "strikes" not in step.changes


def test_progress_saves_a_task_from_the_limit():
    assert custody.expire(held(strikes={"a": 2}, lived=FORGIVE_SECONDS), "x", NOW).reason == "ClaimExpired"


@given(
    strikes=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 2), max_size=3),
    lived=st.integers(0, 5 * FORGIVE_SECONDS),
    node=st.sampled_from("abcd"),
)
def test_an_expiry_adds_one_to_what_still_stands(strikes, lived, node):
    task = held(node=node, strikes=strikes, lived=lived)
    standing = custody.standing_strikes(task, NOW)
    assert standing == max(sum(strikes.values()) - lived // FORGIVE_SECONDS, 0)
    if standing + 1 >= STRIKE_LIMIT:
        assert custody.expire(task, "x", NOW).changes["phase"] is Phase.FAILED
    else:
        after = struck(task)
        assert sum(after.values()) == standing + 1
        assert after[node] >= 1
        assert min(after.values()) > 0


def test_a_clock_that_runs_backwards_forgives_nothing():
    assert custody.standing_strikes(held(strikes={"a": 2}, lived=-7200), NOW) == 2


@pytest.mark.parametrize(
    ("phase", "timeout", "seconds", "past"),
    [
        (Phase.RUNNING, 100, 160, False),
        (Phase.RUNNING, 100, 160.5, True),
        (Phase.VERIFYING, 100, 161, True),
        (Phase.SCHEDULED, 100, 9999, False),
        (Phase.RUNNING, 0, 2760, False),
        (Phase.RUNNING, 0, 2761, True),
    ],
)
def test_the_deadline_leaves_the_agent_a_minute_to_act_first(phase, timeout, seconds, past):
    assert custody.past_deadline(held(phase, timeoutSeconds=timeout), seconds) is past


@pytest.mark.parametrize(
    ("phase", "seconds", "late"),
    [(Phase.SCHEDULED, 90, False), (Phase.SCHEDULED, 91, True), (Phase.RUNNING, 9999, False)],
)
def test_an_assignment_must_be_claimed_in_ninety_seconds(phase, seconds, late):
    assert custody.unclaimed_too_long(held(phase), seconds) is late


def test_a_deadline_that_has_passed_is_a_timeout():
    step = custody.time_out(held(timeoutSeconds=100), NOW)
    assert (step.reason, step.changes["failure_reason"]) == ("DeadlineExceeded", FailureReason.TIMEOUT)
    told = condition(step.changes["conditions"], "Failed")
    assert told.message == 'ran longer than 100s on node "a"'


@pytest.mark.parametrize(
    ("known", "beat", "detail"),
    [
        (False, None, "FleetNode not found"),
        (True, None, "no heartbeat recorded"),
        (True, 0, "last heartbeat 1970-01-01T00:00:00Z"),
    ],
)
def test_silence_in_the_originals_words(known, beat, detail):
    assert custody.silence_detail(known, beat) == detail


def test_a_task_taken_back_from_a_node_that_leaves_is_not_struck() -> None:
    task = held(Phase.SCHEDULED, strikes={"b": 1})
    step = custody.leave(task, NOW)
    left = merge(task.status, step.changes)
    told = condition(left.conditions, "Scheduled")
    assert (left.phase, left.assigned_node, left.strikes, left.attempt) == (Phase.PENDING, "", {"b": 1}, 1)
    assert (told.status, told.reason) == ("False", "NodeDraining")
    assert "which is draining" in told.message
