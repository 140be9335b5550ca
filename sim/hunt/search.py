"""The hunt itself: probes in turn, in this process or in several, until one goes wrong or the budget is spent.

Trials are taken in the order of their probes however many processes run them, and a fixed number is under way at a time: the
same hunt with a budget of schedules finds the same, whatever `jobs` is.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from math import inf
from typing import NamedTuple

from sim.cluster import REQUEST_TIMEOUT
from sim.collector import sweep, uncollected
from sim.crew import crew
from sim.ending import told_to_differ
from sim.fault import WRITES, Fault
from sim.hunt.coverage import Coverage
from sim.hunt.plans import Planned, Travel, plans
from sim.hunt.schedules import Swerving
from sim.hunt.strategies import Ground, Strategy, strategy_of
from sim.hunt.strategies.portfolio import Portfolio
from sim.hunt.strategies.single import SingleFault
from sim.hunt.strategies.strategy import schedule_of
from sim.hunt.trial import Probe, Trial, attempt, gravity
from sim.hunt.walk import POSSIBLE, Walk, places
from sim.mutations import Product
from sim.scenario import Scenario
from sim.schedule import menu
from sim.trace import Row, Trace
from sim.world import World

AHEAD = 8
"""Chunks under way."""
GRAVER = 50
"""Schedules tried after the first violation, for a graver one."""
CHUNK_MESSAGES = 6_000
CHUNK_LEAST, CHUNK_MOST = 4, 100
Progress = Callable[["Hunt"], None]


class Budget(NamedTuple):
    """So many schedules, or so many seconds of real time."""

    schedules: int | None
    seconds: float | None

    def spent(self, schedules: int, seconds: float) -> bool:
        return (self.schedules is not None and schedules >= self.schedules) or (
            self.seconds is not None and seconds >= self.seconds
        )


MINUTE = Budget(None, 60.0)


class Hunt:
    """One hunt. `found`: the first trial that went wrong; `interrupted`: by ^C; `coverage`: what was tried so far."""

    def __init__(
        self,
        scenario: Scenario,
        strategy: str = "portfolio",
        budget: Budget = MINUTE,
        jobs: int = 1,
        seed: int = 0,
        product: Product | None = None,
    ) -> None:
        """`product` cannot travel to other processes: with it `jobs` is 1."""
        self.scenario = scenario.model_copy(update={"expect": told_to_differ(scenario)})
        self.budget = budget
        self.jobs = 1 if product is not None else jobs
        self.product = product
        self.coverage = Coverage(self.scenario)
        self.found: Trial | None = None
        self.interrupted = False
        self._runner = Runner(self.scenario, product)
        self._since = self._begun = 0
        self.seconds = 0.0
        ground = _survey(self.scenario, seed, strategy, product)
        self.strategy: Strategy = strategy_of(strategy, ground)
        self.chunk = max(CHUNK_LEAST, min(CHUNK_MOST, CHUNK_MESSAGES // max(ground.messages, 1)))

    def run(self, progress: Progress | None = None) -> Hunt:
        """Hunt to the end; ^C ends it early and leaves what was covered."""
        started = time.perf_counter()
        try:
            with ExitStack() as stack:
                stack.callback(self._runner.close)
                for trial in self._trials(stack):
                    self.seconds = time.perf_counter() - started
                    self.strategy.learn(trial)
                    self.coverage.add(trial)
                    if progress is not None:
                        progress(self)
                    if trial.broken is not None and self._graver(trial.broken.invariant):
                        self.found = trial
                    if self.budget.spent(self.coverage.schedules, self.seconds) or self._content():
                        break
        except KeyboardInterrupt:
            self.interrupted = True
        self.seconds = time.perf_counter() - started
        return self

    def _graver(self, invariant: str) -> bool:
        found = self.found.broken if self.found is not None else None
        if found is None:
            self._since = self.coverage.schedules
        return found is None or gravity(invariant) < gravity(found.invariant)

    def _content(self) -> bool:
        """Something has been found, and a while longer nothing graver."""
        found = self.found.broken if self.found is not None else None
        return found is not None and (not gravity(found.invariant) or self.coverage.schedules >= self._since + GRAVER)

    @property
    def verdict(self) -> str:
        """Of the trial that went wrong; or 'expectation' when something was never put to the test."""
        if self.found is not None:
            return self.found.verdict
        if self.interrupted:
            return "interrupted"
        return "expectation" if self.coverage.vacuous() else "ok"

    def _trials(self, stack: ExitStack) -> Iterator[Trial]:
        begin = self._here if self.jobs == 1 else self._pool(stack)
        under_way: deque[Callable[[], Iterable[Trial]]] = deque()
        while True:
            while len(under_way) < AHEAD and (chunk := self._chunk()):
                under_way.append(begin(chunk))
            if not under_way:
                return
            yield from under_way.popleft()()

    def _here(self, chunk: Sequence[Probe]) -> Callable[[], Iterable[Trial]]:
        return partial(self._runner.run, chunk)

    def _pool(self, stack: ExitStack) -> Callable[[Sequence[Probe]], Callable[[], Iterable[Trial]]]:
        # What the survey has left behind would be copied into each process, and again at each fault.
        gc.collect()
        pool = stack.enter_context(crew(self.jobs, _adopt, self.scenario))
        return lambda chunk: pool.submit(_attempts, chunk).result

    def _chunk(self) -> list[Probe]:
        """The next probes, no more than the budget has room for; those of one call in one chunk."""
        most, probes = self.budget.schedules, list[Probe]()
        left = inf if most is None else most - self._begun
        while len(probes) < left and (len(probes) < self.chunk or self.strategy.amid):
            probe = self.strategy.probe()
            if probe is None:
                break
            probes.append(probe)
        self._begun += len(probes)
        return probes


class Runner:
    """Runs the probes of one scenario in this process."""

    def __init__(self, scenario: Scenario, product: Product | None = None) -> None:
        self.scenario = scenario
        self.product = product
        self._walk: Walk | None = None

    def run(self, probes: Sequence[Probe]) -> Iterator[Trial]:
        with uncollected():
            ahead = self._walked([each for each in probes if each.place is not None])
            for each in probes:
                known = ahead.get(each.number) if each.place is not None else None
                if known is not None:
                    yield known
                else:
                    yield self._attempt(each)
                    sweep()

    def close(self) -> None:
        """Walk no further."""
        if self._walk is not None:
            self._walk.world.drop_unstarted()
            self._walk = None

    def _attempt(self, probe: Probe) -> Trial:
        return attempt(self.scenario, probe, schedule_of(probe), self.product)

    def _walked(self, probes: Sequence[Probe]) -> dict[int, Trial]:
        """What a walk comes to, going on from where the last ended or, for what it has passed, beginning anew."""
        found: dict[int, Trial] = {}
        while probes and POSSIBLE:
            if self._walk is None:
                self._walk = Walk(self.scenario, probes[0].seed, self.product)
            fresh = self._walk.fresh
            found |= self._walk.trials(probes)
            probes = [each for each in probes if each.number not in found]
            if probes:
                self.close()
            if fresh:
                break
        return found


def _survey(scenario: Scenario, seed: int, strategy: str, product: Product | None) -> Ground:
    """One run with every message as quick as can be."""
    swerving = Swerving({})
    trace = Trace() if strategy in (Portfolio.name, SingleFault.name) else None
    world = World(scenario, product=product, schedule=swerving, trace=trace, enough=1)
    order = places(world)
    world.run()
    planned: list[Planned] = []
    if trace is not None:
        planned = plans(trace.rows, order, _travel(scenario), _doubles(scenario, product, trace.rows))
    span = world.stats.last_ended or world.now()
    return Ground(scenario, seed, swerving.drawn, span, planned)


def _travel(scenario: Scenario) -> Travel:
    quick = menu(scenario.network.latency)[0]
    return Travel(quick, REQUEST_TIMEOUT if scenario.faults else quick)


def _doubles(scenario: Scenario, product: Product | None, rows: Sequence[Row]) -> frozenset[str]:
    """The processes that write the same when all of their events come twice."""
    fault = Fault.model_validate({"fault": "duplicate-event"})
    trace = Trace()
    twice = scenario.model_copy(update={"faults": (*scenario.faults, fault)})
    world = World(twice, product=product, schedule=Swerving({}), trace=trace, enough=1).run()
    clean = not world.checkers.violations and not world.crashes
    once = list(filter(_writes, rows))
    return (
        frozenset(each["actor"] for each in rows if clean) if once == list(filter(_writes, trace.rows)) else frozenset()
    )


def _writes(row: Row) -> bool:
    return row["what"] in (*WRITES, "execute", "executed")


_runner: list[Runner] = []


def _adopt(scenario: Scenario) -> None:
    """A process of the pool begins: all its runs are of this scenario."""
    _runner[:] = [Runner(scenario)]


def _attempts(probes: Sequence[Probe]) -> list[Trial]:
    return list(_runner[0].run(probes))
