"""When a failing run became inevitable: the share of branches that fail rises to 1, by an event that is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_kit import cli, one_line

from sim.hunt.case import record
from sim.hunt.cause import NotFailing, cause
from sim.hunt.record import recorded, save
from sim.hunt.schedules import FewValued
from sim.load import check, load
from sim.scenario import Scenario

BRANCHES = 12
SMALL = {
    "name": "two-operators",
    "operators": {"replicas": 2},
    "fleet": {"gpu": {"count": 2}},
    "workload": {"count": 1},
    "network": {"latency": {"choices": ["1ms", "9ms"]}, "watch": {"choices": ["1ms", "80ms"]}},
    "until": "2m",
}


def counterexample() -> Scenario:
    data = check(SMALL | {"mutations": ["unconditional-writes"]}).model_dump(mode="json", exclude_defaults=True)
    found = (record(data | {"expect": {}}, FewValued(number), "legal-transition") for number in range(200))
    case = next(each for each in found if each is not None)
    return recorded(case, "two-operators-legal-transition")


@pytest.fixture(scope="module")
def failing() -> Scenario:
    return counterexample()


def test_the_share_of_failing_branches_rises_to_one(failing: Scenario) -> None:
    found = cause(failing, BRANCHES)
    shares = [each.share for each in found.moments]
    assert found.violation.invariant == "legal-transition"
    assert shares[-1] == 1
    assert shares[0] < 1
    before, after = found.rise
    assert after.messages == before.messages + 1
    assert after.share > before.share


def test_from_the_inevitable_moment_on_no_branch_gets_away(failing: Scenario) -> None:
    found = cause(failing, BRANCHES)
    sure = found.inevitable
    assert sure is not None
    assert sure.at <= found.violation.at
    assert all(each.share == 1 for each in found.moments if each.messages >= sure.messages)
    before = next(each for each in found.moments if each.messages == sure.messages - 1)
    assert before.share < 1
    assert ": " in sure.event


def test_two_calls_tell_the_same(failing: Scenario) -> None:
    assert cause(failing, BRANCHES) == cause(failing, BRANCHES)


def test_a_run_that_does_not_fail_has_no_cause(failing: Scenario) -> None:
    mended = failing.model_copy(update={"mutations": ()})
    with pytest.raises(NotFailing, match="not violated any more"):
        cause(mended, BRANCHES)
    with pytest.raises(NotFailing, match="breaks no invariant"):
        cause(mended.model_copy(update={"recorded": None}), BRANCHES)


def test_a_fault_that_dooms_the_run_is_named() -> None:
    found = cause(load("zoo/llmkube-542-restart-orphan"), BRANCHES)
    assert found.moments[0].share < 1
    assert found.inevitable is not None
    assert found.inevitable.event.startswith("fault strikes: crash")


def test_the_command_tells_it_and_refuses_a_run_that_does_not_fail(failing: Scenario, tmp_path: Path) -> None:
    file, _ = save(failing, tmp_path)
    done = cli("sim", "cause", str(file), "--branches", "4", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["violation"]["invariant"] == "legal-transition"
    assert told["moments"][-1]["share"] == 1
    assert "cause " in cli("sim", "cause", str(file), "--branches", "2").stdout
    assert "not violated any more" in one_line(cli("sim", "cause", str(file), "--set", "mutations=[]"))
