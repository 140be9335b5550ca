"""A schedule is a tape of choices: whatever made them, the same choices are the same run, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.hunt.schedules import FewValued, Prioritised, Resumed, Swerving
from sim.load import BadScenario, check
from sim.schedule import BOOT, Drawn, Late, Listed, Recorded, Schedule, menu
from sim.world import World

LEFT_TO_CHANCE: dict[str, Any] = {
    "name": "chance",
    "until": "2m",
    "operators": {"replicas": 2},
    "fleet": {"node": {"count": 1, "twins": 2}, "other": {"slots": 2}},
    "workload": {
        "count": 3,
        "arrivals": {"poisson": "2/s"},
        "mix": {"a": {}, "b": {"executor": {"duration": {"uniform": ["1s", "9s"]}, "verdicts": {"GO": 1, "NO-GO": 1}}}},
    },
    "tasks": {"alone": {"spec": {"kind": "freeform", "payload": {}}, "namespace": "apart"}},
    "executor": {"duration": {"lognormal": {"median": "2s", "p95": "8s"}}},
}
PIPELINE: dict[str, Any] = {
    "name": "pipeline",
    "fleet": {"node": {"count": 2, "slots": 2}},
    "agents": {"coder": {"role": "coder"}},
    "workloads": {
        "fix": {"spec": {"intent": "x", "repo": "o/r", "issues": 1, "coderAgentRef": {"name": "coder"}}},
    },
    "executor": {"duration": {"uniform": ["1s", "9s"]}},
}
SCENARIO = check(LEFT_TO_CHANCE)

seeds = st.integers(0, 2**32)
places = st.integers(1, 150)
made: st.SearchStrategy[Schedule] = st.one_of(
    seeds.map(Drawn),
    seeds.map(FewValued),
    st.dictionaries(places, st.integers(0, 3), max_size=6).map(Swerving),
    st.builds(Prioritised, seeds, st.lists(places, max_size=3)),
    seeds.map(
        lambda seed: Resumed({("node-0", "boot", 1): 9_000, ("default/task-1", "work", 1): 3_000_000}, FewValued(seed))
    ),
)


def run(schedule: Schedule | None, seed: int, data: dict[str, Any] = LEFT_TO_CHANCE) -> World:
    return World(check(data), seed, schedule=schedule).run()


@given(made, seeds)
@settings(max_examples=25, deadline=None)
def test_what_was_chosen_leads_to_the_same_run(schedule: Schedule, seed: int) -> None:
    noted = Recorded(schedule)
    first = run(noted, seed)
    listed = [each.late().model_dump(mode="json", exclude_defaults=True) for each in noted.late]
    again = run(None, seed, LEFT_TO_CHANCE | {"schedule": listed})
    assert again.digest.hexdigest() == first.digest.hexdigest()
    assert again.now() == first.now()


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_the_tasks_of_a_workload_are_on_the_tape(seed: int) -> None:
    noted = Recorded(FewValued(seed))
    first = run(noted, seed, PIPELINE)
    listed = [each.late().model_dump(mode="json", exclude_defaults=True) for each in noted.late]
    assert any(each.way == "work" and each.who.startswith("default/fix-") for each in noted.made)
    assert run(None, seed, PIPELINE | {"schedule": listed}).digest.hexdigest() == first.digest.hexdigest()


@pytest.mark.parametrize("way", ["request", "reply", "event", "boot", "arrival", "work"])
def test_each_way_is_chosen_and_makes_a_difference(way: str) -> None:
    for seed in range(5):
        noted = Recorded(FewValued(seed))
        whole = run(noted, 0).digest.hexdigest()
        others = [each.late() for each in noted.late if each.way != way]
        assert run(Listed(each.late() for each in noted.late), 0).digest.hexdigest() == whole
        if run(Listed(others), 0).digest.hexdigest() != whole:
            return
    pytest.fail(f"no {way} matters")


def test_with_a_schedule_everything_boots_at_once_and_is_as_quick_as_can_be() -> None:
    noted = Recorded(Listed([]))
    run(noted, 5)
    assert not noted.late
    boots = {each.who: each.takes for each in noted.made if each.way == "boot"}
    assert boots == dict.fromkeys(["operator-0", "operator-1", "node-0", "node-0.1", "other-0"], 0)


def test_what_the_scenario_fixes_is_no_choice() -> None:
    noted = Recorded(FewValued(3))
    fixed = {"executor": {"duration": "2s"}, "workload": {"count": 3, "arrivals": {"every": "1s"}}}
    run(noted, 0, {**LEFT_TO_CHANCE, **fixed})
    assert {each.way for each in noted.made} == {"request", "reply", "event", "boot"}


def test_a_run_by_its_seed_does_not_ask_the_menu() -> None:
    noted = Recorded(Drawn(0))
    run(noted, 0)
    boots = [each.takes for each in noted.made if each.way == "boot"]
    assert not set(boots[2:]) & set(menu(BOOT))
    assert run(noted, 0).digest.hexdigest() == run(None, 0).digest.hexdigest()


@given(
    st.builds(
        Late,
        host=st.sampled_from(["node-0", "operator-0"]),
        way=st.sampled_from(["request", "reply", "event"]),
        nth=st.integers(1, 10**9),
        takes=st.integers(0, 10**12).map(lambda us: f"{us}us"),
    )
)
def test_an_entry_is_read_as_it_was_written(late: Late) -> None:
    assert Late.model_validate(late.model_dump(mode="json", exclude_defaults=True)) == late


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"host": "nod-0", "way": "boot", "takes": "9ms"}, "did you mean 'node-0'"),
        ({"host": "user", "way": "boot", "takes": "9ms"}, "the user is there from the start"),
        ({"task": "task-7", "way": "work", "takes": "9s"}, "no task 'task-7'"),
        ({"task": "apart/task-0", "way": "work", "takes": "9s"}, "no task 'apart/task-0'"),
        ({"task": "task-0", "way": "boot", "takes": "9ms"}, "way boot is of a host: expected 'host', and no 'task'"),
        ({"host": "node-0", "way": "work", "takes": "9s"}, "way work is of a task: expected 'task', and no 'host'"),
        ({"way": "request", "takes": "9s"}, "way request is of a host"),
        ({"host": "node-0", "way": "boot", "nth": 2, "takes": "9s"}, "way boot happens once: expected no 'nth', not 2"),
        ({"host": "node-0", "way": "bot", "takes": "9s"}, "schedule"),
        ({"host": "node-0", "way": "reply", "nth": 0, "takes": "9s"}, "schedule"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_in_a_line(entry: dict[str, Any], told: str) -> None:
    with pytest.raises(BadScenario) as refused:
        check(LEFT_TO_CHANCE | {"schedule": [entry]})
    (line,) = str(refused.value).splitlines()
    assert told in line


def test_an_entry_is_listed_once() -> None:
    twice = [{"task": "task-0", "way": "work", "takes": "9s"}, {"task": "default/task-0", "way": "work", "takes": "8s"}]
    with pytest.raises(BadScenario, match="listed twice"):
        check(LEFT_TO_CHANCE | {"schedule": twice})


@pytest.mark.parametrize("task", ["task-2", "default/task-2", "apart/alone"])
def test_a_task_is_named_with_its_namespace_or_without(task: str) -> None:
    check(LEFT_TO_CHANCE | {"schedule": [{"task": task, "way": "work", "takes": "9s"}]})
