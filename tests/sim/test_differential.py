"""A run with faults ends like the run without: the shipped scenarios do, and a product without a safeguard does not."""

from __future__ import annotations

import json

import pytest
from cli_kit import cli, one_line
from support import new_task
from test_scenarios import SMALLER

from sim.differential import compare
from sim.ending import ABSENT, COMPARED, differing
from sim.load import BadScenario, load, parse, shipped

WITH_FAULTS = [name for name in sorted(shipped()) if load(name).faults]
PLAIN = "fleet: {node: {count: 1}}\ntasks: {a: {spec: {kind: freeform, payload: {}}}}\n"
CRASH = "faults: [{at: 1s, fault: crash, host: node-0, for: 9s}]\n"


@pytest.mark.parametrize("name", WITH_FAULTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_shipped_scenario_ends_like_its_run_without_faults(name: str, seed: int) -> None:
    found = compare(load(name, SMALLER.get(name, [])), seed)
    assert found.verdict == "ok", (found.unexpected[:3], found.missing, found.result["unmet"])
    assert sum(each["fired"] for each in found.result["faults"]) > 0
    assert found.baseline["faults"] == []


def test_without_claim_expiry_what_the_dead_rack_held_never_ends() -> None:
    found = compare(load("cascade", ["mutations=[no-claim-expiry]"]), 0)
    assert found.exit_code() == 4
    stuck = {each.key for each in found.unexpected if each.field == "holds" and each.with_faults}
    assert stuck, "nodes are held for ever"
    assert {each.field for each in found.unexpected} >= {"phase", "verdict", "result.verdict", "holds"}
    assert found.baseline["verdict"] == "ok", "it is the fault that brings it out"


def test_what_a_fault_is_meant_to_change_must_be_announced_and_must_show() -> None:
    told = compare(load("three-strikes"), 0)
    assert {each.key for each in told.differences} == {"default/long"}
    assert (told.unexpected, told.exit_code()) == ([], 0)
    unannounced = compare(load("three-strikes", ["expect={}"]), 0)
    assert unannounced.unexpected == told.differences
    assert unannounced.exit_code() == 4
    idle = compare(load("three-strikes", ["expect={differs: [long, short-0]}"]), 0)
    assert (idle.missing, idle.exit_code()) == (["short-0"], 5)


def test_a_violation_in_either_run_comes_first() -> None:
    found = compare(load("zombie-agent", ["mutations=[no-attempt-fence]"]), 0)
    assert found.exit_code() == 3


def test_every_compared_field_can_differ_and_so_can_presence() -> None:
    task = new_task("a")
    base = {"default/a": task}
    envelope = {"schemaVersion": "foreman.v1", "kind": "stub", "verdict": "GO"}
    ended = task.status.evolve(phase="Succeeded", verdict="GO", result=envelope)
    running = task.status.evolve(phase="Running", attempt=3, holder="n/1")
    fields = {
        each.field for status in (ended, running) for each in differing(base, {"default/a": task.evolve(status=status)})
    }
    assert fields == set(COMPARED)
    (gone,) = differing(base, {})
    assert (gone.field, gone.with_faults) == ("object", ABSENT)


def test_what_a_fault_may_change_is_no_difference() -> None:
    task = new_task("a")
    other = task.status.evolve(attempt=2, strikes={"n": 1}, handbacks=4, failures=1, holder="n/2", retry_after=5)
    moved = task.evolve(status=other, metadata=task.metadata.evolve(annotations={"x": "y"}))
    assert list(differing({"default/a": task}, {"default/a": moved})) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PLAIN + CRASH + "expect: {differs: [b]}\n", "there is no task 'b': expected a"),
        (PLAIN + CRASH + "expect: {differs: 3}\n", "there is no task '3': expected a"),
        (PLAIN + "expect: {differs: [a]}\n", "differs says what faults change, and there are none"),
    ],
)
def test_an_announcement_that_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadScenario, match=says):
        parse(text, "x.yaml")


def test_the_command_tells_it() -> None:
    good = cli("sim", "run", "three-strikes", "--differential")
    assert good.returncode == 0
    assert "expected   default/long: phase Succeeded -> Failed, verdict GO -> INCOMPLETE" in good.stdout
    bad = cli("sim", "run", "three-strikes", "--differential", "--set", "expect={}", "--json")
    assert bad.returncode == 4
    told = json.loads(bad.stdout)
    assert (told["verdict"], told["seed"]) == ("liveness", 0)
    assert {each["key"] for each in told["unexpected"]} == {"default/long"}
    assert sum(each["fired"] for each in told["with_faults"]["faults"]) == 4
    assert told["without"]["faults"] == []


def test_the_command_refuses_what_it_cannot_compare() -> None:
    assert "has no faults" in one_line(cli("sim", "run", "claim-race", "--differential"))
    assert "leave out --trace" in one_line(cli("sim", "run", "node-flap", "--differential", "--no-check"))
