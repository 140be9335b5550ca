"""The bug zoo as a whole: each bug is looked for with its mutation, made small, and must not be there without it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from sim.hunt.case import Case, data_of, record
from sim.hunt.schedules import FewValued
from sim.hunt.search import Budget
from sim.hunt.shrink import Shrink
from sim.load import load, zoo
from sim.scenario import Scenario
from sim.schedule import Drawn, Schedule
from sim.world import World

MOST = 100
"""Schedules tried for a bug."""
CLEAN = 3
"""Seeds without the mutation, beside the entry's own."""


class Found(NamedTuple):
    """`schedules` needed (0: not found), real `seconds`, `size` of the smallest case (see Size);
    `clean`: whether the product without the mutation has none of it."""

    name: str
    title: str
    link: str
    id: str
    mutation: str
    invariant: str
    schedules: int
    seconds: float
    size: tuple[int, ...]
    clean: bool

    @property
    def ok(self) -> bool:
        return self.schedules > 0 and self.clean


def tour(names: Sequence[str], jobs: int, shrinking: float) -> Iterator[Found]:
    """The entries in order; `shrinking`: seconds each may take to be made small."""
    if jobs == 1:
        yield from (look_for(name, shrinking) for name in names)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(look_for, names, [shrinking] * len(names))


def look_for(name: str, shrinking: float) -> Found:
    """Hunt one entry of the zoo."""
    scenario = load(str(zoo()[name]))
    bug = scenario.bug
    assert bug is not None
    wanted = scenario.expect["violates"]
    invariant = wanted if isinstance(wanted, str) else wanted[0]
    started = time.perf_counter()
    schedules, case = _first(scenario, invariant)
    seconds = time.perf_counter() - started
    size: tuple[int, ...] = (0, 0, 0, 0, 0)
    if case is not None and shrinking:
        case = Shrink(case, Budget(None, shrinking)).run()
        size = tuple(case.size())
    return Found(
        name,
        bug.title,
        bug.link,
        bug.id,
        ", ".join(scenario.mutations),
        invariant,
        schedules,
        seconds,
        size,
        _clean(scenario),
    )


def _first(scenario: Scenario, invariant: str) -> tuple[int, Case | None]:
    """The first schedule that breaks the invariant: the entry's own, then those of other seeds."""
    data = data_of(scenario)
    for number in range(MOST):
        schedule: Schedule = FewValued(number) if number else Drawn(scenario.seed)
        case = record(data | ({"seed": number} if number else {}), schedule, invariant)
        if case is not None:
            return number + 1, case
    return 0, None


def _clean(scenario: Scenario) -> bool:
    mended = scenario.model_copy(update={"mutations": (), "expect": {}})
    for seed in (scenario.seed, *range(CLEAN)):
        world = World(mended, seed).run()
        if world.checkers.violations or world.crashes:
            return False
    return True
