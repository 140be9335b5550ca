"""How fast, in units of bare simpy: `python -m sim.bench [lifecycle|nodes|backlog|million|scale|hunt|trace|report|all]`.

The unit is what simpy alone takes for one Timeout of a generator process while 1,000 processes are pending. Machines are noisy,
so the two take turns: a slice of the run, a slice of bare simpy, and so on; what slows one down slows the other down as well,
and of several rounds the best ratio counts. Times are CPU seconds of this process. Nothing is asserted here: the table says
which target was met.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import simpy

from sim.collector import uncollected
from sim.host import SECOND
from sim.hunt.search import Budget, Hunt
from sim.load import load, parse
from sim.result import result_of
from sim.tracefile import SUFFIXES, recording
from sim.world import World

PENDING = 1000
TIMEOUTS = 10_000
CALLS = 4000
"""Slices: so many timeouts of bare simpy, so many calls of a run."""

LIFECYCLE = """
fleet: {gpu: {count: 100}}
workload: {count: 1000000, arrivals: {poisson: 95/s}}
executor: {duration: 1s}
until: 24h
"""

NODES = """
fleet: {gpu: {count: 100}}
workload: {count: 1000000, arrivals: {poisson: 4.75/s}}
executor: {duration: 20s}
until: 24h
"""

BACKLOG = """
fleet: {gpu: {count: 100}}
workload: {count: 1000}
executor: {duration: 1s}
until: 24h
"""

TRACED = """
fleet: {gpu: {count: 100}}
workload: {count: 10000, arrivals: {poisson: 95/s}}
executor: {duration: 1s}
until: 24h
"""

CLAIM = """
fleet: {node: {count: 2}}
workload: {count: 1}
executor: {duration: 2s}
"""
CLOUDSIM_PLUS = 78
"""Seconds: cloudsimplus.org/docs/performance.html, 1.3 minutes on a dual-core i7-4558U."""
HUNTS = 5
SCHEDULES = 200


class Cost(NamedTuple):
    """CPU microseconds per task, and per bare timeout measured in between."""

    us: float
    bare_us: float

    @property
    def ratio(self) -> float:
        return self.us / self.bare_us


@dataclass(frozen=True)
class Figure:
    """One line of the table; `target` bounds `value` from above; `note` stands under the table."""

    name: str
    value: float
    unit: str
    target: float
    cost: Cost
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.value <= self.target


class Bare:
    """simpy alone, with PENDING processes pending."""

    def __init__(self) -> None:
        self.env = simpy.Environment()
        self.seconds = 0.0
        self.timeouts = 0
        for _ in range(PENDING):
            self.env.process(self._process())

    def _process(self) -> Generator[simpy.Event, Any, None]:
        while True:
            yield self.env.timeout(PENDING)

    def slice(self) -> None:
        started = time.process_time()
        self.env.run(until=self.env.now + TIMEOUTS)
        self.seconds += time.process_time() - started
        self.timeouts += TIMEOUTS


def world(text: str, *sets: str) -> World:
    return World(parse(text, "bench.yaml", sets))


def play(w: World, until: Callable[[], bool]) -> None:
    """Run on until the condition holds, looked at now and then."""
    with uncollected():
        while not until():
            w.env.advance(CALLS)


def cost(w: World, tasks: int) -> Cost:
    """What the next `tasks` tasks that end cost, each."""
    bare, seconds, first = Bare(), 0.0, w.stats.settled
    with uncollected():
        while w.stats.settled < first + tasks:
            started = time.process_time()
            w.env.advance(CALLS)
            seconds += time.process_time() - started
            bare.slice()
    w.drop_unstarted()
    return Cost(seconds / (w.stats.settled - first) * 1e6, bare.seconds / bare.timeouts * 1e6)


def best(rounds: int, measure: Callable[[], Cost]) -> Cost:
    return min((measure() for _ in range(rounds)), key=lambda each: each.ratio)


def lifecycle() -> Iterator[Figure]:
    """Create, normalise, schedule, claim, report, record, mark: seven API calls and all that watches, with checkers on."""
    found = best(5, lambda: cost(world(LIFECYCLE), 2500))
    yield Figure("lifecycle of a task", found.ratio, "bare timeouts", 100, found)


def nodes() -> Iterator[Figure]:
    """Steady state at 95 % utilisation: as many heartbeats per task on a large fleet as on a small one.

    An execution lasts long enough that one operator's 16 workers are not what limits the large fleet.
    """

    def steady(count: int) -> Cost:
        w = world(NODES, f"fleet.gpu.count={count}", f"workload.arrivals.poisson={count * 0.0475}/s")
        play(w, lambda: w.now() >= 40 * SECOND)
        return cost(w, 4000)

    few, many = best(2, lambda: steady(100)), best(2, lambda: steady(10_000))
    yield Figure("10,000 nodes : 100 nodes", many.ratio / few.ratio, "x", 1.5, many)


def backlog() -> Iterator[Figure]:
    """What a task costs while so many others wait."""

    def waiting(count: int) -> Cost:
        w = world(BACKLOG, f"workload.count={count + 20_000}")
        play(w, lambda: w.stats.created >= w.total and not w.stats.phases[""])
        play(w, lambda: w.total - w.stats.settled <= count + 4000)
        return cost(w, 4000)

    few, many = best(2, lambda: waiting(1000)), best(2, lambda: waiting(100_000))
    yield Figure("100,000 pending : 1,000 pending", many.ratio / few.ratio, "x", 1.5, many)


def million() -> Iterator[Figure]:
    """The shipped scenario: a million tasks from the first creation to the last record."""
    w = World(load("million"))
    found = cost(w, w.total)
    yield Figure("1,000,000 tasks, CPU time", found.us * w.total / 60e6, "min", 10, found)
    yield Figure("1,000,000 tasks, peak memory", _peak() / 2**30, "GiB", 2, found)


def _peak() -> int:
    """Bytes this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def scale() -> Iterator[Figure]:
    """The shipped scenario: a day of 10,000 nodes. CPU time is user and system; wall time is of the run's own slices."""
    bare, cpu, wall = Bare(), 0.0, 0.0
    started, began = time.process_time(), time.perf_counter()
    w = World(load("scale"))
    with uncollected():
        for _ in w.steps():
            cpu += time.process_time() - started
            wall += time.perf_counter() - began
            bare.slice()
            started, began = time.process_time(), time.perf_counter()
        w.drop_unstarted()
        w.judge()
    cpu += time.process_time() - started
    wall += time.perf_counter() - began
    beats = w.heartbeats.elided if w.heartbeats is not None else 0
    note = (
        f"{w.now() / 3600e6:g} h virtual, {w.stats.settled:,} tasks ended, {beats:,} heartbeats elided, {cpu:.1f} s CPU, "
        f"{wall:.1f} s wall, peak {_peak() / 2**20:.0f} MiB: {CLOUDSIM_PLUS / cpu:.1f} times as fast as {CLOUDSIM_PLUS} s, "
        "CloudSim Plus's figure for 20,000 hosts and 50,000 tasks (FirstFit, on a machine of its own)"
    )
    found = Cost(cpu / w.stats.settled * 1e6, bare.seconds / bare.timeouts * 1e6)
    yield Figure("24 h of 10,000 nodes, CPU time", cpu, "s", CLOUDSIM_PLUS, found, note)
    yield Figure("24 h of 10,000 nodes, wall time", wall, "s", CLOUDSIM_PLUS, found)


def hunt() -> Iterator[Figure]:
    """A schedule of the smallest claim: two agents, one task, all checks on, the garbage of runs collected."""

    def tried() -> Cost:
        bare, seconds, schedules = Bare(), 0.0, 0
        for seed in range(HUNTS):
            search = Hunt(parse(CLAIM, "bench.yaml"), "random", Budget(SCHEDULES, None), seed=seed)
            started = time.process_time()
            schedules += search.run().coverage.schedules
            seconds += time.process_time() - started
            bare.slice()
        return Cost(seconds / schedules * 1e6, bare.seconds / bare.timeouts * 1e6)

    found = best(3, tried)
    yield Figure("hunt, a schedule", found.us / 1000, "ms each", 1, found)


def trace() -> Iterator[Figure]:
    """The same run with and without a trace, in turns: what writing it adds. The files are written to a temporary folder."""
    for suffix in SUFFIXES:
        found = min((_traced(suffix) for _ in range(3)), key=lambda each: each.ratio)
        yield Figure(f"run with a {suffix} trace : without", found.ratio, "x", 1.2, found)


def _traced(suffix: str) -> Cost:
    """CPU microseconds per task of the traced run, and of the other."""
    with TemporaryDirectory() as folder:
        plain = world(TRACED)
        started = time.process_time()
        with recording(Path(folder, f"run{suffix}")) as log:
            told = World(parse(TRACED, "bench.yaml"), trace=log)
            seconds, bare = time.process_time() - started, 0.0
            with uncollected():
                while not (plain.stopped and told.stopped):
                    seconds += _slice(told)
                    bare += _slice(plain)
            started = time.process_time()
            told.drop_unstarted()
            log.end(result_of(told))
        seconds += time.process_time() - started
    return Cost(seconds / told.total * 1e6, bare / plain.total * 1e6)


def _slice(w: World) -> float:
    started = time.process_time()
    if not w.stopped:
        w.env.advance(CALLS)
    return time.process_time() - started


def report() -> Iterator[Figure]:
    """The page of a run of 10,000 tasks: in units of bare simpy what building it takes; real seconds to open it."""
    from sim.report.bench import TASKS, measured

    found, bare = measured(), Bare()
    bare.slice()
    cost = Cost(found.build / TASKS * 1e6, bare.seconds / bare.timeouts * 1e6)
    yield Figure("report of 10,000 tasks, its size", found.size, "MB", 5, cost)
    yield Figure("report of 10,000 tasks, building it", found.build, "s", 10, cost)
    if found.opened is None:
        print(f"the page was not opened: {found.why}", file=sys.stderr)
    else:
        yield Figure("report of 10,000 tasks, opening it", found.opened, "s", 2, cost)


BENCHES = {
    "lifecycle": lifecycle, "nodes": nodes, "backlog": backlog, "million": million, "scale": scale, "hunt": hunt,
    "trace": trace, "report": report,
}  # fmt: skip


def table(figures: list[Figure]) -> str:
    rows = [("", "figure", "target", "us/task", "bare us", "ratio", "")]
    for each in figures:
        value, target = f"{each.value:.2f} {each.unit}", f"<= {each.target:g}"
        costs = f"{each.cost.us:.0f}", f"{each.cost.bare_us:.2f}", f"{each.cost.ratio:.0f}"
        rows.append((each.name, value, target, *costs, "ok" if each.ok else "missed"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines + [f"{each.name}: {each.note}" for each in figures if each.note])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sim.bench", description=__doc__.split("\n")[0])
    parser.add_argument("bench", nargs="?", default="all", choices=[*BENCHES, "all"])
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    options = parser.parse_args(arguments)
    chosen = BENCHES.values() if options.bench == "all" else [BENCHES[options.bench]]
    figures = [figure for bench in chosen for figure in bench()]
    if options.json:
        print(json.dumps([{**asdict(each), "cost": each.cost._asdict(), "ok": each.ok} for each in figures]))
    else:
        print(table(figures))


if __name__ == "__main__":
    main()
