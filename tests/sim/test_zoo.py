"""The bug zoo: each real bug comes back with its mutation, and is not there without it."""

from __future__ import annotations

import pytest

from sim.hunt.search import Budget, Hunt
from sim.hunt.trial import attempt
from sim.hunt.zoo import LEAST, hunted, untold
from sim.load import load, zoo
from sim.result import result_of
from sim.world import World

NAMES = sorted(zoo())
SEEDS = range(3)


def outcome(name: str, *sets: str, seed: int | None = None) -> dict:
    return result_of(World(load(name, sets), seed).run())


@pytest.mark.parametrize("name", NAMES)
def test_a_bug_of_the_zoo_comes_back_with_its_mutation(name: str) -> None:
    result = outcome(name)
    assert result["verdict"] == "ok", (result["unmet"], result["violations"][:3], result["crashes"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_product_does_not_have_a_bug_of_the_zoo(name: str, seed: int) -> None:
    result = outcome(name, "mutations=[]", "expect={}", seed=seed)
    assert result["verdict"] == "ok", (result["violations"][:3], result["crashes"])


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_says_what_it_is_about(name: str) -> None:
    scenario = load(name)
    assert scenario.bug is not None
    assert scenario.mutations
    assert scenario.expect["violates"]
    assert len(scenario.story.split()) >= 6
    assert zoo()[name].read_text().startswith("# ")


# what a hunt finds that is not told an entry's faults and seed

BROKEN = "zoo/llmkube-541-verdict-ignored"
UNTOLD = {
    "zoo/kubernetes-60469-two-schedulers": 1,
    BROKEN: 1,
    "zoo/hermes-21141-zombie-reclaim": 2,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_hunt_is_told_no_fault_that_a_strategy_draws(name: str) -> None:
    bare = untold(load(name))
    assert not {each.fault for each in bare.faults} & {
        "crash",
        "freeze",
        "partition",
        "lose-reply",
        "drop-event",
        "watch-lag",
    }
    assert (bare.seed, bare.schedule, bare.expect) == (0, None, {})
    assert bare.mutations == load(name).mutations


@pytest.mark.parametrize(("name", "least"), UNTOLD.items())
def test_schedules_are_those_a_hunt_needs(name: str, least: int) -> None:
    needed, budget = hunted(load(name))
    assert least <= needed <= budget
    assert (needed, budget) == hunted(load(name))
    found = Hunt(untold(load(name)), budget=Budget(needed, None)).run().found
    assert found is not None


def test_a_product_without_the_bug_is_not_blamed(monkeypatch) -> None:
    monkeypatch.setattr("sim.hunt.zoo.MESSAGES", 0)
    clean = load("zoo/hermes-21141-zombie-reclaim", ["mutations=[]"])
    assert hunted(clean) == (0, LEAST)


def test_what_breaks_without_the_mutation_too_is_not_found_by_it(monkeypatch) -> None:
    monkeypatch.setattr("sim.hunt.zoo.MESSAGES", 0)
    monkeypatch.setattr("sim.hunt.zoo.attempt", lambda bare, *more: attempt(load(BROKEN, ["expect={}"]), *more))
    assert hunted(load("zoo/latent-l01-ghost-claim")) == (0, LEAST)
