"""How fast, in units of bare simpy: `python -m sim.bench [lifecycle|nodes|backlog|million|all] [--json]`.

The unit is what simpy alone takes for one Timeout of a generator process while 1,000 processes are pending. It is measured
anew before and after each run, because machines are noisy; of several runs the best counts, as noise only ever adds. Times are
CPU seconds of this process. What is asserted here is nothing: the table says which target was met.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import simpy

from sim.host import SECOND
from sim.load import load, parse
from sim.world import World, rare_collections

PENDING = 1000
TIMEOUTS = 200_000
SLICE = 1000
"""Calls between two looks at the state of a run that is measured in part."""

LIFECYCLE = """
fleet: {gpu: {count: 100}}
workload: {count: 2500, arrivals: {poisson: 95/s}}
executor: {duration: 1s}
until: 24h
"""

NODES = """
fleet: {gpu: {count: 100}}
workload: {count: 1000000, arrivals: {poisson: 9.5/s}}
executor: {duration: 10s}
until: 24h
"""

BACKLOG = """
fleet: {gpu: {count: 100}}
workload: {count: 1000}
executor: {duration: 1s}
until: 24h
"""

@dataclass(frozen=True)
class Figure:
    """One line of the table. `value` is what `target` bounds from above; `us` are CPU microseconds per task."""

    name: str
    value: float
    unit: str
    target: float
    us: float
    bare_us: float

    @property
    def ok(self) -> bool:
        return self.value <= self.target


def bare() -> float:
    """CPU microseconds of one simpy Timeout with PENDING processes pending."""

    def process(env: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        while True:
            yield env.timeout(PENDING)

    env = simpy.Environment()
    for _ in range(PENDING):
        env.process(process(env))
    started = time.process_time()
    env.run(until=TIMEOUTS)
    return (time.process_time() - started) / TIMEOUTS * 1e6


def world(text: str, *sets: str) -> World:
    return World(parse(text, "bench.yaml", sets))


def play(w: World, until: Callable[[], bool]) -> None:
    """Run on until the condition holds, looked at now and then."""
    with rare_collections():
        while not until():
            w.env.advance(SLICE)


def cost(w: World, tasks: int) -> float:
    """CPU microseconds per task over the next `tasks` tasks that end."""
    first = w.stats.settled
    started = time.process_time()
    play(w, lambda: w.stats.settled >= first + tasks)
    return (time.process_time() - started) / (w.stats.settled - first) * 1e6


def interleaved(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """The best of each of `measures`, and last the best of bare simpy, taken in turns."""
    best = [float("inf")] * (len(measures) + 1)
    for _ in range(rounds):
        for number, measure in enumerate((*measures, bare)):
            best[number] = min(best[number], measure())
            best[-1] = min(best[-1], bare())
    return best


def lifecycle() -> Iterator[Figure]:
    """Create, normalise, schedule, claim, report, record, mark: seven API calls and all that watches, with checkers on."""

    def whole() -> float:
        w = world(LIFECYCLE)
        started = time.process_time()
        w.run()
        return (time.process_time() - started) / w.total * 1e6

    us, unit = interleaved(5, whole)
    yield Figure("lifecycle of a task", us / unit, "bare timeouts", 100, us, unit)


def nodes() -> Iterator[Figure]:
    """Steady state at 95 % utilisation: as many heartbeats per task on a large fleet as on a small one."""

    def steady(count: int) -> float:
        w = world(NODES, f"fleet.gpu.count={count}", f"workload.arrivals.poisson={count * 0.095}/s")
        play(w, lambda: w.now() >= 20 * SECOND)
        return cost(w, max(count, 3000))

    few, many, unit = interleaved(2, lambda: steady(100), lambda: steady(10_000))
    yield Figure("10,000 nodes : 100 nodes", many / few, "x", 1.5, many, unit)


def backlog() -> Iterator[Figure]:
    """What a task costs while so many others wait."""
    served = 20_000

    def waiting(count: int) -> float:
        w = world(BACKLOG, f"workload.count={count + served}")
        play(w, lambda: w.stats.created >= w.total and not w.stats.phases[""])
        return cost(w, 3000)

    few, many, unit = interleaved(2, lambda: waiting(1000), lambda: waiting(100_000))
    yield Figure("100,000 pending : 1,000 pending", many / few, "x", 1.5, many, unit)


def million() -> Iterator[Figure]:
    """The shipped scenario: a million tasks from the first creation to the last record."""
    unit = bare()
    w = World(load("million"))
    started = time.process_time()
    w.run()
    seconds = time.process_time() - started
    unit = min(unit, bare())
    us = seconds / w.total * 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    yield Figure("1,000,000 tasks", seconds / 60, "min", 10, us, unit)
    yield Figure("1,000,000 tasks, peak memory", peak / 2**30, "GiB", 2, us, unit)


BENCHES = {"lifecycle": lifecycle, "nodes": nodes, "backlog": backlog, "million": million}


def table(figures: list[Figure]) -> str:
    rows = [("", "figure", "target", "us/task", "bare us", "ratio", "")]
    for each in figures:
        row = f"{each.value:.2f} {each.unit}", f"<= {each.target:g}", f"{each.us:.0f}", f"{each.bare_us:.2f}"
        rows.append((each.name, *row, f"{each.us / each.bare_us:.0f}", "ok" if each.ok else "missed"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sim.bench", description=__doc__.split("\n")[0])
    parser.add_argument("bench", nargs="?", default="all", choices=[*BENCHES, "all"])
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    options = parser.parse_args(arguments)
    chosen = BENCHES.values() if options.bench == "all" else [BENCHES[options.bench]]
    figures = [figure for bench in chosen for figure in bench()]
    if options.json:
        print(json.dumps([{**asdict(each), "ratio": each.us / each.bare_us, "ok": each.ok} for each in figures]))
    else:
        print(table(figures))


if __name__ == "__main__":
    main()
