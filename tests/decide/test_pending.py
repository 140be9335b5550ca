"""What becomes of a Pending task: the table of next_step."""

from __future__ import annotations

import pytest
from support import new_task

from foreman.api import FailureReason, Phase, Verdict, condition
from foreman.decide.pending import ABSENT_SECONDS, Eligible, Wait, Write, blocked, fail, next_step

NOW = 1_800_000_000
RESOLVED = {"extra": {"outcome": "ALREADY-RESOLVED"}}


def pending(name, *depends_on, **spec):
    made = new_task(name, dependsOn=list(depends_on), **spec)
    return made.evolve(status=made.status.evolve(phase=Phase.PENDING))


def ended(name, phase=Phase.SUCCEEDED, verdict=Verdict.GO, result=None, *depends_on):
    made = pending(name, *depends_on)
    return made.evolve(status=made.status.evolve(phase=phase, verdict=verdict, result=result))


def step(task, *others, depended_on=True, wall=NOW):
    known = {other.metadata.name: other for other in (task, *others)}
    return next_step(task, known.get, depended_on, wall)


def failed(outcome):
    assert isinstance(outcome, Write)
    changes = outcome.changes
    assert (changes["phase"], changes["verdict"], changes["finished_at"]) == (Phase.FAILED, Verdict.INCOMPLETE, NOW)
    return condition(changes["conditions"], "Failed")


def test_without_dependencies_it_is_eligible():
    assert step(pending("t")) == Eligible()


@pytest.mark.parametrize("verdict", [Verdict.GO, Verdict.GATE_PASS])
def test_all_on_target_is_eligible(verdict):
    assert step(pending("t", "a", "b"), ended("a", verdict=verdict), ended("b")) == Eligible()


@pytest.mark.parametrize("verdict", [Verdict.NO_GO, Verdict.INCOMPLETE, Verdict.GATE_FAIL, Verdict.GATE_ERROR])
def test_succeeded_off_target_cascades(verdict):
    told = failed(step(pending("t", "a"), ended("a", verdict=verdict)))
    assert told.reason == "UpstreamFailed"
    assert told.message == f'dependency "a" ended with verdict={verdict} (not on-target); cascade-failing'


def test_the_first_failed_dependency_wins_the_message():
    one, two = ended("a", Phase.FAILED, Verdict.INCOMPLETE), ended("b", Phase.FAILED, Verdict.INCOMPLETE)
    told = failed(step(pending("t", "x", "b", "a"), one, two, pending("x")))
    assert told.message == 'dependency "b" failed; cascade-failing'


@pytest.mark.parametrize("phase", [None, Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.VERIFYING])
def test_an_unfinished_dependency_is_waited_for(phase):
    unfinished = ended("b", phase, None)
    assert step(pending("t", "a", "b"), ended("a"), unfinished) == Wait('waiting for dependency "b"')


def test_many_unfinished_dependencies_are_not_all_named():
    names = [f"d{number}" for number in range(5)]
    waits = step(pending("t", *names), *map(pending, names))
    assert waits.message == 'waiting for dependencies "d0", "d1", "d2" and 2 more'


@pytest.mark.parametrize(
    "upstream",
    [ended("a", verdict=Verdict.NO_GO, result=RESOLVED), ended("a", verdict=Verdict.SKIPPED)],
    ids=["resolved", "skipped"],
)
def test_what_is_already_resolved_upstream_skips_at_any_depth(upstream):
    outcome = step(pending("t", "f", "a"), upstream, ended("f", Phase.FAILED, Verdict.INCOMPLETE))
    assert (outcome.changes["phase"], outcome.changes["verdict"]) == (Phase.SUCCEEDED, Verdict.SKIPPED)
    told = condition(outcome.changes["conditions"], "Skipped")
    assert (told.status, told.reason) == ("True", "UpstreamAlreadyResolved")
    assert condition(outcome.changes["conditions"], "Failed") is None


@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        {"extra": None},
        {"extra": "x"},
        {"extra": {"outcome": "NO-CHANGES"}},
        {"extra": {"modelExtra": RESOLVED["extra"]}},
    ],
    ids=str,
)
def test_only_the_top_level_outcome_counts_as_resolved(result):
    assert failed(step(pending("t", "a"), ended("a", verdict=Verdict.NO_GO, result=result))).reason == "UpstreamFailed"


def test_go_with_that_outcome_is_no_skip():
    assert step(pending("t", "a"), ended("a", verdict=Verdict.GO, result=RESOLVED)) == Eligible()


# cycles


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [
        ({"t": ["t"]}, "t -> t"),
        ({"t": ["a"], "a": ["t"]}, "t -> a -> t"),
        ({"t": ["x", "a"], "x": [], "a": ["b"], "b": ["c"], "c": ["t"]}, "t -> a -> b -> c -> t"),
    ],
)
def test_a_cycle_is_named(edges, cycle):
    tasks = [pending(name, *names) for name, names in edges.items()]
    told = failed(step(*tasks))
    assert (told.reason, told.message) == ("DependencyCycle", f"dependency cycle: {cycle}")


def test_a_cycle_further_up_is_not_ours():
    assert step(pending("t", "a"), pending("a", "b"), pending("b", "a")) == Wait('waiting for dependency "a"')


def test_a_diamond_is_no_cycle():
    assert isinstance(step(pending("t", "a", "b"), pending("a", "z"), pending("b", "z"), pending("z")), Wait)


def test_a_task_nobody_depends_on_is_not_searched_for_cycles():
    asked = []
    task = pending("t", "a")
    next_step(task, lambda name: asked.append(name) or pending(name, "b"), False, NOW)
    assert asked == ["a"]


def test_a_cycle_of_a_thousand_is_found():
    ring = [pending(f"t{number}", f"t{(number + 1) % 1000}") for number in range(1000)]
    assert failed(step(*ring)).reason == "DependencyCycle"


# absence


def absent_since(task, since):
    changes = step(task, wall=since).changes
    assert set(changes) == {"conditions"}
    return task.evolve(status=task.status.evolve(**changes))


def test_a_missing_dependency_is_said_first():
    waiting = absent_since(pending("t", "ghost"), NOW)
    told = condition(waiting.status.conditions, "DepWaitStarted")
    assert (told.status, told.reason, told.last_transition_time) == ("True", "DependencyAbsent", NOW)
    assert told.message == 'waiting for dependency "ghost", which does not exist'


@pytest.mark.parametrize(("timeout", "bound"), [(0, ABSENT_SECONDS), (120, 120)])
def test_a_missing_dependency_is_given_up_after_its_bound(timeout, bound):
    waiting = absent_since(pending("t", "ghost", timeoutSeconds=timeout), NOW - bound)
    early = step(waiting, wall=NOW - 1)
    assert early.seconds == 1
    told = failed(step(waiting))
    assert told.reason == "DependencyAbsent"
    assert told.message.endswith(f"gave up after {bound}s")


def test_a_missing_dependency_that_appears_is_waited_for_as_any_other():
    waiting = absent_since(pending("t", "ghost"), NOW - 7200)
    assert step(waiting, pending("ghost")) == Wait('waiting for dependency "ghost"')
    assert step(waiting, ended("ghost")) == Eligible()


# what is written


def test_blocked_says_a_thing_once():
    task = pending("t")
    changes = blocked(task, "NodesBusy", "busy", NOW)
    told = task.evolve(status=task.status.evolve(**changes))
    assert blocked(told, "NodesBusy", "busy", NOW + 60) is None
    again = condition(blocked(told, "NodesNotReady", "x", NOW + 60)["conditions"], "Scheduled")
    assert (again.status, again.reason, again.last_transition_time) == ("False", "NodesNotReady", NOW)


def test_a_task_without_its_agent_says_so_in_its_failure_reason():
    assert fail(pending("t"), "AgentNotFound", "x", NOW).changes["failure_reason"] is FailureReason.AGENT_NOT_FOUND
    assert "failure_reason" not in fail(pending("t"), "DependencyCycle", "x", NOW).changes
