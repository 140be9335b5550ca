"""For your own pytest: hunt a scenario, replay a counterexample, or run a world and look at it.

from sim.testing import hunt, world

def test_my_policy_never_runs_a_task_twice():
    hunt("claim-race", budget=500).assert_clean()
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sim.hunt.case import Case, case_of
from sim.hunt.record import Replay, recorded, replay
from sim.hunt.schedules import FewValued, Swerving
from sim.hunt.search import Budget, Hunt
from sim.hunt.shrink import Shrink
from sim.load import check, load
from sim.mutations import Product
from sim.scenario import Scenario
from sim.schedule import Schedule
from sim.world import World

__all__ = ["Product", "Replay", "hunt", "recorded", "replay", "schedules", "world"]

Given = Scenario | Mapping[str, Any] | str | Path


class Hunted(Hunt):
    """A finished hunt."""

    def assert_clean(self) -> None:
        """AssertionError that tells what was found, in which schedule."""
        if self.found is not None:
            raise AssertionError(f"{self.found.broken} in {self.found.probe}")

    def smallest(self, tries: int = 500) -> Case:
        """What was found, made as small as so many runs can make it. ValueError if the hunt was clean."""
        case = case_of(self.scenario, self.found, self.product) if self.found is not None else None
        if case is None:
            raise ValueError("nothing was found")
        return Shrink(case, Budget(tries, None), self.product).run()


def hunt(
    scenario: Given,
    *,
    strategy: str = "portfolio",
    budget: int = 1000,
    seed: int = 0,
    product: Product | None = None,
) -> Hunted:
    """Hunt `scenario` (a file, a name, plain data) for `budget` schedules; `product`: with your own parts in it."""
    found = Hunted(_scenario(scenario), strategy, Budget(budget, None), 1, seed, product)
    found.run()
    return found


def world(
    scenario: Given, *, seed: int | None = None, product: Product | None = None, schedule: Schedule | None = None
) -> World:
    """A world ready to run: `world(...).run()`, or `.advance(until)` to act in between; see World."""
    return World(_scenario(scenario), seed, product=product, schedule=schedule)


def schedules(messages: int = 200) -> st.SearchStrategy[Schedule]:
    """A hypothesis strategy of schedules: few late messages among the first so many, or many by a seed. It shrinks to fewer."""
    late = st.dictionaries(st.integers(1, messages), st.integers(0, 2), max_size=6)
    return st.one_of(late.map(Swerving), st.integers(0, 2**32).map(FewValued))


def _scenario(given: Given) -> Scenario:
    if isinstance(given, Scenario):
        return given
    if isinstance(given, str | os.PathLike):
        return load(str(given))
    return check(dict(given))
