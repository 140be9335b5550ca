"""What a FleetNode shows: its agent says it, and the operator clears it when the agent cannot any more."""

from __future__ import annotations

import pytest
from support import advance, new_task, node, until, world

from foreman.api import FleetNodePhase, Phase
from sim.executor import Plan
from sim.host import SECOND
from sim.world import World


def working() -> World:
    """A world whose only node shows the task that it runs."""
    w = world("fleet: {mac: {count: 1}}\nworkload: {count: 0}")
    advance(w, 5)
    w.plans["default/long"] = Plan(1000 * SECOND, "GO")
    w.server.create("user", new_task("long"))
    until(w, lambda: node(w, "mac-0").status.current_task == "default/long", 60)
    return w


@pytest.mark.parametrize("end", ["crash", "terminate"])
def test_a_node_that_has_fallen_silent_shows_no_task(end: str) -> None:
    w = working()
    getattr(w.hosts["mac-0"], end)()
    advance(w, 180)
    status = node(w, "mac-0").status
    assert status.phase is (FleetNodePhase.NOT_READY if end == "crash" else FleetNodePhase.DRAINING)
    assert status.current_task == ""


def test_a_node_that_comes_back_shows_again_what_it_runs() -> None:
    w = working()
    w.hosts["mac-0"].crash()
    advance(w, 180)
    w.hosts["mac-0"].boot()
    until(w, lambda: node(w, "mac-0").status.current_task == "default/long", 120)
    assert w.server.get("test", "AgenticTask", "long", "default").status.phase is Phase.RUNNING
