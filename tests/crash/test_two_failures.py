"""Failures that need two things to go wrong at once; each was found by striking a run at two random requests."""

from __future__ import annotations

from support import advance, run, task, unharmed, world

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
    moves = [phase for before, phase in zip(phases, phases[1:], strict=False) if before != phase]
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
