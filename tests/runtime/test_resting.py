"""The pause before a task is placed again."""

from __future__ import annotations

from support import advance, new_task, run, task, unharmed, until, world

from foreman.api import Phase
from sim.executor import Plan

FAILING = """
fleet: {node: {count: 1}}
tasks:
  t:
    at: 5s
    spec: {kind: freeform, payload: {}, retryPolicy: {maxAttempts: 3, backoffSeconds: 20}}
    executor: {duration: 1s, errors: 1}
until: 1h
"""


def test_a_failed_attempt_is_tried_again_after_its_backoff_and_only_so_often() -> None:
    w = run(FAILING)
    status = task(w, "t").status
    assert (status.phase, status.attempt, status.failures) == (Phase.FAILED, 3, 2)
    assert 40 <= w.stats.makespan() / 1e6 <= 50
    unharmed(w)


def test_an_agent_whose_clock_is_hours_ahead_does_not_stretch_the_backoff() -> None:
    w = run(FAILING, "faults=[{at: 3s, fault: skew, host: node-0, by: 3h}]")
    assert task(w, "t").status.attempt == 3
    assert w.stats.makespan() / 1e6 <= 50
    unharmed(w)


def test_an_operator_that_starts_anew_keeps_to_the_backoff_on_the_task() -> None:
    w = world(FAILING, "faults=[{at: 8s, fault: crash, host: operator-0, for: 2s}]")
    until(w, lambda: w.stats.attempts == 2, within=60)
    assert 25 <= w.now() / 1e6 <= 30
    unharmed(w)


def test_a_task_that_keeps_coming_back_rests_longer_each_time() -> None:
    """A node that hands everything back at once must not be a hot loop."""
    w = world("{fleet: {node: {count: 1}}, tasks: {x: {at: 1h, spec: {kind: freeform, payload: {}}}}}")
    until(w, lambda: "node-0" in w.agents and w.agents["node-0"].registrar.node is not None)
    w.agents["node-0"].watcher.draining = True
    w.plans["default/t"] = Plan(1_000_000, "GO")
    w.server.create("user", new_task("t"))
    advance(w, 60)
    early = task(w, "t").status.handbacks
    advance(w, 60)
    assert 5 <= early <= 12
    assert task(w, "t").status.handbacks - early <= 3
    unharmed(w)
