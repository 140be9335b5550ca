"""When a failing run became inevitable: the share of branches that fail rises to 1, by an event that is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_kit import cli, one_line
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sim.hunt.case import record
from sim.hunt.cause import NotFailing, Search, cause, wilson
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


def test_several_processes_tell_the_same_as_one(failing: Scenario) -> None:
    assert cause(failing, BRANCHES) == cause(failing, BRANCHES, jobs=2)


def test_few_moments_are_enough_and_the_one_found_is_looked_at_harder(failing: Scenario) -> None:
    seen: list[tuple[int, int]] = []
    found = cause(failing, BRANCHES, progress=lambda search: seen.append((len(search.counts), search.least)))
    assert len(found.moments) <= seen[-1][1] + 3 < found.moments[-1].messages
    assert found.inevitable is not None
    assert found.inevitable.branches == 4 * BRANCHES
    assert found.inevitable.interval[0] > 0.9


class Interrupted:
    """^C after so many moments."""

    def __init__(self, moments: int) -> None:
        self.moments = moments

    def __call__(self, search: Search) -> None:
        if len(search.counts) == self.moments:
            raise KeyboardInterrupt


@pytest.mark.parametrize("moments", [1, 2, 10])
def test_an_interrupted_search_tells_what_it_knows(failing: Scenario, moments: int) -> None:
    found = cause(failing, BRANCHES, progress=Interrupted(moments))
    assert found.interrupted
    assert len(found.moments) == moments
    whole = {each.messages: each for each in cause(failing, BRANCHES).moments}
    assert all(each.fails <= whole[each.messages].fails for each in found.moments)


def test_the_command_ends_at_an_interrupt_with_what_is_known(failing: Scenario, tmp_path: Path, monkeypatch) -> None:
    from foreman.cli import app

    file, _ = save(failing, tmp_path)
    share = Search.share
    monkeypatch.setattr(Search, "share", lambda self, *more: (share(self, *more), Interrupted(5)(self))[0])
    done = CliRunner().invoke(app, ["sim", "cause", str(file), "--branches", "3", "--jobs", "1", "--json"])
    assert done.exit_code == 130
    told = json.loads(done.stdout)
    assert told["interrupted"]
    assert len(told["moments"]) == 5


@given(st.integers(1, 500), st.data())
def test_an_interval_holds_the_share_and_narrows_with_more_branches(branches: int, data: st.DataObject) -> None:
    fails = data.draw(st.integers(0, branches))
    low, high = wilson(fails, branches)
    assert 0 <= low <= fails / branches <= high <= 1
    assert wilson(4 * fails, 4 * branches)[1] - wilson(4 * fails, 4 * branches)[0] < high - low


@pytest.mark.parametrize(
    ("fails", "branches", "low", "high"),
    [(0, 40, 0.0, 0.0876), (40, 40, 0.9124, 1.0), (20, 40, 0.3520, 0.6480), (1, 10, 0.0179, 0.4042)],
)
def test_the_interval_is_the_one_of_the_tables(fails: int, branches: int, low: float, high: float) -> None:
    assert wilson(fails, branches) == pytest.approx((low, high), abs=5e-5)


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
