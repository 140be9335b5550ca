"""Each fault can be felt while it lasts, and not any more once it is mended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from support import advance, new_task, node, unharmed, world

from foreman.cluster import ClusterError, Event, Expired, NotFound, Unavailable
from foreman.runtime import ProcessExit
from sim.cluster import SimCluster
from sim.fault import FAULTS, ON_MESSAGES
from sim.faults.strikes import _STRIKES
from sim.host import SECOND
from sim.load import load
from sim.world import World

CALM = """
fleet: {cpu: {count: 3}, gpu: {count: 1}}
workload: {count: 4}
executor: {duration: 200s}
agent: {heartbeat: 1s, restartDelay: 5s}
operators: {restartDelay: 5s}
network: {latency: 1ms, watch: 1ms}
"""
BEFORE, DURING, AFTER = 15.0, 30.0, 75.0
"""Seconds at which a fault that lasts from 20 s to 50 s is looked at."""


def struck(fault: str, extra: str = "", **keys: str) -> World:
    """A calm world with one fault from 20 s to 50 s."""
    told = "".join(f", {key}: {value}" for key, value in keys.items())
    return world(f"{CALM}{extra}\nfaults: [{{at: 20s, for: 30s, fault: {fault}{told}}}]\n")


def to(w: World, seconds: float) -> World:
    advance(w, seconds - w.now() / SECOND)
    return w


class Answer(NamedTuple):
    """What a probe learned, after how many seconds."""

    value: Any
    seconds: float


def probe(w: World, host: str, ask: Callable[[SimCluster], Any]) -> Answer:
    """One exchange of `host` with the API server, now; errors are answers too."""
    process = w.hosts[host].process
    assert process is not None
    cluster = SimCluster(w.endpoint, w.links[host], process, "probe", "user")
    answers: list[Answer] = []
    started = w.now()

    async def run() -> None:
        try:
            value = await ask(cluster)
        except ClusterError as error:
            value = type(error)
        answers.append(Answer(value, (w.now() - started) / SECOND))

    process.spawn(run(), "probe")
    while not answers:
        advance(w, 0.001)
    return answers[0]


def read(cluster: SimCluster) -> Any:
    return cluster.get("FleetNode", "cpu-0")


async def see_a_beat(cluster: SimCluster) -> Event:
    return await anext(cluster.watch("FleetNode", since=str(cluster.server.version)))


def beats(w: World, name: str, seconds: float = 5) -> bool:
    """Whether the API server receives heartbeats of that node."""
    before = node(w, name).status.last_heartbeat_time
    advance(w, seconds)
    return node(w, name).status.last_heartbeat_time != before


Look = Callable[[World], Any]

FELT: list[tuple[str, str, dict[str, str], Look, Any, Any]] = [
    # fault, more of the scenario, keys of the fault, what is looked at, what it is normally, what it is meanwhile
    ("crash", "", {"host": "cpu-0"}, lambda w: w.hosts["cpu-0"].up, True, False),
    ("crash", "", {"host": "cpu-0"}, lambda w: beats(w, "cpu-0"), True, False),
    ("freeze", "", {"host": "cpu-0"}, lambda w: beats(w, "cpu-0"), True, False),
    ("freeze", "", {"host": "cpu-0"}, lambda w: (w.hosts["cpu-0"].up, w.hosts["cpu-0"].boots), (True, 1), (True, 1)),
    ("partition", "", {"host": "cpu-0"}, lambda w: probe(w, "cpu-0", read).value is Unavailable, False, True),
    ("partition", "", {"host": "cpu-0"}, lambda w: beats(w, "cpu-0"), True, False),
    ("partition", "", {"host": "cpu-0", "direction": "out"}, lambda w: beats(w, "cpu-0"), True, False),
    ("drain", "", {"host": "cpu-0"}, lambda w: str(node(w, "cpu-0").status.phase), "Ready", "Draining"),
    ("slow", "", {"host": "cpu-0", "by": "1s"}, lambda w: round(probe(w, "cpu-0", read).seconds), 0, 2),
    ("loss", "", {"host": "cpu-0", "rate": "1"}, lambda w: probe(w, "cpu-0", read).value is Unavailable, False, True),
    ("watch-lag", "", {"host": "cpu-0", "by": "7s"}, lambda w: probe(w, "cpu-0", see_a_beat).seconds > 6, False, True),
    ("skew", "", {"host": "cpu-0", "by": "-2m"}, lambda w: w.hosts["cpu-0"].process.wall() - w.server.wall(), 0, -120),
    ("api-outage", "", {}, lambda w: probe(w, "cpu-0", read), (Any, 0.0), (Unavailable, 0.0)),
    (
        "replica-lag",
        "apiserver: {replicas: 2}",
        {"host": "'*'", "by": "7s"},
        lambda w: probe(w, "cpu-0", see_a_beat).seconds > 6,
        False,
        True,
    ),
]


def _same(seen: Any, expected: Any) -> bool:
    if isinstance(seen, Answer):
        return (seen.value is Unavailable) == (expected[0] is Unavailable)
    return bool(seen == expected)


@pytest.mark.parametrize(("fault", "extra", "keys", "look", "normal", "meanwhile"), FELT)
def test_a_fault_is_felt_while_it_lasts(
    fault: str, extra: str, keys: dict[str, str], look: Look, normal: Any, meanwhile: Any
) -> None:
    w = struck(fault, extra, **keys)
    assert _same(look(to(w, BEFORE)), normal)
    assert _same(look(to(w, DURING)), meanwhile)
    assert _same(look(to(w, AFTER)), normal)
    assert (w.faults.pending, w.faults.ended_at) == (0, 50 * SECOND)
    unharmed(w)


def test_a_crashed_process_starts_anew_and_a_frozen_one_goes_on() -> None:
    crashed, frozen = struck("crash", host="cpu-0"), struck("freeze", host="cpu-0")
    lives = [to(w, BEFORE).hosts["cpu-0"].process for w in (crashed, frozen)]
    assert to(crashed, AFTER).hosts["cpu-0"].process is not lives[0]
    assert to(frozen, AFTER).hosts["cpu-0"].process is lives[1]
    assert (crashed.hosts["cpu-0"].boots, frozen.hosts["cpu-0"].boots) == (2, 1)


def test_a_host_that_is_down_stays_down_although_its_program_was_about_to_be_restarted() -> None:
    """The supervisor of a machine without power restarts nothing."""
    w = struck("crash", host="cpu-0")
    to(w, 18)
    w.hosts["cpu-0"].exited("test", ProcessExit("ended by itself, due to be restarted at 23 s"))
    to(w, 30)
    assert not w.hosts["cpu-0"].up
    to(w, AFTER)
    assert w.hosts["cpu-0"].up


@pytest.mark.parametrize(("direction", "applied"), [("in", True), ("out", False), ("both", False)])
def test_a_partition_inwards_lets_writes_through_and_hides_their_answers(direction: str, applied: bool) -> None:
    w = to(struck("partition", host="cpu-0", direction=direction), DURING)
    assert probe(w, "cpu-0", lambda cluster: cluster.create(new_task("probe"))).value is Unavailable
    assert ("default/probe" in w.server.tables["AgenticTask"]) is applied
    link = to(w, AFTER).links["cpu-0"]
    assert (link.cut_in, link.cut_out) == (False, False)


def test_a_loss_of_some_messages_lets_others_through() -> None:
    w = to(struck("loss", host="cpu-0", rate="0.5"), 20.5)
    answers = [probe(w, "cpu-0", read).value for _ in range(4)]
    while w.now() < 45 * SECOND:
        answers.append(probe(w, "cpu-0", read).value)
    assert Unavailable in answers
    assert any(value is not Unavailable for value in answers)


def test_compaction_makes_old_versions_expire_and_nothing_else() -> None:
    w = struck("compact")
    to(w, 19)
    since = str(w.server.version)
    to(w, 21)

    async def resume(cluster: SimCluster) -> Event:
        return await anext(cluster.watch("FleetNode", since=since))

    assert probe(w, "cpu-0", resume).value is Expired
    assert probe(w, "cpu-0", see_a_beat).value.type == "MODIFIED"
    assert beats(w, "cpu-0")


def test_a_deleted_task_is_gone_and_its_run_is_cancelled() -> None:
    w = struck("delete-task", host="task-1")
    assert ("default/task-1", 1) in to(w, BEFORE).checkers.live
    to(w, DURING)
    with pytest.raises(NotFound):
        w.server.get("test", "AgenticTask", "task-1", "default")
    assert len(w.server.tables["AgenticTask"]) == 3
    assert "default/task-1" not in {key for key, _ in w.checkers.live}
    w.run()
    assert (w.stats.deleted, w.stats.settled) == (1, 3)
    unharmed(w)


def test_a_workload_deleted_in_the_foreground_goes_after_its_children() -> None:
    w = World(load("zoo/llmkube-949-rendered-while-deleted", ["mutations=[]", "expect={}"]))
    gone: list[str] = []
    w.server.observers.append(
        lambda change: gone.append(change.kind) if change.verb == "delete" and not change.new else None
    )
    w.run()
    assert [kind for kind in gone if kind in ("AgenticTask", "Workload")] == ["AgenticTask", "Workload"]
    assert not w.server.tables["Workload"]
    assert not w.server.tables["AgenticTask"]


def test_a_deleted_node_is_registered_again_by_its_agent() -> None:
    w = struck("delete-node", host="cpu-0")
    before = node(to(w, BEFORE), "cpu-0").metadata.uid
    after = node(to(w, DURING), "cpu-0")
    assert after.metadata.uid != before
    assert str(after.status.phase) == "Ready"
    unharmed(w)


def test_a_flapping_node_comes_and_goes_and_stays_when_it_is_over() -> None:
    w = struck("flap", host="cpu-0", by="10s")
    assert [to(w, seconds).links["cpu-0"].cut_in for seconds in (15, 25, 35, 45, 55, 65)] == [
        False,
        True,
        False,
        True,
        False,
        False,
    ]
    assert beats(w, "cpu-0")


def test_a_changed_capability_is_told_with_the_next_heartbeat_and_taken_back() -> None:
    w = struck("capability", host="cpu-0", to="{accelerator: cuda, ramGB: 8}")
    told = [node(to(w, seconds), "cpu-0").status.capability for seconds in (BEFORE, DURING, AFTER)]
    assert [(each.accelerator, each.total_ram_gb) for each in told] == [(None, 0), ("cuda", 8), (None, 0)]
    unharmed(w)


# plans


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("cpu-1", ["cpu-1"]),
        ("'cpu-*'", ["cpu-0", "cpu-1", "cpu-2"]),
        ("'*-0'", ["cpu-0", "gpu-0", "operator-0"]),
        ("'*'", ["cpu-0", "cpu-1", "cpu-2", "gpu-0", "operator-0", "user"]),
    ],
)
def test_a_pattern_strikes_all_hosts_that_match(pattern: str, hosts: list[str]) -> None:
    w = to(struck("slow", host=pattern, by="1ms"), DURING)
    assert sorted(name for name, link in w.links.items() if link.slow) == hosts
    assert w.faults.struck == len(hosts)
    assert not any(link.slow for link in to(w, AFTER).links.values())


def test_a_pattern_chooses_among_the_objects_there_are_when_it_strikes() -> None:
    w = to(struck("delete-task", host="'*-2'"), DURING)
    assert sorted(w.server.tables["AgenticTask"]) == ["default/task-0", "default/task-1", "default/task-3"]


def test_a_pattern_chooses_replicas() -> None:
    w = to(struck("replica-lag", "apiserver: {replicas: 3}", host="apiserver-1", by="2s"), DURING)
    assert [replica.lag for replica in w.endpoint.replicas] == [0, 2 * SECOND, 0]
    assert [replica.lag for replica in to(w, AFTER).endpoint.replicas] == [0, 0, 0]


def test_a_fault_is_repeated_as_often_as_planned() -> None:
    w = world(f"{CALM}\nfaults: [{{at: 20s, fault: crash, host: cpu-0, for: 2s, every: 10s, times: 3}}]\n")
    lives = []
    for seconds in (19, 21, 25, 31, 35, 41, 45, 60):
        lives.append(to(w, seconds).hosts["cpu-0"].up)
    assert lives == [True, False, True, False, True, False, True, True]
    assert (w.hosts["cpu-0"].boots, w.faults.pending) == (4, 0)


def test_a_fault_without_an_end_is_never_mended_but_does_not_keep_the_run_waiting() -> None:
    w = world(f"{CALM}\nfaults: [{{at: 20s, fault: crash, host: gpu-0}}]\n")
    to(w, 400)
    assert not w.hosts["gpu-0"].up
    assert w.faults.pending == 0


def test_delays_that_overlap_add_up_and_are_taken_back_one_by_one() -> None:
    w = world(
        f"{CALM}\nfaults: [{{at: 20s, for: 30s, fault: slow, host: cpu-0, by: 1s}},"
        " {at: 30s, for: 10s, fault: slow, host: 'cpu-*', by: 2s}]\n"
    )
    slow = [to(w, seconds).links["cpu-0"].slow // SECOND for seconds in (10, 25, 35, 45, 55)]
    assert slow == [0, 1, 3, 1, 0]


@pytest.mark.parametrize(
    ("fault", "felt"),
    [
        ("partition", lambda w: w.links["cpu-0"].cut_out and w.links["cpu-0"].cut_in),
        ("freeze", lambda w: not w.hosts["cpu-0"].process.running),
        ("crash", lambda w: not w.hosts["cpu-0"].up),
        ("api-outage", lambda w: not w.endpoint.available),
        ("loss, rate: 0.5", lambda w: w.links["cpu-0"].loss_out > 0),
    ],
)
def test_a_fault_that_overlaps_its_like_lasts_until_both_are_over(fault: str, felt: Callable[[World], bool]) -> None:
    host = "" if fault == "api-outage" else ", host: cpu-0"
    w = world(
        f"{CALM}\nfaults: [{{at: 20s, for: 20s, fault: {fault}{host}}}, {{at: 30s, for: 30s, fault: {fault}{host}}}]\n"
    )
    assert [bool(felt(to(w, seconds))) for seconds in (10, 25, 35, 45, 55, 65)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]


def test_every_fault_of_the_schema_is_tried_here() -> None:
    tried = {fault for fault, *_ in FELT} | {
        "compact",
        "delete-task",
        "delete-node",
        "delete-workload",
        "flap",
        "capability",
    }
    assert tried == set(_STRIKES)
    assert set(_STRIKES) | set(ON_MESSAGES) == set(FAULTS)
