"""One leader at a time, whatever fails; and a new one soon after the old is gone."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import Lab
from support import new_task

from foreman.cluster import ClusterError, Conflict
from foreman.election import (
    LEASE_NAME,
    LEASE_SECONDS,
    RELEASE_SECONDS,
    RENEW_SECONDS,
    RETRY_SECONDS,
    Election,
    LostLeadership,
)
from sim.host import SECOND, Host, Process

TAKEOVER = LEASE_SECONDS + RETRY_SECONDS + 1.0
"""Seconds from a leader's last renewal to the next leader, at most; the network's milliseconds included."""


class Reign(NamedTuple):
    """Who led, in which process, since when (virtual seconds)."""

    host: str
    process: Process
    since: float

    def rules(self) -> bool:
        """Whether it may act: its process runs, has not stood down, and is not on its way out."""
        return bool(self.process.alive and self.process.running and not self.process.stop.is_set())


class Realm:
    """Candidates on hosts of their own; the leader writes to one object a few times a second, always conditionally."""

    def __init__(self, count: int = 3, delays: Any = "1ms", seed: int = 0) -> None:
        self.lab = Lab(seed=seed, delays=delays)
        self.lab.server.create("test", new_task("throne"))
        self.reigns: list[Reign] = []
        self.writes: list[tuple[float, str]] = []
        self.refused: list[tuple[float, str]] = []
        self.hosts = [self.lab.host(f"operator-{number}", self._program, restart=10) for number in range(count)]

    async def _program(self, process: Process) -> None:
        cluster = self.lab.client(process)
        election = Election(cluster, process, cluster.actor)

        def lead() -> None:
            self.reigns.append(Reign(process.host.name, process, self.lab.now()))
            process.spawn(self._reign(process, cluster), "reign")

        process.spawn(election.run(lead), "election")
        await process.stop.wait()
        await election.release()

    async def _reign(self, process: Process, cluster: Any) -> None:
        while not process.stop.is_set():
            await process.sleep(0.2)
            try:
                task = await cluster.get("AgenticTask", "throne", "default")
                changes = {"holder": cluster.actor, "attempt": task.status.attempt + 1}
                await cluster.patch_status(task, changes, if_version=task.version)
                self.writes.append((self.lab.now(), cluster.actor))
            except ClusterError:
                self.refused.append((self.lab.now(), cluster.actor))

    def leader(self) -> Reign:
        (reign,) = [each for each in self.reigns if each.rules()]
        return reign

    def host(self, reign: Reign) -> Host:
        return self.lab.hosts[reign.host]

    def settle(self) -> Reign:
        self.lab.advance(TAKEOVER)
        return self.leader()

    def lease(self) -> Any:
        return self.lab.server.get("test", "Lease", LEASE_NAME, "foreman-system")


def test_one_of_many_candidates_is_elected_at_once() -> None:
    realm = Realm(5)
    realm.lab.advance(1)
    assert realm.lease().spec.holder_identity == f"{realm.leader().host}/1"
    assert realm.lease().spec.lease_transitions == 0


def test_a_leader_that_renews_stays() -> None:
    realm = Realm()
    realm.lab.advance(1)
    first = realm.leader()
    realm.lab.advance(3600)
    assert realm.reigns == [first]
    assert first.rules()


def test_a_crashed_leader_is_followed_within_the_lease() -> None:
    realm = Realm()
    realm.lab.advance(100)
    first = realm.leader()
    realm.host(first).crash()
    crashed = realm.lab.now()
    second = realm.settle()
    assert second.host != first.host
    assert second.since - crashed <= TAKEOVER
    assert second.since - crashed >= LEASE_SECONDS - RETRY_SECONDS - 0.1, "nobody was in a hurry"
    assert realm.lease().spec.lease_transitions == 1


def test_a_leader_cut_off_stands_down_before_another_starts() -> None:
    realm = Realm()
    realm.lab.advance(100)
    first = realm.leader()
    link = realm.lab.links[first.host]
    link.cut_in = link.cut_out = True
    realm.lab.advance(RENEW_SECONDS + 0.1)
    assert not first.rules()
    assert [type(error) for _, _, error in realm.host(first).exits] == [LostLeadership]
    assert len(realm.reigns) == 1
    assert realm.settle().host != first.host


@pytest.mark.parametrize("way", ["cut_in", "cut_out"])
def test_a_partition_of_one_direction_is_enough_to_stand_down(way: str) -> None:
    realm = Realm()
    realm.lab.advance(100)
    first = realm.leader()
    setattr(realm.lab.links[first.host], way, True)
    realm.lab.advance(3 * TAKEOVER)
    assert not first.rules()
    assert realm.leader().host != first.host


def test_a_zombie_stands_down_the_moment_it_thaws_and_its_late_write_is_refused() -> None:
    realm = Realm()
    realm.lab.advance(100)
    first = realm.leader()
    realm.host(first).freeze()
    frozen = realm.lab.now()
    second = realm.settle()
    assert second.host != first.host
    actor = f"{first.host}/1"
    realm.lab.advance(60)
    realm.host(first).thaw()
    assert not first.process.alive
    written = realm.lab.server.get("test", "AgenticTask", "throne", "default").status
    realm.lab.advance(1)
    assert realm.lab.server.get("test", "AgenticTask", "throne", "default").status.attempt > written.attempt
    assert all(at <= frozen for at, who in realm.writes if who == actor)
    assert realm.leader() == second


def test_a_freeze_shorter_than_the_lease_costs_nothing() -> None:
    realm = Realm()
    realm.lab.advance(100)
    first = realm.leader()
    realm.host(first).freeze()
    realm.lab.advance(RENEW_SECONDS - 2 * RETRY_SECONDS)
    realm.host(first).thaw()
    realm.lab.advance(100)
    assert realm.leader() == first


@pytest.mark.parametrize("skew", [-86_400, -10, 10, 86_400])
def test_clocks_that_disagree_change_nothing(skew: int) -> None:
    realm = Realm()
    for number, host in enumerate(realm.hosts):
        host.skew = number * skew * SECOND
    realm.lab.advance(300)
    first = realm.leader()
    assert len(realm.reigns) == 1
    realm.host(first).skew -= skew * SECOND
    realm.lab.advance(300)
    assert realm.reigns == [first]
    realm.host(first).crash()
    assert realm.settle().host != first.host


def test_a_leader_that_finds_another_name_on_the_lease_leaves_at_once() -> None:
    realm = Realm()
    realm.lab.advance(100)
    first = realm.leader()
    realm.lab.server.patch("test", realm.lease(), {"spec": {"holder_identity": "usurper"}}, None)
    realm.lab.advance(RETRY_SECONDS + 0.1)
    assert not first.rules()
    assert realm.lease().spec.holder_identity == "usurper"


def test_an_outage_of_the_api_deposes_the_leader_and_afterwards_there_is_one_again() -> None:
    realm = Realm()
    realm.lab.advance(100)
    first = realm.leader()
    realm.lab.endpoint.fail()
    realm.lab.advance(60)
    assert not first.rules()
    assert not [each for each in realm.reigns if each.rules()]
    realm.lab.endpoint.recover()
    realm.settle()


def test_a_claim_whose_answer_is_lost_still_leads_to_one_leader() -> None:
    realm = Realm(2)
    lost = realm.lab.endpoint.intercept = _LoseFirstReply()
    realm.lab.advance(60)
    assert lost.done
    assert realm.leader().since < 20
    assert len(realm.reigns) == 1


class _LoseFirstReply:
    """Applies the first creation of the lease and loses the answer."""

    done = False

    def __call__(self, request: Any) -> str | None:
        if self.done or request.verb != "create":
            return None
        self.done = True
        return "lose-reply"


def test_a_leader_that_is_told_to_end_hands_over_within_a_retry() -> None:
    realm = Realm()
    realm.lab.advance(100)
    first = realm.leader()
    realm.host(first).terminate()
    realm.lab.advance(RETRY_SECONDS + 0.1)
    assert not realm.host(first).up
    assert realm.host(first).exits == [], "an orderly end is no crash"
    assert realm.leader().host != first.host
    assert realm.lease().spec.lease_transitions == 1


def test_a_leader_that_ends_does_not_clear_the_lease_of_its_successor() -> None:
    realm = Realm(1)
    realm.lab.advance(100)
    first = realm.leader()
    realm.lab.server.patch("test", realm.lease(), {"spec": {"holder_identity": "usurper"}}, None)
    realm.host(first).terminate()
    realm.lab.advance(1)
    assert not realm.host(first).up
    assert realm.host(first).exits == []
    assert realm.lease().spec.holder_identity == "usurper"


def test_a_release_without_an_answer_does_not_hold_the_end_up() -> None:
    realm = Realm()
    realm.lab.advance(100)
    first = realm.leader()
    realm.lab.endpoint.intercept = lambda request: "drop"
    realm.host(first).terminate()
    realm.lab.advance(RELEASE_SECONDS + 0.1)
    assert not realm.host(first).up
    assert realm.host(first).exits == []


def test_a_candidate_that_is_told_to_end_leaves_the_lease_alone() -> None:
    realm = Realm()
    realm.lab.advance(100)
    first = realm.leader()
    for host in realm.hosts:
        if host.name != first.host:
            host.terminate()
    realm.lab.advance(5)
    assert [host.name for host in realm.hosts if host.up] == [first.host]
    assert realm.lease().spec.holder_identity == f"{first.host}/1"


def test_a_candidate_that_loses_the_race_for_a_free_lease_does_not_lead() -> None:
    """Both read the same free lease; only one write can be the first."""
    realm = Realm(2)
    realm.lab.advance(100)
    first = realm.leader()
    lease = realm.lease()
    late = Election(realm.lab.client(first.process), first.process, "late")
    realm.lab.server.patch("test", lease, {"spec": {"holder_identity": "early"}}, lease.version)
    assert not realm.lab.run(late._take(lease, realm.lab.now()), first.process)
    assert realm.lease().spec.holder_identity == "early"


# under random trouble

TROUBLES = ["crash", "freeze", "cut_in", "cut_out", "skew", "outage", "leader-freeze", "leader-crash", "leader-end"]
TROUBLE = st.lists(
    st.tuples(
        st.sampled_from(
            ["crash", "freeze", "cut_in", "cut_out", "skew", "outage", "leader-freeze", "leader-crash", "leader-end"]
        ),
        st.integers(0, 2),
        st.integers(1, 40),
        st.integers(0, 40),
    ),
    max_size=8,
)


class Chaos:
    """Strikes a realm; each trouble is mended after its time, then everything rests for a while."""

    def __init__(self, seed: int) -> None:
        self.realm = Realm(3, {"choices": ["1ms", "1ms", "900ms"]}, seed)
        self.lab = self.realm.lab
        self.clashes: list[list[str]] = []
        self.lab.server.observers.append(lambda change: self.watch())

    def watch(self) -> None:
        """At every write to the API: at most one may act."""
        ruling = [each for each in self.realm.reigns if each.rules()]
        if len(ruling) > 1:
            self.clashes.append([each.host for each in ruling])

    def strike(self, what: str, number: int, seconds: int, pause: int) -> None:
        host = self.realm.hosts[number]
        if what.startswith("leader-"):
            ruling = [each for each in self.realm.reigns if each.rules()]
            host = self.realm.host(ruling[0]) if ruling else host
            what = what.removeprefix("leader-")
        getattr(self, f"_{what}")(host, seconds)
        self.lab.advance(pause)

    def _crash(self, host: Host, seconds: int) -> None:
        host.crash()
        self.lab.advance(seconds)
        host.boot()

    def _end(self, host: Host, seconds: int) -> None:
        host.terminate()
        self.lab.advance(seconds)
        host.boot()

    def _freeze(self, host: Host, seconds: int) -> None:
        host.freeze()
        self.lab.advance(seconds)
        host.thaw()

    def _cut(self, host: Host, way: str, seconds: int) -> None:
        setattr(self.lab.links[host.name], way, True)
        self.lab.advance(seconds)
        setattr(self.lab.links[host.name], way, False)

    def _cut_in(self, host: Host, seconds: int) -> None:
        self._cut(host, "cut_in", seconds)

    def _cut_out(self, host: Host, seconds: int) -> None:
        self._cut(host, "cut_out", seconds)

    def _skew(self, host: Host, seconds: int) -> None:
        host.skew += (seconds - 20) * 1000 * SECOND

    def _outage(self, host: Host, seconds: int) -> None:
        self.lab.endpoint.fail()
        self.lab.advance(seconds)
        self.lab.endpoint.recover()


@settings(max_examples=60)
@given(troubles=TROUBLE, seed=st.integers(0, 1000))
def test_never_two_that_may_act_and_in_the_end_one(troubles: list[tuple[str, int, int, int]], seed: int) -> None:
    chaos = Chaos(seed)
    chaos.lab.advance(10)
    for trouble in troubles:
        chaos.strike(*trouble)
    chaos.lab.advance(3 * TAKEOVER)
    assert chaos.clashes == []
    leader = chaos.realm.leader()
    assert chaos.realm.writes[-1][1].startswith(leader.host)
    assert not any(isinstance(error, Conflict) for host in chaos.realm.hosts for _, _, error in host.exits)
