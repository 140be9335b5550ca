"""The smallest fleet that meets what is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_kit import cli, one_line
from hypothesis import given
from hypothesis import strategies as st

from sim.sweep.cell import Cell, Row
from sim.sweep.plan import Plan, Unknown
from sim.sweep.slo import BadSlo, asked, slo


class Oracle:
    """Workers whose runs wait `work / nodes` seconds."""

    def __init__(self, work: float) -> None:
        self.work = work

    def run(self, cells: Any) -> Any:
        for nodes, seed in cells:
            yield None, row(self.work / nodes, seed)


def row(wait: float, seed: int = 0) -> Row:
    return {"seed": seed, "verdict": "ok", "wait_seconds.p95": wait, "tasks.unended": 0}


def planned(work: float, least: int = 1, most: int = 1000) -> tuple[Any, Plan]:
    def cells(count: int) -> list[Cell]:
        return [(count, seed) for seed in range(2)]  # type: ignore[misc]

    plan = Plan(cells, asked(["wait p95 <= 10s"]), least, most)
    return plan.run(Oracle(work)), plan  # type: ignore[arg-type]


@given(st.integers(1, 5000), st.integers(1, 20))
def test_it_is_the_smallest(work: int, least: int) -> None:
    found, plan = planned(work, least)
    needed = max(least, -(-work // 10))
    assert found is not None
    assert found.nodes == needed
    if needed > least:
        assert not plan.sizes[needed - 1].met, "the next smaller size was run, and fails"
    assert len(plan.sizes) <= 2 * needed.bit_length() + 2


def test_where_no_fleet_will_do_it_says_so() -> None:
    found, plan = planned(10_000, most=100)
    assert found is None
    assert not plan.sizes[100].met


def test_the_whole_interval_must_meet_it() -> None:
    from sim.sweep.plan import judge

    assert judge(1, [row(9.9, 0), row(9.9, 1)], [slo("wait p95 < 10s")]).met
    assert not judge(1, [row(1, 0), row(9.9, 1)], [slo("wait p95 < 10s")]).met
    assert not judge(1, [row(1, 0), row(1, 1), {"seed": 2, "verdict": "safety"}], [slo("wait p95 < 10s")]).met
    with pytest.raises(Unknown, match=r"no column tasks\.sleeping"):
        judge(1, [row(1)], [slo("tasks.sleeping < 1")])


def test_every_task_must_end_unless_it_is_said_otherwise() -> None:
    assert [each.metric for each in asked(["wait < 1s"])] == ["wait_seconds.mean", "tasks.unended"]
    assert [each.value for each in asked(["unended <= 2"])] == [2]


@pytest.mark.parametrize(
    ("text", "metric", "sign", "value"),
    [
        ("wait p95 < 10m", "wait_seconds.p95", "<", 600),
        ("wait<=1h30m", "wait_seconds.mean", "<=", 5400),
        ("failed == 0", "tasks.failed", "==", 0),
        ("utilisation > 60%", "utilisation", ">", 0.6),
        ("tasks.succeeded >= 5", "tasks.succeeded", ">=", 5),
    ],
)
def test_slos_are_read(text: str, metric: str, sign: str, value: float) -> None:
    assert slo(text)[1:] == (metric, sign, value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fast", "expected METRIC"),
        ("wait p12 < 10m", "'p12' is none of"),
        ("failed p95 < 1", "only wait has statistics"),
        ("speed > 3", "'speed' is none of"),
        ("wait p95 < soon", "a duration such as 10m"),
        ("failed < many", "expected a number"),
    ],
)
def test_what_is_wrong_with_one_is_said(text: str, why: str) -> None:
    with pytest.raises(BadSlo, match=why):
        slo(text)


SMALL = """
name: small
fleet: {gpu: {count: 1}, cpu: {count: 1}}
workload: {count: 20, mix: {train: {requires: {accelerator: cuda}}}}
executor: {duration: 10s}
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL.replace("gpu: {count: 1}", "gpu: {count: 1, accelerator: cuda}"))
    return str(path)


def test_the_command_finds_it(small: str) -> None:
    done = cli(
        "sim", "plan", small, "--group", "gpu", "--slo", "wait max < 35s", "--seeds", "2", "--jobs", "1", "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["nodes"] == 5, "20 tasks of 10 s, the last of which may begin after 30 s and a little"
    assert {each["nodes"]: each["met"] for each in told["tried"]}[4] is False


def test_the_command_says_that_none_will_do(small: str) -> None:
    words = ["--slo", "wait max < 15s", "--seeds", "2", "--jobs", "1", "--max", "3"]
    done = cli("sim", "plan", small, "--group", "gpu", *words)
    assert done.returncode == 1
    assert "no fleet up to 3 gpu nodes" in done.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--slo", "wait p95 < 10m"], "--group is needed: the fleet has gpu, cpu"),
        (["--slo", "wait p95 < 10m", "--group", "mac"], "no such group"),
        (["--slo", "wait p95", "--group", "gpu"], "expected METRIC"),
        (["--slo", "no.thing < 1", "--group", "gpu", "--max", "1", "--seeds", "2"], "no column no.thing"),
        (["--slo", "wait < 1s", "--group", "gpu", "--min", "5", "--max", "3"], "--max 3 is less than --min 5"),
    ],
)
def test_bad_input_is_one_line(small: str, words: list[str], why: str) -> None:
    assert why in one_line(cli("sim", "plan", small, *words))
