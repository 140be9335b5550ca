"""The race hunter: it finds what is broken, says what it has covered, and what it finds can be run again byte for byte."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.hunt.case import UNTOUCHED, Case, bulk, case_of, record
from sim.hunt.plans import UNREAD
from sim.hunt.record import NotRecorded, recorded, replay, save
from sim.hunt.schedules import FewValued
from sim.hunt.search import Budget, Hunt
from sim.hunt.shrink import Shrink
from sim.hunt.smaller import smaller
from sim.hunt.strategies import STRATEGIES
from sim.load import BadScenario, check, load, parse
from sim.scenario import Scenario
from sim.schedule import Listed, Recorded, menu
from sim.testing import hunt, schedules, world
from sim.world import World

CLAIM = {"name": "claim", "fleet": {"node": {"count": 2}}, "workload": {"count": 1}, "executor": {"duration": "2s"}}
BROKEN = load("claim-race", ["mutations=[unconditional-writes]"])


def hunted(strategy: str, schedules: int = 60, jobs: int = 1, **more: object) -> Hunt:
    return Hunt(check(CLAIM | more), strategy, Budget(schedules, None), jobs).run()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy_ends_clean_and_repeats_itself(strategy: str) -> None:
    one, two = hunted(strategy), hunted(strategy)
    assert one.verdict == "ok", (one.found, one.coverage.vacuous())
    assert one.coverage.schedules == 60
    assert (one.coverage.paths, one.coverage.states) == (two.coverage.paths, two.coverage.states)


def test_several_processes_cover_what_one_does() -> None:
    one, two = hunted("portfolio", 1300), hunted("portfolio", 1300, jobs=2)
    assert one.coverage.by_strategy == two.coverage.by_strategy
    assert one.coverage.paths == two.coverage.paths


@pytest.mark.parametrize("strategy", ["random", "swarm", "portfolio"])
def test_a_safeguard_taken_out_is_found(strategy: str) -> None:
    found = Hunt(BROKEN, strategy, Budget(60, None)).run()
    assert found.verdict == "safety"
    assert found.found is not None


def test_the_bound_that_is_proved_is_told() -> None:
    found = hunted("delay-bounded", 2000)
    assert any("at most 1 messages are late" in line for line in found.strategy.covered())


def test_single_faults_are_all_run_and_what_is_pruned_is_told() -> None:
    found = hunted("single-fault", 10_000)
    (told,) = found.strategy.covered()
    planned = found.coverage.schedules
    assert found.strategy.complete
    assert told.startswith(f"{planned} of {planned} single-fault plans run")
    assert UNREAD in told
    assert set(found.coverage.fired) >= {
        "lose-request",
        "lose-reply",
        "error-after-commit",
        "crash",
        "freeze",
        "drop-event",
    }


def test_what_never_strikes_is_told() -> None:
    faults = [{"fault": "crash", "host": "node-0", "on": {"actor": "node-0", "nth": 1000}}]
    found = hunted("random", 5, faults=faults)
    assert found.verdict == "expectation"
    assert found.coverage.vacuous() == ["fault crash was planned in 5 schedules and never struck"]


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_late_messages_of_a_run_lead_there_again(seed: int) -> None:
    scenario = check(CLAIM)
    noted = Recorded(FewValued(seed))
    first = World(scenario, seed, schedule=noted).run()
    again = World(scenario, seed, schedule=Listed(each.late() for each in noted.late)).run()
    assert again.digest.hexdigest() == first.digest.hexdigest()


@given(schedules())
@settings(max_examples=25, deadline=None)
def test_no_schedule_runs_a_task_twice(schedule: object) -> None:
    found = world(CLAIM, schedule=schedule).run()  # type: ignore[arg-type]
    assert found.executions == 1
    assert not found.checkers.violations


def test_the_quickest_delay_comes_first_and_there_are_two() -> None:
    for text in ("5ms", "{uniform: [1ms, 9ms]}", "{choices: [9ms, 1ms, 1ms]}", "{exponential: 5ms}", "0s"):
        network = parse(f"fleet: {{n: {{}}}}\nworkload: {{count: 1}}\nnetwork: {{latency: {text}}}", "x.yaml").network
        delays = menu(network.latency)
        assert len(delays) >= 2
        assert list(delays) == sorted(set(delays))


TRIES = 500


@pytest.fixture(scope="module")
def found() -> Case:
    hunt = Hunt(BROKEN, "portfolio", Budget(60, None)).run()
    assert hunt.found is not None
    case = case_of(hunt.scenario, hunt.found)
    assert case is not None
    return case


@pytest.fixture(scope="module")
def case(found: Case) -> Case:
    return Shrink(found, Budget(TRIES, None)).run()


def test_a_double_claim_is_made_small(found: Case, case: Case) -> None:
    assert found.size().agents == 16
    assert found.size().choices > 100
    assert case.invariant == found.invariant == "single-execution"
    size = case.size()
    assert max(size.operators, size.agents, size.tasks) <= 2
    assert size.choices <= 4
    assert not size.faults


def test_nothing_in_a_small_case_can_go(case: Case) -> None:
    schedule = case.data["schedule"]
    assert record(case.data, None, case.invariant) is not None
    for number in range(len(schedule)):
        rest = schedule[:number] + schedule[number + 1 :]
        assert record(case.data | {"schedule": rest}, None, case.invariant) is None
    for data in smaller(case.data):
        with suppress(ValueError):
            assert record(data, None, case.invariant) is None


def test_the_same_tries_end_in_the_same_case(found: Case) -> None:
    one, two = (Shrink(found, Budget(40, None)) for _ in range(2))
    assert one.run() == two.run()
    assert one.tried == two.tried == 40


def test_what_holds_is_not_made_smaller(found: Case) -> None:
    """The product as it is: no smaller scenario breaks, so that nothing is kept but what was found."""
    sound = found._replace(data={key: value for key, value in found.data.items() if key != "mutations"})
    assert Shrink(sound, Budget(40, None)).run().size() == found.size()


def test_a_step_leaves_out_each_part_a_scenario_may_have() -> None:
    names = {field.alias or name for name, field in Scenario.model_fields.items()} - {*UNTOUCHED, "fleet"}
    data = {name: {"part": {"inner": 7}} for name in names} | {
        "fleet": {"a": {"count": 3}, "b": {}},
        "tasks": {"one": {}},
        "workload": {"count": 9, "mix": {"x": {"weight": 2}}},
        "workloads": {"w": {"spec": {"issues": [1, 2]}}},
        "operators": {"replicas": 3},
        "faults": [{"fault": "crash"}, {"fault": "freeze"}],
    }
    steps = list(smaller(data))
    for name in names:
        assert any(name not in step for step in steps), name
    assert {len(step.get("faults", ())) for step in steps} == {0, 1, 2}
    assert {step.get("operators", {}).get("replicas", 1) for step in steps} >= {1, 2, 3}
    assert {step["fleet"].get("a", {}).get("count", 0) for step in steps} >= {1, 2, 3}
    assert any(step.get("workloads", {}).get("w", {}).get("spec", {}).get("issues") == [2] for step in steps)
    assert any("x" not in step["workload"]["mix"] for step in steps if "mix" in step.get("workload", ()))


def test_every_smaller_scenario_is_smaller_and_another(case: Case, found: Case) -> None:
    for whole in (case.data, found.data):
        steps = list(smaller(whole))
        assert all(bulk(step) < bulk(whole) for step in steps)
        assert len({str(step) for step in steps}) == len(steps)


def test_a_saved_case_replays_byte_for_byte(case: Case, tmp_path: Path) -> None:
    file, test = save(recorded(case, "found"), tmp_path)
    again = replay(file)
    assert again.identical
    assert again.violates
    assert "test_it_holds" in test.read_text()
    compile(test.read_text(), str(test), "exec")


def test_a_case_of_another_version_or_changed_by_hand_says_so(case: Case, tmp_path: Path) -> None:
    file, _ = save(recorded(case, "found"), tmp_path)
    data = yaml.safe_load(file.read_text())
    data["recorded"] |= {"foreman": "0.0.1", "digest": "0" * 64}
    file.write_text(yaml.safe_dump(data))
    told = replay(file)
    assert not told.identical
    assert "recorded by Foreman 0.0.1" in told.told


@pytest.mark.parametrize(
    "text", ["", "{", "recorded: 7", "fleet: {n: {}}\nworkload: {count: 1}\nrecorded: {foreman: x}"]
)
def test_a_corrupt_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises((BadScenario, NotRecorded)):
        replay(tmp_path / "x.yaml")


def test_a_scenario_nobody_recorded_is_refused() -> None:
    with pytest.raises(NotRecorded, match="holds no record"):
        replay("claim-race")


def test_a_late_message_of_an_unknown_host_is_refused() -> None:
    late = [{"host": "nod-0", "way": "request", "nth": 1, "takes": "9ms"}]
    with pytest.raises(BadScenario, match="did you mean 'node-0'"):
        check(CLAIM | {"schedule": late})


def test_the_library_tells_what_it_found() -> None:
    with pytest.raises(AssertionError, match="Violation"):
        hunt(BROKEN, budget=40).assert_clean()
    hunt(CLAIM, budget=20).assert_clean()
