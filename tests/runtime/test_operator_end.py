"""An operator that is told to end: it begins nothing more, hands the lease over, and nothing is lost."""

from __future__ import annotations

from support import advance, unharmed, until, world

from foreman.election import LEASE_NAME, RETRY_SECONDS
from sim.world import World

STORY = """
story: One of two operators is told to end under load.
operators: {replicas: 2, leaderElection: true}
fleet: {node: {count: 4, slots: 2}}
workload: {count: 60, arrivals: {poisson: 2/s}}
executor: {duration: 2s}
until: 10m
"""


def leader(w: World) -> str:
    """The host whose operator holds the lease, or ''."""
    return w.server.get("test", "Lease", LEASE_NAME, "foreman-system").spec.holder_identity.partition("/")[0]


def test_a_leader_told_to_end_is_followed_at_once_and_no_task_is_lost() -> None:
    w = world(STORY)
    advance(w, 10)
    first = leader(w)
    w.hosts[first].terminate()
    until(w, lambda: leader(w) not in ("", first), within=RETRY_SECONDS + 1)
    assert not w.hosts[first].up
    assert w.hosts[first].exits == []
    w.run()
    assert w.stats.settled == 60
    unharmed(w)


def test_an_operator_on_its_way_out_assigns_nothing_more() -> None:
    w = world(STORY, "operators.replicas=1")
    advance(w, 10)
    with w.hold(kind="Lease", actor="operator-0"):
        w.hosts["operator-0"].terminate()
        advance(w, 1)
        before = w.server.version
        made = len(w.server.tables["AgenticTask"])
        advance(w, 3)
        assert w.hosts["operator-0"].up, "it still waits for the lease to be released"
        assert w.server.version > before
        phases = {str(t.status.phase) for t in list(w.server.tables["AgenticTask"].values())[made:]}
        assert phases == {"None"}, "new tasks are left to the next operator"
