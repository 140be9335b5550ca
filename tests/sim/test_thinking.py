"""Operators that take time to decide: one task after the other, on the state they saw, until the write is sent."""

from __future__ import annotations

from itertools import pairwise

import pytest

from foreman.api import Phase
from foreman.scheduler import Scheduler
from sim.load import BadScenario, check, parse
from sim.result import result_of
from sim.schedule import Listed, Recorded
from sim.world import World

QUICK = {
    "fleet": {"node": {"count": 4, "slots": 4}},
    "workload": {"count": 4},
    "network": {"latency": "0s", "watch": "0s"},
    "operators": {"audit": False},
    "executor": {"duration": "1s"},
}


def world(decision: object = None, **operators: object) -> World:
    told = {**QUICK["operators"], **({} if decision is None else {"decision": decision}), **operators}
    return World(check({**QUICK, "operators": told}, "test"))


def assigned(run: World) -> list[int]:
    """When each task was first assigned, in milliseconds after the first."""
    moments: list[int] = []

    def committed(change) -> None:
        if change.kind != "AgenticTask" or change.new is None or change.old is None:
            return
        if change.new.status.phase is Phase.SCHEDULED is not change.old.status.phase:
            moments.append(run.now() // 1000)

    run.server.observers.append(committed)
    run.run()
    assert run.stats.phases["Succeeded"] == run.total
    assert not run.checkers.violations
    return [each - moments[0] for each in moments]


def test_one_task_is_thought_about_after_the_other() -> None:
    assert assigned(world("50ms")) == [0, 50, 100, 150]
    assert assigned(world()) == [0, 0, 0, 0]


def test_no_time_is_as_if_nothing_were_said() -> None:
    assert world("0s").run().digest.hexdigest() == world().run().digest.hexdigest()
    assert world("50ms").run().digest.hexdigest() != world().run().digest.hexdigest()


def test_what_another_writes_meanwhile_is_a_conflict() -> None:
    """Both think about the same tasks for as long: of each pair of decisions the second is refused, and nothing runs twice."""
    result = result_of(world("50ms", replicas=2).run())
    assert result["assignments_refused"] == 4
    assert result["executions"]["started"] == 4
    assert result_of(world("50ms").run())["assignments_refused"] == 0


def test_the_state_is_that_of_the_beginning_of_the_thought() -> None:
    """A task deleted while it is thought about: the write that follows finds it gone."""
    run = world("500ms")
    run.advance(1_100_000)
    key = next(key for key, task in run.server.tables["AgenticTask"].items() if task.status.phase is Phase.PENDING)
    run.server.delete("user", run.server.tables["AgenticTask"][key])
    run.run()
    assert run.stats.phases["Succeeded"] == 3
    assert run.counted["refused"] == 1


def test_a_frozen_operator_does_not_think_on() -> None:
    run = world("500ms")
    run.advance(1_100_000)
    run.hosts["operator-0"].freeze()
    run.advance(5_000_000)
    assert run.stats.attempts <= 1
    run.hosts["operator-0"].thaw()
    assert run.run().stats.phases["Succeeded"] == 4


def test_it_is_drawn_and_each_decision_is_a_choice_of_the_schedule() -> None:
    moments = assigned(world({"uniform": ["10ms", "90ms"]}))
    assert len({later - sooner for sooner, later in pairwise(moments)}) > 1
    told = {**QUICK, "operators": {"audit": False, "decision": {"choices": ["10ms", "200ms"]}}}
    late = [{"host": "operator-0", "way": "decision", "nth": 2, "takes": "90ms"}]
    run = World(check({**told, "schedule": late}, "test"))
    assert assigned(run) == [0, 90, 100, 110]
    recorded = Recorded(Listed(check({**told, "schedule": late}, "test").schedule))
    World(check(told, "test"), schedule=recorded).run()
    assert [(each.nth, each.takes) for each in recorded.made if each.way == "decision"] == [
        (1, 10_000),
        (2, 90_000),
        (3, 10_000),
        (4, 10_000),
    ]


def test_the_scheduler_of_a_mutation_thinks_as_well() -> None:
    scenario = check({**QUICK, "operators": {"decision": "50ms"}, "mutations": ["always-first-fit"]}, "test")
    run = World(scenario)
    run.advance(2_000_000)
    kind = type(run.operators["operator-0"].scheduler)
    assert issubclass(kind, Scheduler)
    assert issubclass(kind, run.product.operator.scheduler)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("operators: {decision: -1s}", "2: operators.decision: '-1s' is not a duration"),
        ("operators: {decision: {unifrom: [1s, 2s]}}", "2: operators.decision"),
        ("operators: {decission: 1s}", "did you mean 'decision'?"),
        ("schedule: [{host: operator-0, way: decision, takes: 1s}]", "a decision is of an operator"),
        (
            "operators: {decision: 1s}\nschedule: [{host: a-0, way: decision, takes: 1s}]",
            "3: schedule.0.way: a decision is of an operator",
        ),
    ],
)
def test_what_is_wrong_is_one_line(text: str, told: str) -> None:
    with pytest.raises(BadScenario) as refused:
        parse(f"fleet: {{a: {{}}}}\n{text}\nworkload: {{count: 1}}\n", "x.yaml")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
