"""Heartbeats left out: whatever comes of a run, comes of it at the same microsecond as in the exact run."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from foreman.agent.watcher import Watcher
from foreman.liveness import Liveness
from sim.cluster import Watch
from sim.heartbeats.parts import RestingLiveness, RestingNodeController, StirringWatcher
from sim.heartbeats.pulses import Heartbeats
from sim.heartbeats.tally import Tally
from sim.heartbeats.trouble import Trouble
from sim.heartbeats.watches import QuietWatch
from sim.load import BadScenario, parse
from sim.mutations import Product
from sim.result import result_of
from sim.schedule import Listed
from sim.screen import closing
from sim.selection import Change
from sim.trace import Trace, summary
from sim.world import World

CALM = """
fleet: {gpu: {count: 3, slots: 2}, cpu: {count: 2}}
workload: {count: 25, arrivals: {poisson: 12/h}}
executor: {duration: {exponential: 8m}, errors: 0.1}
network: {latency: 1ms, watch: 1ms}
until: 3h
"""
COUNTED_ANEW = frozenset(
    {"digest", "events", "reconciles", "invariants", "heartbeats", "wall_seconds", "tasks_per_second"}
)
"""What of a result counts steps of the simulator, or checks of heartbeats."""


class Told:
    """Every write of a run but the heartbeats that only say that time has passed, and its result."""

    def __init__(self, text: str, mode: str, seed: int = 0) -> None:
        self.world = World(parse(text, "elided.yaml", [f"heartbeats={mode}"]), seed)
        self.writes: list[tuple[Any, ...]] = []
        self.world.server.observers.append(self._committed)
        self.world.run()
        result = result_of(self.world)
        self.elided = result["heartbeats"]["elided"]
        self.result = {name: value for name, value in result.items() if name not in COUNTED_ANEW}
        self.nodes = {name: node.status for name, node in self.world.server.tables["FleetNode"].items()}

    def _committed(self, change: Change) -> None:
        if not _beat(change):
            said = summary(change.fields, getattr(change.old, "status", None))
            self.writes.append((self.world.now(), change.actor, change.verb, change.kind, change.key, said))


def _beat(change: Change) -> bool:
    """Whether only the time of the last heartbeat has changed."""
    if change.kind != "FleetNode" or change.old is None or change.new is None or change.verb != "patch_status":
        return False
    return bool(change.old.status.evolve(last_heartbeat_time=0) == change.new.status.evolve(last_heartbeat_time=0))


def same(text: str, seed: int = 0) -> int:
    """Both runs come to the same; how many heartbeats the one has left out."""
    exact, elided = Told(text, "exact", seed), Told(text, "elided", seed)
    assert exact.writes == elided.writes
    assert exact.result == elided.result
    assert exact.nodes == elided.nodes
    assert exact.world.server.version == elided.world.server.version
    assert elided.world.events <= exact.world.events
    assert exact.elided == 0
    return int(elided.elided)


FAULTS = {
    "crash": "{at: 40m, fault: crash, host: gpu-1, for: 5m}",
    "a crash for good": "{at: 40m, fault: crash, host: gpu-*}",
    "partition": "{at: 41m, fault: partition, host: gpu-0, for: 4m}",
    "one way": "{at: 41m, fault: partition, host: cpu-*, for: 10m, direction: in}",
    "freeze": "{at: 30m, fault: freeze, host: gpu-2, for: 3m}",
    "drain": "{at: 50m, fault: drain, host: cpu-1, for: 10m}",
    "flap": "{at: 50m, fault: flap, host: cpu-1, by: 20s, for: 10m}",
    "slow": "{at: 30m, fault: slow, host: 'gpu-*', by: 29500ms, for: 5m}",
    "loss": "{at: 30m, fault: loss, host: '*', rate: 0.4, for: 20m}",
    "skew": "{at: 30m, fault: skew, host: gpu-0, by: 1h, for: 20m}",
    "capability": "{at: 30m, fault: capability, host: gpu-0, to: {ramGB: 8}, for: 20m}",
    "watch lag": "{at: 30m, fault: watch-lag, host: operator-0, by: 70s, for: 30s}",
    "restart of the operator": "{at: 45m, fault: crash, host: operator-0, for: 2m}",
    "blind operator": "{at: 45m, fault: partition, host: operator-0, for: 4m}",
    "outage": "{at: 45m, fault: api-outage, for: 3m}",
    "compaction": "{at: 45m, fault: compact}",
    "deleted node": "{at: 45m, fault: delete-node, host: gpu-0}",
    "deleted tasks": "{at: 45m, fault: delete-task, host: '*'}",
    "random crashes": "{rate: 3/h, fault: crash, host: gpu-0, for: 1m}",
    "again and again": "{at: 20m, every: 25m, times: 4, fault: partition, host: gpu-0, for: 2m}",
    "wrong verdicts": "{fault: wrong-verdict, probability: 0.3, times: 9}",
    "lost answers": "{fault: lose-reply, on: {verb: patch_status, kind: AgenticTask}, probability: 0.2, times: 20}",
}


def test_in_a_calm_run_most_heartbeats_are_left_out() -> None:
    assert same(CALM) > 1000


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_comes_to_the_same(fault: str) -> None:
    assert same(f"{CALM}faults: [{fault}]\n") > 100


@pytest.mark.parametrize("more", ["operators: {replicas: 3}", "operators: {replicas: 2, leaderElection: true}"])
def test_several_operators_come_to_the_same(more: str) -> None:
    faults = f"faults: [{FAULTS['restart of the operator']}, {FAULTS['again and again']}]"
    assert same(f"{CALM}{more}\n{faults}\n") > 100


def test_a_history_as_short_as_the_beats_make_it_is_as_short_without_them() -> None:
    faults = f"faults: [{FAULTS['one way']}, {FAULTS['again and again']}]"
    assert same(f"{CALM}apiserver: {{history: 30}}\n{faults}\n") > 100


SEED = 4
SLOW = (
    CALM.replace("latency: 1ms, watch: 1ms", "latency: 1500ms, watch: 500ms")
    .replace("25", "150")
    .replace("12/h", "60/h")
)
CRASHES = f"{CALM}faults: [{FAULTS['a crash for good']}]\n"


def test_slow_messages_come_to_the_same() -> None:
    """A stream is opened anew for seconds at a time, and some events fall into just those."""
    assert same(SLOW, SEED) > 500


def _unwarned(patch: pytest.MonkeyPatch) -> None:
    """A crashed host's heartbeats go on in the books."""
    patch.setattr(Heartbeats, "brace", lambda self, names: None)
    patch.setattr(Trouble, "at", lambda self, node: False)


def _unlucky(patch: pytest.MonkeyPatch) -> None:
    """The random faults that are expected are others than those that come."""
    at_random = Trouble._at_random
    patch.setattr(
        Trouble,
        "_at_random",
        lambda self, fault, luck, since, number: at_random(self, fault, luck, since + 10**9, number),
    )


def _unstirred(patch: pytest.MonkeyPatch) -> None:
    """A run that begins or ends is not told with the next heartbeat."""
    patch.setattr(StirringWatcher, "__init__", lambda self, *args, **kwargs: Watcher.__init__(self, *args, **kwargs))


def _unlooked(patch: pytest.MonkeyPatch) -> None:
    """An operator never comes back to a node that it left out of its rounds."""
    patch.setattr(RestingNodeController, "look_again", lambda self, pulse, look: None)


def _unheard(patch: pytest.MonkeyPatch) -> None:
    """An operator hears nothing of heartbeats that are left out."""
    patch.setattr(RestingLiveness, "silence", Liveness.silence)


def _uncounted(patch: pytest.MonkeyPatch) -> None:
    """The server's versions do not count them."""
    patch.setattr(Tally, "by", lambda self, now: 0)


def _gapless(patch: pytest.MonkeyPatch) -> None:
    """A quiet watch always stands."""
    patch.setattr(QuietWatch, "send", Watch.send)


def _unread(patch: pytest.MonkeyPatch) -> None:
    """A pulse stands although the last beat has not told what there is to tell."""
    settled = RestingNodeController.settled
    patch.setattr(RestingNodeController, "settled", lambda self, name, seen: settled(self, name, seen) or True)


RANDOM = f"{CALM}faults: [{FAULTS['random crashes']}]\n"
LAGGING = f"{CALM}faults: [{FAULTS['watch lag']}, {FAULTS['blind operator'].replace('45m', '70m')}]\n"
SHORT = f"{CALM}apiserver: {{history: 30}}\nfaults: [{FAULTS['one way']}, {FAULTS['again and again']}]\n"


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (_unwarned, CRASHES),
        (_unlucky, RANDOM),
        (_unstirred, CALM),
        (_unlooked, CRASHES),
        (_unheard, SLOW),
        (_uncounted, SHORT),
        (_gapless, SLOW),
        (_unread, LAGGING),
    ],
)
def test_it_would_not_without(spoil: Callable[[pytest.MonkeyPatch], None], text: str, monkeypatch: Any) -> None:
    spoil(monkeypatch)
    with pytest.raises(AssertionError):
        same(text, SEED)


def _fault(kind: str, host: str, at: int, for_: int) -> str:
    more = {"flap": ", by: 17s", "slow": ", by: 11s", "skew": ", by: 7m", "watch-lag": ", by: 40s"}.get(kind, "")
    more = {"loss": ", rate: 0.3", "capability": ", to: {ramGB: 3}"}.get(kind, more)
    where = "" if kind in ("api-outage", "compact") else f", host: {host}"
    lasts = "" if kind in ("compact", "delete-node") else f", for: {for_}s"
    return f"{{at: {at}ms, fault: {kind}{where}{lasts}{more}}}"


AGENTS_FAULTS = ("crash", "freeze", "partition", "drain", "flap", "slow", "loss", "skew", "capability", "delete-node")
OPERATORS_FAULTS = ("crash", "freeze", "partition", "slow", "watch-lag", "loss")


@st.composite
def troubled(draw: st.DrawFn) -> str:
    """A small fleet with tasks and faults, and delays of up to as long as is allowed."""
    nodes, interval = draw(st.integers(1, 4)), draw(st.sampled_from([20, 30, 45, 60]))
    delays = st.sampled_from(["0s", "1ms", "250ms", "1s"])
    at, lasts = st.integers(0, 7_000_000), st.integers(1, 900)
    hosts = st.sampled_from([f"node-{number}" for number in range(nodes)])
    struck = st.one_of(
        st.builds(_fault, st.sampled_from(AGENTS_FAULTS), hosts, at, lasts),
        st.builds(_fault, st.sampled_from(OPERATORS_FAULTS), st.just("operator-0"), at, lasts),
        st.builds(_fault, st.sampled_from(["api-outage", "compact"]), st.just(""), at, lasts),
    )
    faults = draw(st.lists(struck, max_size=3))
    return f"""
fleet: {{node: {{count: {nodes}, slots: {draw(st.integers(1, 3))}}}}}
workload: {{count: {draw(st.integers(0, 12))}, arrivals: {{poisson: 6/h}}}}
executor: {{duration: {{exponential: {draw(st.integers(1, 40))}m}}}}
agent: {{heartbeat: {interval}s}}
apiserver: {{history: {draw(st.sampled_from([20, 200, 20_000]))}}}
network: {{latency: {draw(delays)}, watch: {draw(delays)}}}
faults: [{", ".join(faults)}]
linger: 20m
until: 3h
"""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=troubled(), seed=st.integers(0, 2**32))
def test_whatever_happens_comes_to_the_same(text: str, seed: int) -> None:
    same(text, seed)


REFUSED = {
    "network: {latency: {choices: [1ms, 9ms]}, watch: 1ms}": "network.latency",
    "network: {latency: 1ms}": "network",
    "network: {latency: 1ms, watch: 1ms, loss: 0.1}": "network.loss",
    "agent: {heartbeat: 90s}": "agent.heartbeat",
    "agent: {heartbeat: 500ms}": "agent.heartbeat",
    "apiserver: {lag: [1s]}": "apiserver",
    "mutations: [no-slot-admission]": "mutations",
    "checks: {nodes: 3m}": "checks.nodes",
    "checks: {passedOver: 3m}": "checks.passedOver",
    "schedule: [{host: gpu-0, way: boot, takes: 1s}]": "schedule",
    "faults: [{fault: crash, host: gpu-0, after: {task: '*', phase: Running}}]": "faults.0",
    "faults: [{fault: crash, on: {kind: FleetNode}}]": "faults.0",
    "faults: [{fault: lose-reply, on: {verb: patch_status}}]": "faults.0",
    "faults: [{fault: drop-event, on: {kind: AgenticTask}}]": "faults.0",
}


@pytest.mark.parametrize(("more", "where"), REFUSED.items())
def test_what_would_not_come_to_the_same_is_refused_in_a_line(more: str, where: str) -> None:
    key = more.partition(":")[0]
    text = "".join(f"{line}\n" for line in CALM.strip().splitlines() if not line.startswith(f"{key}:"))
    parse(f"{text}{more}\n", "elided.yaml")
    with pytest.raises(BadScenario) as refused:
        parse(f"{text}{more}\nheartbeats: elided\n", "elided.yaml")
    assert len(refused.value.problems) == 1
    assert f" {where}" in refused.value.problems[0]
    assert "exact" in refused.value.problems[0]


def test_a_run_that_is_traced_or_scheduled_has_every_heartbeat() -> None:
    scenario = parse(f"{CALM}heartbeats: elided\nuntil: 1m\n".replace("until: 3h\n", ""), "elided.yaml")
    runs = {
        "": World(scenario),
        "a trace tells of every call": World(scenario, trace=Trace()),
        "a schedule tells of every message": World(scenario, schedule=Listed(())),
        "what runs is not the product as it is": World(scenario, product=Product()),
    }
    for why, world in runs.items():
        assert (world.heartbeats is None) is bool(why)
        result = result_of(world.run())
        assert result["heartbeats"]["exact_because"] == why
        told = io.StringIO()
        closing(Console(file=told, width=300), result, "")
        assert not why or f"no heartbeat was elided: {why}" in told.getvalue()
