"""The registrar: one FleetNode, its heartbeat, its farewell; two processes of one name; an API that is away."""

from __future__ import annotations

import pytest
from agent_kit import NAMED_RAM, Site
from support import new_node

from foreman.agent.registrar import Identity, Refused, Registrar, spec_equal
from foreman.api import AgentKind, FleetNodePhase, FleetNodeSpec
from foreman.cluster import Conflict
from sim.host import EPOCH, SECOND

WORKER = FleetNodeSpec(node_name="n1", tailscale_addr="100.64.0.1", roles=("worker", "verifier"), slots=2)


def registered(site, spec=WORKER, **identity):
    """Register once as n1."""

    async def main(cluster, process):
        registrar = Registrar(cluster, process, Identity("n1", "m/1", spec, **identity), lambda: site.capability)
        await registrar.register()
        return registrar

    return site.call(main)


def spec_writes(site):
    """How often the FleetNode's spec or labels were patched."""
    return sum(change.kind == "FleetNode" and change.verb == "patch" for change in site.writes)


# upsert


@pytest.mark.parametrize(
    ("change", "equal"),
    [
        ({}, True),
        ({"node_name": "n2"}, False),
        ({"tailscale_addr": ""}, False),
        ({"roles": ("worker",)}, False),
        ({"roles": ("verifier", "worker")}, False),
        ({"roles": ()}, False),
        ({"slots": 1}, False),
    ],
)
def test_spec_equal(change, equal):
    """TestSpecEqual: every field counts, and the order of roles (ours: slots as well)."""
    assert spec_equal(WORKER, WORKER.evolve(**change)) is equal


def test_an_agent_that_may_not_have_its_node_ends_and_says_so():
    site = Site()

    async def main(cluster, process):
        cluster.forbidden = frozenset({"create"})
        registrar = Registrar(cluster, process, Identity("n1", "m/1", WORKER), lambda: site.capability)
        with pytest.raises(Refused, match=r"cannot register FleetNode n1: .* cannot create"):
            await registrar.register()

    site.call(main)


def test_a_missing_node_is_created():
    """Upsert_CreatesIfMissing."""
    site = Site()
    registered(site)
    assert site.node().spec == WORKER
    assert site.node().metadata.generation == 1


def test_a_changed_spec_is_updated():
    """Upsert_UpdatesIfSpecChanged."""
    site = Site()
    site.server.create("user", new_node("n1", roles=["old"]))
    registered(site)
    assert site.node().spec == WORKER
    assert site.node().metadata.generation == 2


def test_an_unchanged_spec_is_not_written():
    """Upsert_NoopIfSpecUnchanged: the upsert leaves resourceVersion alone, only the heartbeat raises it."""
    site = Site()
    registered(site)
    before = int(site.node().version)
    site.advance(2)
    registered(site)
    assert spec_writes(site) == 0
    assert int(site.node().version) == before + 1
    assert site.node().metadata.generation == 1


def test_labels_are_set_on_create():
    """Upsert_SetsLabelsOnCreate."""
    site = Site()
    registered(site, labels={"pool": "fast"})
    assert site.node().metadata.labels == {"pool": "fast"}


@pytest.mark.parametrize(
    ("there", "ours", "after"),
    [
        ({}, {"pool": "fast"}, {"pool": "fast"}),
        ({"zone": "a"}, {"pool": "fast"}, {"zone": "a", "pool": "fast"}),
        ({"pool": "slow"}, {"pool": "fast"}, {"pool": "fast"}),
        ({"pool": "fast", "zone": "a"}, {"pool": "fast"}, {"pool": "fast", "zone": "a"}),
        ({"pool": "slow"}, {}, {"pool": "slow"}),
        ({}, {}, {}),
    ],
)
def test_labels_are_merged_and_never_removed(there, ours, after):
    """MergeManagedLabels, Upsert_ReappliesLabelsOnExisting."""
    site = Site()
    site.server.create("user", new_node("n1", labels=there).evolve(spec=WORKER))
    registered(site, labels=ours)
    assert site.node().metadata.labels == after
    assert spec_writes(site) == (there != after)


# heartbeat


def test_a_heartbeat_writes_phase_and_capability():
    """PatchHeartbeat_WritesPhaseAndCapability."""
    site = Site()
    registered(site)
    status = site.node().status
    assert status.phase is FleetNodePhase.READY
    assert status.capability.available_ram_gb == NAMED_RAM
    assert status.last_heartbeat_time == EPOCH


def test_a_heartbeat_stamps_version_and_kind():
    """PatchHeartbeat_StampsVersionAndKind (with os and arch)."""
    site = Site()
    registered(site, version="1.2.3", os="darwin", arch="arm64")
    status = site.node().status
    assert (status.agent_version, status.agent_kind) == ("1.2.3", AgentKind.FOREMAN_AGENT)
    assert (status.os, status.arch, status.instance) == ("darwin", "arm64", "m/1")


def test_an_empty_version_is_not_written():
    """PatchHeartbeat_EmptyVersionOmitted: what stands there stays."""
    site = Site()
    registered(site, version="1.2.3")
    site.advance(2)
    registered(site)
    assert site.node().status.agent_version == "1.2.3"
    assert "agent_version" not in site.writes[-1].fields


def test_heartbeats_come_at_their_interval_with_the_capability_of_the_moment():
    site = Site()
    site.agent(heartbeat=30)
    site.advance(1)
    site.capability = site.capability.evolve(available_ram_gb=7)
    site.advance(30)
    status = site.node().status
    assert (status.last_heartbeat_time, status.capability.available_ram_gb) == (EPOCH + 30, 7)
    site.advance(90)
    assert sum(change.kind == "FleetNode" and "capability" in change.fields for change in site.writes) == 5


def test_a_heartbeat_does_not_undo_what_the_operator_says():
    """One writer a field: after registering, only the operator moves a node between Ready and NotReady."""
    site = Site()
    site.agent()
    site.advance(1)
    site.write(site.node(), phase="NotReady")
    site.advance(31)
    assert site.node().status.phase is FleetNodePhase.NOT_READY
    assert site.node().status.last_heartbeat_time >= EPOCH + 30


def test_a_lost_heartbeat_is_made_up_for_at_the_next():
    site = Site()
    site.agent()
    site.advance(1)
    with site.hold(verb="patch_status", kind="FleetNode", fate="drop", limit=1) as lost:
        site.advance(60)
    assert lost.caught == 1
    site.advance(30)
    assert site.node().status.last_heartbeat_time >= EPOCH + 60
    assert site.hosts["n1"].boots == 1


def test_a_node_that_vanished_is_registered_again():
    """Run never re-upserts upstream (fixed in [POST] #1792): a deleted FleetNode stayed away for ever."""
    site = Site()
    site.agent(labels={"pool": "fast"})
    site.advance(1)
    site.server.delete("user", site.node())
    site.advance(31)
    assert site.node().status.phase is FleetNodePhase.READY
    assert site.node().metadata.labels == {"pool": "fast"}
    assert site.hosts["n1"].boots == 1


# start and end


def test_the_agent_says_draining_and_ends_on_sigterm():
    """Run_DrainsAndExitsOnCancel."""
    site = Site()
    host = site.agent()
    site.advance(1)
    host.terminate()
    site.advance(1)
    assert site.node().status.phase is FleetNodePhase.DRAINING
    assert not host.up
    assert host.exits == []


def test_a_farewell_that_gets_no_answer_does_not_hold_the_end_up_for_more_than_five_seconds():
    site = Site()
    host = site.agent()
    site.advance(1)
    with site.hold(verb="get", kind="FleetNode"):
        host.terminate()
        site.advance(4.9)
        assert host.up
        site.advance(0.2)
        assert not host.up


def test_a_farewell_that_comes_too_late_for_its_version_is_said_again():
    """Unsaid, the node would still be given tasks, and give each of them back at once."""
    site = Site()
    host = site.agent()
    site.advance(1)
    with site.hold(verb="patch_status", kind="FleetNode", limit=1) as farewell:
        host.terminate()
        site.until(lambda: bool(farewell.held), within=1)
        site.write(site.node(), phase="NotReady")
    site.advance(1)
    assert site.node().status.phase is FleetNodePhase.DRAINING
    assert not host.up


def test_no_heartbeat_follows_the_farewell():
    site = Site()
    site.put("t", "n1", timeoutSeconds=100)
    host = site.agent(grace=60, heartbeat=5)
    site.seconds = 40
    site.advance(2)
    host.terminate()
    site.advance(30)
    assert host.up
    assert site.node().status.phase is FleetNodePhase.DRAINING
    assert site.node().status.last_heartbeat_time <= EPOCH + 3


def test_an_agent_starts_before_the_api_server():
    site = Site()
    site.endpoint.fail()
    host = site.agent()
    site.advance(300)
    assert host.boots - len(host.exits) == 1
    site.endpoint.recover()
    site.until(lambda: "n1" in site.server.tables["FleetNode"], within=40)
    site.advance(1)
    assert site.node().status.phase is FleetNodePhase.READY


def test_registration_survives_the_loss_of_any_answer():
    for verb in ("get", "create", "patch_status"):
        site = Site()
        with site.hold(verb=verb, kind="FleetNode", fate="lose-reply", limit=1) as lost:
            site.agent()
            site.advance(30)
        assert lost.caught == 1
        assert site.node().status.phase is FleetNodePhase.READY
        assert site.hosts["n1"].boots == 1


# two processes, one name


def test_the_second_process_of_a_name_waits_while_the_first_lives():
    site = Site()
    site.agent("n1", "one")
    site.advance(1)
    site.agent("n1", "two")
    site.advance(600)
    assert site.node().status.instance == "one/1"
    assert [host.boots for host in site.hosts.values()] == [1, 1]


def test_the_standby_takes_over_when_the_first_falls_silent():
    site = Site()
    first = site.agent("n1", "one")
    site.advance(1)
    site.agent("n1", "two")
    site.advance(100)
    first.crash()
    site.advance(60)
    assert site.node().status.instance == "one/1"
    site.advance(75)
    assert site.node().status.instance == "two/1"
    assert site.node().status.phase is FleetNodePhase.READY


def test_the_standby_takes_over_at_once_when_the_first_drains():
    site = Site()
    first = site.agent("n1", "one")
    site.advance(1)
    site.agent("n1", "two")
    site.advance(5)
    first.terminate()
    site.advance(11)
    assert site.node().status.instance == "two/1"


def test_a_standby_that_slept_does_not_take_its_own_sleep_for_the_firsts_silence():
    site = Site()
    site.agent("n1", "one")
    site.advance(1)
    second = site.agent("n1", "two")
    site.advance(5)
    with site.hold(verb="get", actor="two", kind="FleetNode", limit=1) as question:
        site.until(lambda: bool(question.held), within=11)
        second.freeze()
    site.advance(150)
    second.thaw()
    site.advance(60)
    assert site.node().status.instance == "one/1"


def test_who_is_to_take_over_takes_the_name_at_once_and_the_first_ends():
    site = Site()
    first = site.agent("n1", "one", restart=1000)
    site.advance(5)
    site.agent("n1", "two", take_over=True)
    site.advance(1)
    assert site.node().status.instance == "two/1"
    site.advance(30)
    assert [type(error).__name__ for _, _, error in first.exits] == ["Superseded"]
    assert site.hosts["two"].exits == []


def test_a_standby_says_whom_it_waits_for_once():
    site = Site()
    said = []
    site.agent("n1", "one")
    site.advance(1)
    second = site.agent("n1", "two")
    site.agents_made["two"] = lambda agent: setattr(agent.registrar, "on_standby", said.append)
    site.advance(300)
    assert said == ["one/1"]
    assert site.agents["two"].registrar.standing_by_for == "one/1"
    assert second.exits == []


def test_a_standby_ends_when_it_is_told_to():
    site = Site()
    site.agent("n1", "one")
    site.advance(1)
    second = site.agent("n1", "two")
    site.advance(60)
    second.terminate()
    site.advance(6)
    assert not second.up
    assert second.exits == []
    assert (site.node().status.instance, site.node().status.phase) == ("one/1", FleetNodePhase.READY)


def test_an_agent_that_never_reached_the_api_server_ends_when_it_is_told_to():
    site = Site()
    site.endpoint.fail()
    host = site.agent()
    site.advance(60)
    host.terminate()
    site.advance(6)
    assert not host.up
    assert host.exits == []


def test_a_restart_on_the_same_machine_does_not_wait():
    site = Site()
    host = site.agent()
    site.advance(1)
    host.crash()
    host.boot()
    site.advance(1)
    assert site.node().status.instance == "n1/2"


def test_who_finds_its_name_taken_over_ends_and_comes_back_as_standby():
    site = Site()
    first = site.agent("n1", "one")
    site.advance(1)
    site.agent("n1", "two")
    site.advance(5)
    first.freeze()
    site.advance(150)
    assert site.node().status.instance == "two/1"
    first.thaw()
    site.advance(60)
    assert [type(error).__name__ for _, _, error in first.exits] == ["Superseded"]
    assert first.boots == 2
    assert site.node().status.instance == "two/1"


def test_a_spec_changed_under_the_upsert_is_looked_at_again():
    """A racing write between read and patch is a Conflict, and no reason to end."""
    site = Site()
    site.server.create("user", new_node("n1", roles=["old"]))
    with site.hold(verb="patch", kind="FleetNode", limit=1) as held:
        host = site.agent("n1")
        site.until(lambda: bool(held.held), within=5)
        site.write(site.node(), phase="NotReady")
    site.advance(1)
    assert site.node().spec.roles == ("worker",)
    assert site.node().status.phase is FleetNodePhase.READY
    assert host.boots == 1


def test_two_processes_that_register_in_the_same_moment_end_with_one_owner():
    site = Site()
    site.agent("n1", "one")
    site.agent("n1", "two")
    site.advance(120)
    assert site.node().status.instance in ("one/1", "two/1")
    assert sum(bool(host.exits) for host in site.hosts.values()) == 0
    names = {c.fields["instance"] for c in site.writes if c.kind == "FleetNode" and "instance" in c.fields}
    assert len(names) == 1


def test_who_found_the_name_free_a_moment_too_early_does_not_take_it_from_its_new_owner():
    """Whatever the steps of two registrations fall between: what has been found free is taken at that very version."""
    for offset in range(1, 12):
        site = Site()
        site.agent("n1", "one")
        site.advance(offset / 2000)
        site.agent("n1", "two")
        site.advance(100)
        owners = {c.fields["instance"] for c in site.writes if c.kind == "FleetNode" and "instance" in c.fields}
        assert len(owners) == 1, f"{offset / 2} ms apart"


def test_a_heartbeat_that_gets_no_answer_does_not_delay_the_next():
    """Else two lost ones in a row last longer than the 90 s that are meant for three."""
    site = Site()
    site.agent(heartbeat=30)
    site.advance(1)
    with site.hold(verb="patch_status", kind="FleetNode", fate="drop", limit=2) as lost:
        site.advance(90)
    assert lost.caught == 2
    assert site.node().status.last_heartbeat_time == EPOCH + 90


def test_a_heartbeat_after_a_strangers_write_is_repeated_on_what_is_there_now():
    site = Site()
    site.agent()
    site.advance(29)
    with site.hold(verb="patch_status", kind="FleetNode", limit=1) as held:
        site.until(lambda: bool(held.held), within=5)
        site.write(site.node(), phase="NotReady")
    site.advance(1)
    assert site.node().status.last_heartbeat_time == EPOCH + site.clock.now // SECOND - 1
    assert site.hosts["n1"].exits == []


def test_conflicts_are_what_a_stale_heartbeat_gets():
    """The fence itself: a write for a version that has passed is refused."""
    site = Site()
    registered(site)
    stale = site.node()
    site.write(stale, phase="NotReady")
    with pytest.raises(Conflict):
        site.server.patch_status("m/1", stale, {"phase": "Ready"}, stale.version)
