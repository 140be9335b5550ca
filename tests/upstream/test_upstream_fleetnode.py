"""Counterparts of the original's FleetNode tests at HEAD. Ours: the operator times on its own clock how long it has not seen
the heartbeat change."""

from __future__ import annotations

import pytest
from support import advance, new_node, node, reason, unharmed, until
from upstream_kit import fleet, heartbeats_lost, phase, put, until_phase

from foreman.api import FleetNodePhase, Phase
from foreman.cache import Cache
from foreman.liveness import Liveness

READY, NOT_READY, DRAINING = FleetNodePhase.READY, FleetNodePhase.NOT_READY, FleetNodePhase.DRAINING


def gone(w, name):
    return name not in w.server.tables["FleetNode"]


def test_a_fleet_node_deleted_while_it_is_watched_is_no_error():
    """HEAD: FleetNode not found."""
    w = fleet("a")
    w.hosts["a-0"].crash()
    w.server.delete("user", node(w, "a-0"))
    advance(w, 700)
    assert gone(w, "a-0")
    assert not w.operators["operator-0"].node_controller.controller.errors
    unharmed(w)


def test_a_silent_ready_node_becomes_not_ready():
    """HEAD: Ready + stale -> NotReady; requeues after the heartbeat timeout."""
    w = fleet("a")
    w.hosts["a-0"].freeze()
    advance(w, 55)
    assert node(w, "a-0").status.phase is READY
    until(w, lambda: node(w, "a-0").status.phase is NOT_READY, within=45)
    assert reason(node(w, "a-0"), "Ready") == "HeartbeatStale"
    assert node(w, "a-0").status.conditions[0].message == "no heartbeat within 1m30s"
    unharmed(w)


def test_silence_is_noticed_on_time():
    """HEAD: requeues after the heartbeat timeout (ours: when the silence is due, not 90 s after the last look)."""
    w = fleet("a")
    advance(w, 28.5)
    beat = node(w, "a-0").status.last_heartbeat_time
    until(w, lambda: node(w, "a-0").status.last_heartbeat_time != beat)
    w.hosts["a-0"].freeze()
    advance(w, 89)
    assert node(w, "a-0").status.phase is READY
    advance(w, 5)
    assert node(w, "a-0").status.phase is NOT_READY
    unharmed(w)


def test_a_fresh_node_stays_ready():
    """HEAD: fresh stays Ready."""
    w = fleet("a")
    phases = []
    w.server.observers.append(lambda change: phases.append(change.new.status.phase) if change.key == "a-0" else None)
    advance(w, 900)
    assert len(phases) >= 29
    assert set(phases) == {READY}
    unharmed(w)


def test_a_not_ready_node_that_speaks_again_becomes_ready():
    """HEAD: NotReady resumes -> Ready."""
    w = fleet("a")
    w.hosts["a-0"].freeze()
    until(w, lambda: node(w, "a-0").status.phase is NOT_READY)
    w.hosts["a-0"].thaw()
    until(w, lambda: node(w, "a-0").status.phase is READY, within=35)
    assert reason(node(w, "a-0"), "Ready") == "HeartbeatFresh"
    put(w, "t")
    until_phase(w, "t", Phase.RUNNING, within=2)
    unharmed(w)


def test_a_not_ready_node_is_never_deleted():
    """HEAD: only Draining nodes are reaped."""
    w = fleet("a")
    w.hosts["a-0"].crash()
    advance(w, 3600)
    assert node(w, "a-0").status.phase is NOT_READY
    unharmed(w)


def test_a_node_that_has_drained_is_reaped_after_ten_minutes_of_silence():
    """HEAD: reaps a Draining node long silent."""
    w = fleet("a")
    w.hosts["a-0"].terminate()
    advance(w, 580)
    assert node(w, "a-0").status.phase is DRAINING
    until(w, lambda: gone(w, "a-0"), within=120)
    unharmed(w)


def test_a_draining_node_that_still_speaks_is_left_alone():
    """HEAD: leaves a Draining node with a fresh heartbeat alone."""
    w = fleet("a")
    w.hosts["a-0"].terminate()
    advance(w, 5)
    w.roles["a-0/by-hand"] = "agent"
    for _ in range(60):
        changes = {"last_heartbeat_time": w.server.wall()}
        spoken = w.server.patch_status("a-0/by-hand", node(w, "a-0"), changes, None)
        advance(w, 30)
        assert node(w, "a-0") == spoken
    until(w, lambda: gone(w, "a-0"), within=720)
    unharmed(w)


def test_a_draining_node_that_revives_is_not_reaped_by_a_decision_made_before():
    """HEAD: the reap carries UID and resourceVersion preconditions (Conflict -> requeue)."""
    w = fleet("a")
    w.hosts["a-0"].terminate()
    reap = w.hold(verb="delete", actor="operator", kind="FleetNode")
    until(w, lambda: reap.held, within=720)
    w.hosts["a-0"].boot()
    until(w, lambda: node(w, "a-0").status.phase is READY)
    revived = node(w, "a-0").metadata.uid
    reap.release()
    advance(w, 60)
    assert (node(w, "a-0").metadata.uid, node(w, "a-0").status.phase) == (revived, READY)
    unharmed(w)


def test_a_node_whose_phase_is_unset_is_judged_by_its_heartbeat():
    """HEAD: a node with phase empty becomes Ready/NotReady purely from heartbeat age (ours: it must have spoken)."""
    w = fleet("a")
    w.roles["b/by-hand"] = "agent"
    w.server.create("b/by-hand", new_node("b"))
    advance(w, 30)
    assert node(w, "b").status.phase is None
    w.server.patch_status("b/by-hand", node(w, "b"), {"last_heartbeat_time": w.server.wall()}, None)
    until(w, lambda: node(w, "b").status.phase is READY, within=95)
    until(w, lambda: node(w, "b").status.phase is NOT_READY, within=95)
    unharmed(w)


def test_a_running_agent_whose_heartbeats_are_lost_comes_back():
    """HEAD: a failed tick is logged and retried at the next."""
    w = fleet("a")
    lost = heartbeats_lost(w, "a-0")
    until(w, lambda: node(w, "a-0").status.phase is NOT_READY)
    lost.release()
    until(w, lambda: node(w, "a-0").status.phase is READY, within=45)
    put(w, "t")
    assert phase(w, "t") is None
    until_phase(w, "t", Phase.SUCCEEDED)
    unharmed(w)


# Unit tables: a clock that is turned by hand.


class Clock:
    """A Runtime of which only the clock is used."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def event(self) -> None:
        return None


def observed(*heartbeats):
    """Liveness that has seen the node 'n' come with these heartbeats, one after the other, at the same moment."""
    clock = Clock()
    nodes = Cache(None, clock, "FleetNode")
    liveness = Liveness(clock, nodes)
    for version, beat in enumerate(heartbeats, 1):
        seen = new_node("n")
        meta = seen.metadata.evolve(resource_version=str(version))
        nodes.observe(seen.evolve(metadata=meta, status=seen.status.evolve(last_heartbeat_time=beat)))
    return clock, liveness


@pytest.mark.parametrize(
    ("age", "stale"), [(0, False), (30, False), (89, False), (90, False), (90.001, True), (3600, True)]
)
@pytest.mark.parametrize("beats", [(1,), (None,), (1, 2), (None, 3)], ids=str)
def test_heartbeat_stale(beats, age, stale):
    """HEAD: HeartbeatStale table: strictly > 90 s (ours: no heartbeat counts from when it was first seen)."""
    clock, liveness = observed(*beats)
    clock.time += age
    assert liveness.stale("n") is stale


def test_a_heartbeat_that_repeats_is_no_sign_of_life():
    """HEAD: HeartbeatStale (ours: only a change counts; a relist shows the same heartbeat again)."""
    clock, liveness = observed(7)
    clock.time += 91
    again = new_node("n")
    meta = again.metadata.evolve(resource_version="9")
    liveness.nodes.observe(again.evolve(metadata=meta, status=again.status.evolve(last_heartbeat_time=7)))
    assert liveness.stale("n")
    assert not liveness.heard("n")


def test_a_node_nobody_has_heard_of_counts_from_the_first_question():
    """HEAD: HeartbeatStale nil row."""
    clock, liveness = observed()
    assert not liveness.stale("ghost")
    clock.time += 91
    assert liveness.stale("ghost")


def test_blindness_forgives_all_silence():
    """HEAD has no counterpart; L4: silence while the operator could not see does not count."""
    clock, liveness = observed(1, 2)
    clock.time += 500
    liveness.forgive()
    assert not liveness.stale("n")
    assert not liveness.heard("n")


@pytest.mark.parametrize("beat", [None, "now"])
@pytest.mark.parametrize(("silence", "reaped"), [(1, False), (500, False), (590, False), (700, True)])
def test_drain_reapable(beat, silence, reaped):
    """HEAD: DrainReapable table, incl. no heartbeat -> creation time (ours: silence the operator has seen, > 10 min)."""
    w = fleet("a")
    w.roles["b/by-hand"] = "agent"
    changes = {"phase": DRAINING, "last_heartbeat_time": w.server.wall() if beat else None}
    w.server.patch_status("b/by-hand", w.server.create("b/by-hand", new_node("b")), changes, None)
    advance(w, silence)
    assert gone(w, "b") is reaped
    unharmed(w)
