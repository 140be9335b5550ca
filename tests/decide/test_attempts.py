"""Attempts from the states a task went through; from a run, they are what the run counted."""

from __future__ import annotations

import itertools

import pytest
from support import new_task

from foreman.api import Phase
from foreman.decide import claims, custody
from foreman.decide.attempts import Seen, attempts_of, change, last_attempt, pending_since, since
from foreman.decide.claims import Outcome
from sim.load import load
from sim.replay import look


def history(*steps):
    """The states after each step; a step is a function (task, wall) -> changes of the status."""
    task = new_task("t")
    states = [Seen(0, "user", task)]
    for number, step in enumerate(steps, 1):
        changes = dict(step(task, number * 10))
        changes.pop("strikes", None)
        task = task.evolve(status=task.status.evolve(**changes))
        states.append(Seen(number * 10, "x", task))
    return states


def observed(task, wall):
    return {"phase": Phase.PENDING}


def assigned(node):
    return lambda task, wall: custody.assign(task, node, wall)


def claimed(node):
    return lambda task, wall: claims.claim(task, node, f"{node}/1", wall)


def expired(task, wall):
    return custody.expire(task, "no heartbeat", wall).changes


def failed(task, wall):
    return claims.report(task, Outcome(error="boom"), wall)


def test_each_assignment_is_an_attempt_with_its_holder_and_end():
    states = history(observed, assigned("a"), claimed("a"), expired, assigned("b"), claimed("b"), failed)
    one, two = attempts_of(states)
    assert (one.number, one.node, one.holder, one.assigned, one.claimed, one.ended) == (1, "a", "a/1", 20, 30, 40)
    assert one.how == 'ClaimExpired: released from node "a": no heartbeat'
    assert (two.node, two.holder, two.ended, two.how) == ("b", "b/1", 70, "ExecutorError: boom")


def test_an_attempt_that_goes_on_has_no_end_yet():
    (attempt,) = attempts_of(history(observed, assigned("a"), claimed("a")))
    assert (attempt.ended, attempt.how) == (None, "")


def test_without_a_history_the_task_tells_of_its_last_attempt():
    task = history(observed, assigned("a"), claimed("a"), failed)[-1].task
    (attempt,) = last_attempt(task)
    assert (attempt.node, attempt.holder, attempt.claimed, attempt.ended) == ("a", "a/1", 30, 40)
    assert attempt.how == "ExecutorError: boom"
    assert last_attempt(new_task("t")) == ()


@pytest.mark.parametrize("length", range(1, 8))
def test_since_when_is_the_last_change_of_phase(length):
    states = history(observed, assigned("a"), claimed("a"), expired, assigned("b"), claimed("b"), failed)[:length]
    assert since(states[-1].task, states) == states[-1].at


def test_a_task_that_came_back_pending_does_not_count_from_its_creation():
    states = history(observed, assigned("a"), claimed("a"), expired)
    assert pending_since(states[1].task) is None or states[1].task.status.attempt == 0
    assert pending_since(states[-1].task) is None, "the API does not tell: no guess"


def test_changes_worth_telling():
    states = history(observed, assigned("a"), claimed("a"), expired)
    told = [change(old.task, new.task) for old, new in itertools.pairwise(states)]
    assert [(each.phase, each.node, each.reason) for each in told] == [
        ("Pending", "", ""),
        ("Scheduled", "a", "FleetNodeAssigned"),
        ("Running", "a", "Claimed"),
        ("Pending", "a", "ClaimExpired"),
    ]
    same = states[-1].task
    assert change(same, same) is None


@pytest.mark.parametrize(("scenario", "task"), [("three-strikes", "long"), ("zombie-agent", "task-0")])
def test_the_history_of_a_run_has_every_attempt_once(scenario, task):
    seen = look(load(scenario), f"default/{task}", None)
    found = attempts_of(seen.history)
    assert [each.number for each in found] == list(range(1, seen.history[-1].task.status.attempt + 1))
    assert all(each.assigned <= each.claimed <= each.ended for each in found)
    assert sum(each.how.startswith("ClaimExp") for each in found) == (3 if scenario == "three-strikes" else 1)
