"""`foreman sim diff`: the first write in which two runs differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_kit import cli, one_line

from sim.diff import diff, writes_of_run
from sim.load import load
from sim.world import World


def told(*words: str) -> dict[str, object]:
    done = cli("sim", "diff", *words, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["equal"] else 1)
    assert isinstance(found, dict)
    return found


def test_a_run_is_the_same_as_itself_in_every_write() -> None:
    found = diff(writes_of_run(load("zombie-agent")), writes_of_run(load("zombie-agent")), 3)
    world = World(load("zombie-agent")).run()
    assert found.equal
    assert found.writes == world.server.version


def test_a_longer_execution_is_found_at_the_write_that_ends_it() -> None:
    found = told("zombie-agent", "zombie-agent", "--set-b", "executor.duration=9s")
    assert found["b"] == {
        "t": 14_025_000,
        "actor": "node-0/1",
        "verb": "patch_status",
        "object": "AgenticTask default/task-0",
        "what": "phase=Succeeded verdict=GO Completed=True/ExecutorSucceeded",
    }
    before = found["before"]
    assert isinstance(before, list)
    assert [write["what"].split()[0] for write in before] == ["phase=Pending", "phase=Scheduled", "phase=Running"]


def test_a_seed_of_one_side_is_of_that_side() -> None:
    assert told("zombie-agent", "zombie-agent", "--seed", "4")["equal"]
    assert told("zombie-agent", "zombie-agent", "--seed", "4", "--seed-a", "5", "--seed-b", "5")["equal"]
    assert not told("zombie-agent", "zombie-agent", "--seed-b", "4")["equal"]


def test_without_times_a_slower_start_is_no_difference() -> None:
    slower = ("zombie-agent", "zombie-agent", "--set-b", "network.latency=6ms")
    assert told(*slower)["differs"] == ["time"]
    untimed = told(*slower, "--no-times")
    assert untimed["equal"] or "time" not in str(untimed["differs"])


def test_a_run_that_ends_earlier_differs_at_its_end() -> None:
    one, other = list(writes_of_run(load("zombie-agent"))), list(writes_of_run(load("zombie-agent")))[:-2]
    found = diff(one, other, 1)
    assert (found.other, found.one, found.before) == (None, one[-2], [one[-3]])
    assert found.aspects == ["end"]


def test_traces_are_compared_by_what_they_tell(tmp_path: Path) -> None:
    same, other = str(tmp_path / "same.jsonl"), str(tmp_path / "other.jsonl")
    cli("sim", "run", "claim-race", "--quiet", "--trace", same)
    cli("sim", "run", "claim-race", "--seed", "2", "--quiet", "--trace", other)
    found = told("claim-race", same)
    assert found["equal"]
    assert found["writes"] == World(load("claim-race")).run().server.version
    assert not told(same, other)["equal"]


def test_the_table_shows_both_sides_under_what_came_before() -> None:
    done = cli("sim", "diff", "zombie-agent", "zombie-agent", "--set-b", "executor.duration=9s", "--context", "1")
    head, before, one, other = done.stdout.splitlines()
    assert head.startswith("write 14 differs: ")
    assert "phase=Running" in before
    assert (one[0], other[0]) == ("A", "B")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["zombie-agent", "zombi-agent"], "zombie-agent"),
        (["zombie-agent", "gone.jsonl"], "cannot read gone.jsonl"),
        (["gone.jsonl", "zombie-agent", "--seed-a", "1"], "A is a trace"),
        (["zombie-agent", "zombie-agent", "--set-b", "fleet"], "="),
    ],
)
def test_bad_input_gets_one_line(words: list[str], says: str) -> None:
    assert says in one_line(cli("sim", "diff", *words))
