"""The hunt itself: probes in turn, in this process or in several, until one goes wrong or the budget is spent.

Trials are taken in the order of their probes however many processes run them, and a fixed number is under way at a time: the
same hunt with a budget of schedules finds the same, whatever `jobs` is.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import active_children
from typing import NamedTuple

from sim.collector import sweep, uncollected
from sim.hunt.coverage import Coverage
from sim.hunt.schedules import Swerving
from sim.hunt.strategies import Ground, Strategy, strategy_of
from sim.hunt.strategies.plans import plans
from sim.hunt.strategies.portfolio import Portfolio
from sim.hunt.strategies.single import SingleFault
from sim.hunt.strategies.strategy import schedule_of
from sim.hunt.trial import Probe, Trial, attempt, gravity
from sim.mutations import Product
from sim.scenario import Scenario
from sim.trace import Trace
from sim.world import World

AHEAD = 8
"""Chunks under way."""
GRAVER = 50
"""Schedules tried after the first violation, for a graver one."""
CHUNK_MESSAGES = 6_000
CHUNK_MOST = 100
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
        self.scenario = scenario.model_copy(update={"expect": {}})
        self.budget = budget
        self.jobs = 1 if product is not None else jobs
        self.product = product
        self.coverage = Coverage(self.scenario)
        self.found: Trial | None = None
        self.interrupted = False
        self._since = self._begun = 0
        self.seconds = 0.0
        ground = _survey(self.scenario, seed, strategy, product)
        self.strategy: Strategy = strategy_of(strategy, ground)
        self.chunk = max(1, min(CHUNK_MOST, CHUNK_MESSAGES // max(ground.messages, 1)))

    def run(self, progress: Progress | None = None) -> Hunt:
        """Hunt to the end; ^C ends it early and leaves what was covered."""
        started = time.perf_counter()
        try:
            with ExitStack() as stack:
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
        return lambda: _attempted(self.scenario, chunk, self.product)

    def _pool(self, stack: ExitStack) -> Callable[[Sequence[Probe]], Callable[[], Iterable[Trial]]]:
        pool = ProcessPoolExecutor(self.jobs, initializer=_adopt, initargs=(self.scenario,))
        stack.callback(_end, pool)
        return lambda chunk: pool.submit(_attempts, chunk).result

    def _chunk(self) -> list[Probe]:
        """The next probes, no more than the budget has room for."""
        most, probes = self.budget.schedules, list[Probe]()
        room = self.chunk if most is None else min(self.chunk, most - self._begun)
        while len(probes) < room and (probe := self.strategy.probe()) is not None:
            probes.append(probe)
        self._begun += len(probes)
        return probes


def _survey(scenario: Scenario, seed: int, strategy: str, product: Product | None) -> Ground:
    """One run with every message as quick as can be."""
    swerving = Swerving({})
    trace = Trace() if strategy in (Portfolio.name, SingleFault.name) else None
    world = World(scenario, product=product, schedule=swerving, trace=trace, enough=1).run()
    planned = list(plans(trace.rows)) if trace is not None else []
    span = world.stats.last_ended or world.now()
    return Ground(scenario, seed, swerving.drawn, span, planned)


def _end(pool: ProcessPoolExecutor) -> None:
    """Nobody waits for what is still under way; a second ^C could leave processes behind that wait for work for ever."""
    pool.shutdown(wait=False, cancel_futures=True)
    for process in active_children():
        process.terminate()


_scenario: list[Scenario] = []


def _adopt(scenario: Scenario) -> None:
    """A process of the pool begins: all its runs are of this scenario."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _scenario[:] = [scenario]


def _attempts(probes: Sequence[Probe]) -> list[Trial]:
    return list(_attempted(_scenario[0], probes, None))


def _attempted(scenario: Scenario, probes: Iterable[Probe], product: Product | None) -> Iterator[Trial]:
    with uncollected():
        for each in probes:
            yield attempt(scenario, each, schedule_of(each), product)
            sweep()
