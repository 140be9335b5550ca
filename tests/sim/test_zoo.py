"""The bug zoo: each real bug comes back with its mutation, and is not there without it."""

from __future__ import annotations

import pytest

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
