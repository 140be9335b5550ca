"""Failures that need two things to go wrong at once; each was found by striking a run at two random requests."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from support import advance, new_task, node, run, task, unharmed, until, world

from foreman.decide import claims
from sim.executor import Plan

PAIR = """
until: 20m
linger: 2m
operators: {replicas: 2, restartDelay: 5s}
agent: {restartDelay: 5s}
fleet: {cpu: {count: 2}}
tasks:
  one: {spec: {kind: freeform, payload: {}}}
  two: {spec: {kind: freeform, payload: {}}}
executor: {duration: 100s}
"""


def test_operators_that_heard_of_a_node_at_different_times_do_not_overrule_each_other():
    """One slept, so a heartbeat is younger to it than to the other: else Ready and NotReady alternate, thousands of times."""
    w = world(PAIR)
    phases: list[str] = []
    w.server.observers.append(
        lambda change: phases.append(str(change.new.status.phase)) if change.key == "cpu-0" and change.new else None
    )
    advance(w, 2)
    w.hosts["operator-1"].freeze()
    advance(w, 90)
    w.hosts["cpu-0"].freeze()
    advance(w, 30)
    w.hosts["operator-1"].thaw()
    advance(w, 120)
    w.hosts["cpu-0"].thaw()
    w.run()
    moves = [phase for before, phase in pairwise(phases) if before != phase]
    assert moves == ["Ready", "NotReady", "Ready"]
    assert [task(w, name).status.phase for name in ("one", "two")] == ["Succeeded", "Succeeded"]
    assert max(sum(task(w, name).status.strikes.values()) for name in ("one", "two")) == 1
    unharmed(w)


def test_an_operator_that_slept_takes_nothing_back_from_nodes_that_did_not():
    faults = '[{at: 5s, fault: freeze, host: "operator-*", for: 95s}]'
    for length in ("80s", "95s", "150s", "300s"):
        w = run(PAIR, f"faults={faults.replace('95s', length)}")
        assert [task(w, name).status.attempt for name in ("one", "two")] == [1, 1]
        unharmed(w)


def test_one_silence_of_a_node_costs_a_task_one_strike():
    """The operators look at tasks and at nodes at different moments; in between the node must not be given the task again."""
    for boot in range(10, 22, 2):
        w = world(PAIR, "fleet.cpu.count=1", "operators.replicas=1", "executor.duration=3m")
        advance(w, boot / 10)
        w.hosts["operator-0"].crash()
        w.hosts["operator-0"].boot()
        advance(w, 100)
        w.hosts["cpu-0"].freeze()
        advance(w, 200)
        struck = [sum(task(w, name).status.strikes.values()) for name in ("one", "two")]
        assert sorted(struck) == [0, 1], f"operator booted at {boot / 10}s"
        unharmed(w)


def test_a_node_that_speaks_just_before_it_is_called_lost_is_used_again():
    """The verdict NotReady meets a newer heartbeat and is refused: the operator must take back what it thought already."""
    w = world(PAIR, "operators.replicas=1", "fleet.cpu.count=1", "executor.duration=2s")
    advance(w, 10)
    w.hosts["cpu-0"].freeze()
    with w.hold(verb="patch_status", actor="operator-0", kind="FleetNode") as verdict:
        until(w, lambda: bool(verdict.held), within=120)
        w.hosts["cpu-0"].thaw()
        advance(w, 1)
    assert node(w, "cpu-0").status.phase == "Ready"
    advance(w, 5)
    w.server.create("user", new_task("late"))
    w.plans["default/late"] = Plan(2_000_000, "GO")
    until(w, lambda: task(w, "late").status.phase == "Succeeded", within=60)
    w.run()
    unharmed(w)


def test_a_task_handed_back_before_the_operator_hears_that_it_was_assigned_is_assigned_again():
    """The answer to the assignment is slower than the news of its end: the task must not fall between the two."""
    w = world(PAIR, "operators.replicas=1", "executor.duration=2s")
    w.links["operator-0"].down = lambda: 50_000
    handed_back: list[str] = []

    def hand_back(change: Any) -> None:
        new = change.new
        if change.key == "default/one" and new.status.phase == "Scheduled" and not handed_back:
            handed_back.append(new.key)
            agent = f"{new.status.assigned_node}/1"
            w.env.at(1, lambda _: w.server.patch_status(agent, new, claims.hand_back(new, "Test", "no", 0), None))

    w.server.observers.append(hand_back)
    w.run()
    assert handed_back == ["default/one"]
    assert [task(w, name).status.phase for name in ("one", "two")] == ["Succeeded", "Succeeded"]
    unharmed(w)
