"""Counterparts of the original's claim-expiry tests at HEAD (#669). Ours expires only after the operator itself has seen
90 s of silence, confirmed by a live read."""

from __future__ import annotations

import re

import pytest
from support import advance, node, reason, task, unharmed, until
from upstream_kit import fleet, heartbeats_lost, phase, put, put_struck, until_phase

from foreman.api import ANNOTATION_CLAIM_EXPIRIES, FailureReason, FleetNodePhase, Phase, Verdict, condition


def running_on_a(more=""):
    w = fleet("a", more=more)
    put(w, "t", seconds=1800)
    until_phase(w, "t", Phase.RUNNING)
    return w


def test_a_running_task_of_a_silent_node_is_released():
    """HEAD: releases a Running task whose node heartbeat is stale (Pending, cleared claim, annotation "1", ClaimExpired)."""
    w = running_on_a()
    w.hosts["a-0"].crash()
    advance(w, 60)
    assert phase(w, "t") is Phase.RUNNING
    until_phase(w, "t", Phase.PENDING, within=60)
    advance(w, 1)
    released = task(w, "t")
    status = released.status
    assert (status.assigned_node, status.holder, status.claimed_at, status.started_at) == ("", "", None, None)
    assert (status.strikes, released.metadata.annotations[ANNOTATION_CLAIM_EXPIRIES]) == ({"a-0": 1}, "1")
    told = condition(status.conditions, "ClaimExpired")
    assert (told.status, told.reason) == ("True", "ClaimExpired")
    assert re.fullmatch(r'released from node "a-0": last heartbeat 2026-01-01T00:0\d:\d\dZ', told.message)
    unharmed(w)


def test_a_released_task_goes_to_another_node_under_a_new_attempt():
    """HEAD: no requeue after a release, the watch event re-enqueues (ours: and the node it was lost on is avoided)."""
    w = fleet("a", "b")
    w.hold(verb="patch_status", actor="a-0/", kind="AgenticTask", fate="drop")
    put(w, "t")
    ended = until_phase(w, "t", Phase.SUCCEEDED).status
    assert (ended.assigned_node, ended.attempt, ended.strikes) == ("b-0", 2, {"a-0": 1})
    assert node(w, "a-0").status.phase is FleetNodePhase.READY
    unharmed(w)


def test_a_running_task_of_an_absent_node_is_released():
    """HEAD: ... when the FleetNode is absent (message "FleetNode not found")."""
    w = running_on_a()
    w.hosts["a-0"].crash()
    w.server.delete("user", node(w, "a-0"))
    status = until_phase(w, "t", Phase.PENDING, within=120).status
    told = condition(status.conditions, "ClaimExpired")
    assert told.message == 'released from node "a-0": FleetNode not found'
    unharmed(w)


def test_a_claim_survives_the_deletion_of_a_node_that_registers_again():
    """HEAD: FleetNode absent releases at once (ours: its agent has 90 s to register again)."""
    w = running_on_a()
    running = task(w, "t")
    w.server.delete("user", node(w, "a-0"))
    advance(w, 300)
    assert task(w, "t") == running
    assert node(w, "a-0").status.phase is FleetNodePhase.READY
    unharmed(w)


def test_a_task_in_flight_on_a_fresh_node_is_untouched():
    """HEAD: leaves an in-flight task untouched and requeues when the node is fresh."""
    w = running_on_a()
    running = task(w, "t")
    advance(w, 900)
    assert task(w, "t") == running
    unharmed(w)


def test_a_scheduled_task_of_a_silent_node_is_released():
    """HEAD: releases a Scheduled task whose node is stale."""
    w = fleet("a")
    w.hosts["a-0"].freeze()
    put(w, "t")
    until_phase(w, "t", Phase.SCHEDULED)
    status = until_phase(w, "t", Phase.PENDING, within=130).status
    assert reason(task(w, "t"), "ClaimExpired") == "ClaimExpired"
    assert status.strikes == {"a-0": 1}
    unharmed(w)


def test_a_scheduled_task_nobody_claims_is_released_though_its_node_is_alive():
    """HEAD: a task outside the agent's namespace waits for ever, L6 (ours: released after 90 s unclaimed)."""
    w = fleet("a")
    claims = w.hold(verb="patch_status", actor="a-0/", kind="AgenticTask", fate="drop")
    put(w, "t")
    until_phase(w, "t", Phase.SCHEDULED)
    until_phase(w, "t", Phase.PENDING, within=130)
    told = condition(task(w, "t").status.conditions, "ClaimExpired")
    assert told.message.endswith("not claimed within 90s although the node is alive")
    claims.release()
    until_phase(w, "t", Phase.SUCCEEDED)
    unharmed(w)


def test_the_third_expiry_ends_the_task():
    """HEAD: terminal-fails a task that has already expired twice (Failed/INCOMPLETE/InfrastructureError)."""
    w = fleet("a")
    put_struck(w, "t", expiries=2, seconds=1800)
    until_phase(w, "t", Phase.RUNNING)
    w.hosts["a-0"].crash()
    ended = until_phase(w, "t", Phase.FAILED, within=120)
    status = ended.status
    assert (status.verdict, status.failure_reason) == (Verdict.INCOMPLETE, FailureReason.INFRASTRUCTURE_ERROR)
    told = condition(status.conditions, "Failed")
    assert told.reason == "ClaimExpiryLimitReached"
    assert told.message.startswith('claim expired 3 times, last on node "a-0": last heartbeat ')
    assert ended.metadata.annotations[ANNOTATION_CLAIM_EXPIRIES] == "2"
    unharmed(w)


def test_three_strikes_are_two_releases_and_an_end():
    """HEAD: three strikes = two releases, the third expiry fails."""
    w = fleet("a", "b", "c")
    put(w, "t", seconds=1000)
    for host, wanted in (("a-0", Phase.PENDING), ("b-0", Phase.PENDING), ("c-0", Phase.FAILED)):
        until(w, lambda host=host: task(w, "t").status.holder == f"{host}/1")
        w.hosts[host].crash()
        until(w, lambda host=host: task(w, "t").status.holder != f"{host}/1" or phase(w, "t") is Phase.FAILED)
        assert phase(w, "t") is wanted
    advance(w, 5)
    assert task(w, "t").status.strikes == {"a-0": 1, "b-0": 1}
    assert task(w, "t").metadata.annotations[ANNOTATION_CLAIM_EXPIRIES] == "2"
    unharmed(w)


def test_strikes_decay_with_progress():
    """HEAD: the counter never resets on progress, L28 (ours: each half hour a claim has lived forgives one)."""
    w = fleet("a")
    put_struck(w, "t", expiries=2, seconds=2600)
    until_phase(w, "t", Phase.RUNNING)
    advance(w, 1900)
    w.hosts["a-0"].crash()
    assert sum(until_phase(w, "t", Phase.PENDING, within=120).status.strikes.values()) == 2
    unharmed(w)


def test_what_has_decayed_stays_forgiven():
    """The annotation says what stands after the expiry, so that the next one does not count what was worked off."""
    w = fleet("a", "b")
    put_struck(w, "t", expiries=2, seconds=100_000, timeoutSeconds=200_000)
    until_phase(w, "t", Phase.RUNNING)
    advance(w, 3700)
    for host, count in (("a-0", "1"), ("b-0", "2")):
        until(w, lambda host=host: task(w, "t").status.holder == f"{host}/1")
        w.hosts[host].crash()
        until(w, lambda host=host: task(w, "t").status.holder != f"{host}/1")
        advance(w, 1)
        assert task(w, "t").metadata.annotations[ANNOTATION_CLAIM_EXPIRIES] == count
        assert phase(w, "t") is not Phase.FAILED
    unharmed(w)


def test_a_succeeded_task_is_left_alone_when_its_node_falls_silent():
    """HEAD: leaves a Succeeded task untouched even when its former node is stale."""
    w = fleet("a")
    put(w, "t")
    until_phase(w, "t", Phase.SUCCEEDED)
    advance(w, 5)
    ended = task(w, "t")
    w.hosts["a-0"].crash()
    advance(w, 600)
    assert node(w, "a-0").status.phase is FleetNodePhase.NOT_READY
    assert task(w, "t") == ended
    unharmed(w)


@pytest.mark.parametrize("expiries", [0, 2])
def test_an_expiry_that_comes_after_the_result_changes_nothing(expiries):
    """HEAD: releaseExpiredClaim / terminalFailExpired are no-ops when the live object is already Succeeded (ours: Conflict)."""
    w = fleet("a")
    put_struck(w, "t", expiries, seconds=200)
    until_phase(w, "t", Phase.RUNNING)
    heartbeats_lost(w, "a-0")
    expiry = w.hold(verb="patch_status", actor="operator", kind="AgenticTask", key="default/t")
    until(w, lambda: expiry.held, within=130)
    status = until_phase(w, "t", Phase.SUCCEEDED).status
    expiry.release()
    advance(w, 300)
    assert task(w, "t").status == status
    assert task(w, "t").metadata.annotations.get(ANNOTATION_CLAIM_EXPIRIES, "0") == str(expiries)
    unharmed(w)


def test_two_operators_count_one_expiry_once():
    """HEAD: incrementExpiryCounter uses max(fresh, snapshot) (ours: the count is part of the conditional release)."""
    w = fleet("a", more="operators: {replicas: 2}")
    put(w, "t", seconds=1800)
    until_phase(w, "t", Phase.RUNNING)
    expiries = w.hold(verb="patch_status", actor="operator", kind="AgenticTask", key="default/t")
    w.hosts["a-0"].crash()
    until(w, lambda: len({request.actor for request in expiries.held}) == 2, within=130)
    expiries.release()
    advance(w, 30)
    released = task(w, "t")
    assert released.status.strikes == {"a-0": 1}
    assert released.metadata.annotations[ANNOTATION_CLAIM_EXPIRIES] == "1"
    unharmed(w)


def test_a_blind_operator_expires_nothing():
    """HEAD: expiry from a stale cache (ours: the operator's own blindness is nobody's silence)."""
    w = running_on_a()
    running = task(w, "t")
    link = w.links["operator-0"]
    link.cut_in = link.cut_out = True
    advance(w, 400)
    link.cut_in = link.cut_out = False
    advance(w, 80)
    assert task(w, "t") == running
    unharmed(w)


def test_a_delayed_view_of_the_nodes_expires_nothing():
    """HEAD: expiry compares what the cache has (ours: a live read confirms the silence first)."""
    w = running_on_a()
    running = task(w, "t")
    w.links["operator-0"].watch_lag = 200_000_000
    advance(w, 300)
    assert task(w, "t") == running
    unharmed(w)
