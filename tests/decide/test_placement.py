"""Placement against a naive oracle: whatever the fleet has been through, the choice is the one a full scan would make."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import new_node

from foreman.decide.filters import DOMAIN_LABEL, mismatches, obstacle
from foreman.decide.fleet import Fleet
from foreman.decide.policies import POLICIES
from foreman.decide.requirement import Requirement

NAMES = [f"n{number}" for number in range(6)]
TASKS = [f"default/t{number}" for number in range(10)]
WANTS = [
    Requirement(),
    Requirement(accelerator="cuda"),
    Requirement(min_ram_gb=8),
    Requirement(accelerator="metal", min_ram_gb=16),
    Requirement(roles=("verifier",)),
    Requirement(selector=(("pool", "fast"),)),
    Requirement(model="qwen"),
    Requirement(accelerator="", slot=False),
]

nodes = st.builds(
    lambda name, accelerator, ram, slots, zone, fast, roles, models: new_node(
        name,
        {"accelerator": accelerator, "totalRAMGB": ram, "availableRAMGB": ram, "installedModels": models},
        {**({DOMAIN_LABEL: zone} if zone else {}), **({"pool": "fast"} if fast else {})},
        slots=slots,
        roles=roles,
    ),
    name=st.sampled_from(NAMES),
    accelerator=st.sampled_from(["cuda", "metal"]),
    ram=st.sampled_from([0, 8, 16, 32]),
    slots=st.integers(1, 3),
    zone=st.sampled_from(["", "east", "west"]),
    fast=st.booleans(),
    roles=st.sampled_from([[], ["verifier"]]),
    models=st.sampled_from([[], ["qwen"]]),
)
steps = st.one_of(
    st.tuples(st.just("learn"), nodes, st.sampled_from([True, True, True, False])),
    st.tuples(st.just("forget"), st.sampled_from(NAMES)),
    st.tuples(st.just("occupy"), st.sampled_from(TASKS), st.sampled_from(NAMES), st.sampled_from(WANTS)),
    st.tuples(st.just("place"), st.sampled_from(TASKS), st.sampled_from(WANTS)),
    st.tuples(st.just("vacate"), st.sampled_from(TASKS)),
)


class Scan:
    """The oracle: remembers what it was told and looks at everything each time."""

    def __init__(self, policy):
        self.policy = policy
        self.known = {}
        self.holds = {}

    def learn(self, node, ready):
        self.known[node.metadata.name] = (node, ready)

    def forget(self, name):
        self.known.pop(name, None)

    def occupy(self, task, name, want):
        held = self.holds.get(task)
        if held is None or held[0] != name:
            self.holds[task] = (name, want)

    def vacate(self, task):
        self.holds.pop(task, None)

    def taken(self, name):
        wants = [want for node, want in self.holds.values() if node == name]
        return sum(want.slot for want in wants), sum(want.min_ram_gb for want in wants)

    def fits(self, name, want):
        node, ready = self.known[name]
        has = node.status.capability
        used, ram = self.taken(name)
        matches = (
            (not want.accelerator or want.accelerator == has.accelerator)
            and want.min_ram_gb <= has.available_ram_gb
            and all(node.metadata.labels.get(key, "") == value for key, value in want.selector)
            and set(want.roles) <= set(node.spec.roles)
            and (want.model is None or want.model in has.installed_models)
        )
        room = used < node.spec.slots and (not want.min_ram_gb or ram + want.min_ram_gb <= has.total_ram_gb)
        return ready and matches and (room or not want.slot)

    def domain(self, name):
        return self.known[name][0].metadata.labels.get(DOMAIN_LABEL, "") if name in self.known else ""

    def domain_load(self):
        load = Counter()
        for node, want in self.holds.values():
            load[self.domain(node)] += want.slot
        return load

    def rank(self, name, load):
        node, _ = self.known[name]
        used, ram = self.taken(name)
        busy = (used << 16) // node.spec.slots
        match self.policy:
            case "first-fit":
                return (name,)
            case "least-loaded":
                return busy, name
            case "best-fit":
                return node.status.capability.total_ram_gb - ram, node.spec.slots - used, name
            case "spread":
                return load[self.domain(name)], self.domain(name), busy, name

    def candidates(self, want, avoid):
        fitting = {name for name in self.known if self.fits(name, want)}
        return fitting - avoid or fitting

    def choose(self, want, avoid):
        load = self.domain_load()
        return min(self.candidates(want, avoid), key=lambda name: self.rank(name, load), default=None)


def fleet(policy, draw=None, on_open=lambda want: None):
    return Fleet(policy, draw or (lambda n: 0), on_open)


def play(step, made, scan):
    """Do one step to both."""
    match step:
        case ("learn", node, ready):
            made.learn(node, ready)
            scan.learn(node, ready)
        case ("forget", name):
            made.forget(name)
            scan.forget(name)
        case ("occupy", task, name, want):
            made.occupy(task, name, want)
            scan.occupy(task, name, want)
        case ("place", task, want):
            name = made.choose(want)
            if name is not None:
                made.occupy(task, name, want)
                scan.occupy(task, name, want)
        case ("vacate", task):
            made.vacate(task)
            scan.vacate(task)


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "random"])
@given(history=st.lists(steps, max_size=60), avoid=st.sets(st.sampled_from(NAMES), max_size=3))
def test_the_choice_is_what_a_full_scan_would_choose(policy, history, avoid):
    made, scan = fleet(policy), Scan(policy)
    for step in history:
        play(step, made, scan)
        for want in WANTS:
            assert made.choose(want, avoid) == scan.choose(want, avoid)
            assert made.choose(want) == scan.choose(want, set())


@given(history=st.lists(steps, max_size=60), avoid=st.sets(st.sampled_from(NAMES), max_size=3), draw=st.integers(0, 5))
def test_random_chooses_among_all_that_fit_and_no_other(history, avoid, draw):
    made, scan = fleet("random", lambda n: draw % n), Scan("random")
    for step in history:
        play(step, made, scan)
        for want in WANTS:
            fitting = scan.candidates(want, avoid)
            assert {fleet_choice(made, want, avoid, at) for at in range(len(fitting))} == (fitting or set())
            made.draw = lambda n: draw % n


def fleet_choice(made, want, avoid, at):
    """What the lottery picks when the draw is `at`; the draw must be over exactly the candidates."""
    made.pool(want)._draw = lambda n: at if at < n else pytest.fail(f"draw below {n}, expected more than {at}")
    return made.choose(want, avoid)


def test_random_is_uniform_over_the_nodes_that_fit():
    draws = []
    made = fleet("random", lambda n: draws.append(n) or len(draws) % n)
    for name in NAMES:
        made.learn(new_node(name, {"accelerator": "cuda" if name > "n1" else "metal"}), True)
    chosen = Counter(made.choose(Requirement(accelerator="cuda")) for _ in range(400))
    assert chosen == dict.fromkeys(NAMES[2:], 100)
    assert set(draws) == {4}


def zoned(*zones):
    made = fleet("spread")
    for number, zone in enumerate(zones):
        made.learn(new_node(f"n{number}", {}, {DOMAIN_LABEL: zone}, slots=4), True)
    return made


def test_spread_picks_the_least_loaded_failure_domain():
    made = zoned("east", "east", "east", "west")
    chosen = []
    for number in range(6):
        chosen.append(made.choose(Requirement()))
        made.occupy(f"t{number}", chosen[-1], Requirement())
    assert chosen == ["n0", "n3", "n1", "n3", "n2", "n3"]


def test_spread_follows_a_node_that_moves_to_another_domain():
    made = zoned("east", "west")
    made.occupy("t", "n0", Requirement())
    made.learn(new_node("n0", {}, {DOMAIN_LABEL: "west"}, slots=4), True)
    made.learn(new_node("n2", {}, {DOMAIN_LABEL: "east"}, slots=4), True)
    assert made.choose(Requirement()) == "n2"


@pytest.mark.parametrize("policy", POLICIES)
def test_an_avoided_node_is_the_last_resort(policy):
    made = fleet(policy)
    for name in ("a", "b"):
        made.learn(new_node(name, {}), True)
    assert made.choose(Requirement(), {"a": 1}) == "b"
    made.occupy("t", "b", Requirement())
    assert made.choose(Requirement(), {"a": 1}) == "a"
    assert made.choose(Requirement(), {"a": 1, "b": 1}) == "a"


@given(history=st.lists(steps, max_size=60))
def test_an_opening_is_announced_for_every_requirement_it_helps(history):
    opened = []
    made = fleet("first-fit", on_open=opened.append)
    scan = Scan("first-fit")
    for want in WANTS:
        made.pool(want)
    before = {want: set() for want in WANTS}
    for step in history:
        opened.clear()
        play(step, made, scan)
        for want in WANTS:
            fitting = {name for name in scan.known if scan.fits(name, want)}
            assert not (fitting - before[want]) or want in opened
            before[want] = fitting


@given(history=st.lists(steps, max_size=60))
def test_nothing_leaks_once_every_task_has_left(history):
    made, scan = fleet("spread"), Scan("spread")
    for step in history:
        play(step, made, scan)
    for task in TASKS:
        made.vacate(task)
    assert all((node.used, node.taken_ram_gb) == (0, 0) for node in made.nodes.values())
    assert not any(made.domain_load.values())
    assert not any(made.tasks_on(name) for name in NAMES)


def test_tasks_keep_their_node_while_it_is_unknown():
    made = fleet("first-fit")
    made.learn(new_node("a", {}), True)
    made.occupy("t", "a", Requirement())
    made.forget("a")
    assert made.tasks_on("a") == ["t"]
    made.learn(new_node("a", {}), True)
    assert made.choose(Requirement()) is None
    made.vacate("t")
    assert made.choose(Requirement()) == "a"


def test_an_unknown_node_is_dropped_with_its_last_task():
    made = fleet("first-fit")
    made.occupy("t", "a", Requirement())
    made.vacate("t")
    assert made.nodes == {}
    made.learn(new_node("b", {}), True)
    made.occupy("t", "b", Requirement())
    made.forget("b")
    made.occupy("t", "c", Requirement())
    assert list(made.nodes) == ["c"]


def test_what_fits_agrees_with_the_filters():
    made = fleet("first-fit")
    made.learn(new_node("a", {"accelerator": "cuda", "availableRAMGB": 8}), True)
    for want in WANTS:
        fits = not mismatches(want, made.nodes["a"]) and obstacle(want, made.nodes["a"]) is None
        assert (made.choose(want) == "a") is fits
