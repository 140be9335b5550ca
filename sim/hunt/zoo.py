"""The bug zoo as a whole: each bug is looked for with its mutation, made small, and must not be there without it.

An entry tells its bug by a fault plan and a seed of its own. A hunt is not told these: it gets the scenario and has to find the
faults and the schedule. Faults that no strategy draws are what the entry is about and stay: a user who deletes, a node that
drains, an executor that hangs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sim.collector import uncollected
from sim.crew import crew
from sim.hunt.case import Case, data_of, record
from sim.hunt.schedules import FewValued
from sim.hunt.search import Budget, Hunt
from sim.hunt.shrink import Shrink
from sim.hunt.strategies import DRAWN
from sim.hunt.strategies.strategy import schedule_of
from sim.hunt.trial import attempt
from sim.load import load, zoo
from sim.scenario import Scenario
from sim.schedule import Drawn, Schedule
from sim.world import World

MOST = 100
"""Schedules tried for a bug whose faults are told."""
BUDGET = 1_000
"""Schedules a hunt may try, fewer where a run is long: so many messages in all, but LEAST schedules."""
MESSAGES = 150_000
LEAST = 50
CLEAN = 3
"""Seeds without the mutation, beside the entry's own."""


class Found(NamedTuple):
    """`schedules`: how many a hunt needed (0: more than `budget`), `own`: how many when told the entry's own faults and seed
    (0: not found), with real `seconds`, `size` of the smallest case (see Size);
    `clean`: whether the product without the mutation has none of it."""

    name: str
    title: str
    link: str
    id: str
    mutation: str
    invariant: str
    schedules: int
    budget: int
    own: int
    seconds: float
    size: tuple[int, ...]
    clean: bool

    @property
    def ok(self) -> bool:
        return self.own > 0 and self.clean


def tour(names: Sequence[str], jobs: int, shrinking: float) -> Iterator[Found]:
    """The entries in order; `shrinking`: seconds each may take to be made small."""
    if jobs == 1:
        yield from (look_for(name, shrinking) for name in names)
        return
    with crew(jobs) as pool:
        yield from pool.map(look_for, names, [shrinking] * len(names))


def look_for(name: str, shrinking: float) -> Found:
    """Hunt one entry of the zoo."""
    scenario = load(str(zoo()[name]))
    bug = scenario.bug
    assert bug is not None
    wanted = scenario.expect["violates"]
    invariant = wanted if isinstance(wanted, str) else wanted[0]
    started = time.perf_counter()
    own, case = _first(scenario, invariant)
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
        *hunted(scenario),
        own,
        seconds,
        size,
        _clean(scenario),
    )


def hunted(scenario: Scenario) -> tuple[int, int]:
    """How many schedules the default strategy needs to break something that holds without the mutation, all else being equal
    (0: more than it may try); and how many it may try."""
    bare = untold(scenario)
    mended = bare.model_copy(update={"mutations": ()})
    strategy = Hunt(bare).strategy
    budget = max(LEAST, min(BUDGET, MESSAGES // max(strategy.ground.messages, 1)))
    with uncollected():
        for number in range(1, budget + 1):
            probe = strategy.probe()
            if probe is None:
                break
            trial = attempt(bare, probe, schedule_of(probe))
            strategy.learn(trial)
            if trial.broken is not None and attempt(mended, probe, schedule_of(probe)).broken is None:
                return number, budget
    return 0, budget


def untold(scenario: Scenario) -> Scenario:
    """The scenario without its own seed, schedule, and faults that a strategy could draw."""
    deeds = tuple(each for each in scenario.faults if each.fault not in DRAWN)
    return scenario.model_copy(update={"faults": deeds, "seed": 0, "schedule": None, "expect": {}})


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
