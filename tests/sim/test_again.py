"""What is written of a run gives the same run, byte for byte, in another process too."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sim.hunt.again import Written, differing, write
from sim.load import check, load

CLAIM = {"name": "claim", "fleet": {"node": {"count": 2}}, "workload": {"count": 1}, "executor": {"duration": "2s"}}
SMALL = ("m2-stub-task", "zombie-agent", "node-flap", "zoo/latent-l01-ghost-claim", "zoo/llmkube-542-restart-orphan")


@pytest.fixture(scope="module")
def texts() -> list[Written]:
    return list(write(check(CLAIM), range(100)))


def test_a_hundred_random_runs_come_again_from_what_is_written_of_them(texts: list[Written]) -> None:
    assert differing(texts) == []
    assert len({each.prints for each in texts}) >= 99
    assert any(json.loads(each.text)["faults"] for each in texts)


@pytest.mark.parametrize("name", SMALL)
def test_runs_of_what_ships_come_again(name: str) -> None:
    assert differing([*write(load(name), range(5))]) == []


def test_a_late_message_that_is_not_written_is_noticed(texts: list[Written]) -> None:
    shortened = []
    for each in texts:
        data = json.loads(each.text)
        del data["schedule"][0]
        shortened.append(each._replace(text=json.dumps(data)))
    assert len(differing(shortened)) > 90


def test_the_soak_writes_in_one_process_and_replays_in_another() -> None:
    command = [sys.executable, "-m", "sim.soak", "--replay", "12", "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("m2-stub-task: 12 seeds, 12 different runs, 0 red")
