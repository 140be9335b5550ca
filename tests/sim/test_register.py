"""What the simulated network's callers saw of a claim, as the linearizability check gets it."""

from __future__ import annotations

from cli_kit import cli
from support import new_task, run, world

from foreman.api import Phase
from sim.linearize import Operation
from sim.load import load
from sim.register import write
from sim.world import World

ONE = """
fleet: {node: {count: 1}}
tasks: {a: {spec: {kind: freeform, payload: {}}}}
executor: {duration: 5s}
checks: {linearizable: true}
until: 10m
"""


def history_of(w: World) -> list[Operation]:
    assert w.histories is not None
    ((key, history, _),) = w.histories.operations()
    assert key == "default/a"
    return history


def test_a_quiet_life_is_four_answered_operations() -> None:
    history = history_of(run(ONE))
    assert [each.call.kind for each in history] == ["admit", "assign", "claim", "report"]
    assert all(each.responded is not None and each.responded > each.invoked for each in history)


def test_a_lost_answer_is_an_unknown_outcome_and_the_caller_looks_for_itself() -> None:
    w = world(ONE)
    w.hold(verb="patch_status", actor="node-0", kind="AgenticTask", limit=1, fate="lose-reply")
    w.run()
    history = history_of(w)
    assert [(each.call.kind, each.responded is None) for each in history if each.call.actor != "operator-0/1"] == [
        ("claim", True),
        ("read", False),
        ("report", False),
    ]
    assert w.checkers.violations == []
    assert w.checkers.checks["linearizable-claims"] == len(history)


def test_a_caller_that_dies_before_the_answer_never_learns_it() -> None:
    w = world(ONE)
    held = w.hold(verb="patch_status", actor="node-0", kind="AgenticTask", limit=1)
    w.advance(30_000_000)
    assert [each.args[1]["phase"] for each in held.held] == [Phase.RUNNING]
    w.hosts["node-0"].crash()
    held.release()
    w.hosts["node-0"].boot()
    w.run()
    claims = [each for each in history_of(w) if each.call.kind == "claim"]
    assert [each.responded is None for each in claims] == [True, False]
    assert w.checkers.violations == []


def test_a_refused_write_is_no_operation_and_a_condition_none_either() -> None:
    w = World(load("claim-race", ["workload.count=5"])).run()
    assert w.histories is not None
    for _, history, _ in w.histories.operations():
        assert [each.call.kind for each in history] == ["admit", "assign", "claim", "report"]
    assert write("op", "operator", new_task("a"), {"conditions": ()}) is None


def test_unless_asked_nothing_is_noted_and_asking_changes_nothing() -> None:
    plain, asked = (World(load("zombie-agent", [f"checks.linearizable={word}"]), 3) for word in ("false", "true"))
    assert plain.histories is None
    assert plain.run().digest.hexdigest() == asked.run().digest.hexdigest()
    assert plain.checkers.checks["linearizable-claims"] == 0 < asked.checkers.checks["linearizable-claims"]


def test_the_option_asks_for_it_and_the_replay_does_too() -> None:
    done = cli("sim", "run", "m2-stub-task", "--linearizable")
    assert done.returncode == 0
    assert "linearizable-claims 4" in done.stdout
    assert "foreman sim run m2-stub-task --seed 0 --set checks.linearizable=true" in done.stdout
    red = cli("sim", "run", "node-flap", "--linearizable", "--set", "mutations=[terminal-overwrite]")
    assert red.returncode == 3
