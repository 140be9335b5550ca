"""Many seeds of many scenarios: `python -m sim.soak [--seeds 1000] [--replay 10000] [--jobs 2] [--mutate NAME] [SCENARIO ...]`.

Prints a line per scenario: seeds run, seeds red, how many different runs there were, and the first red seed with the
command that replays it. Exit code 1 when any seed is red (with --mutate: when none is).

With --replay each seed draws a schedule and faults, and what was written of its run is read and run by another process, with
another PYTHONHASHSEED: red is a seed whose run is not the same byte for byte.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

from sim.crew import crew
from sim.hunt.again import Written, differing, write
from sim.load import BadScenario, load, shipped
from sim.result import result_of
from sim.world import World

CHUNK = 10
LARGE = 5_000
"""Tasks from which on a scenario is too large to be run by the thousand."""
SMALLEST = "m2-stub-task"


class Outcome(NamedTuple):
    seed: int
    verdict: str
    digest: str
    why: str


def outcomes(name: str, seeds: list[int], mutations: tuple[str, ...]) -> list[Outcome]:
    """Run one scenario under each of the seeds."""
    sets = [f"mutations=[{','.join(mutations)}]"] if mutations else []
    scenario = load(name, sets)
    found = []
    for seed in seeds:
        result = result_of(World(scenario, seed).run())
        told = [f"{each['invariant']}: {each['message']}" for each in result["violations"]]
        why = (told + result["crashes"] + result["unmet"] + [""])[0]
        found.append(Outcome(seed, result["verdict"], result["digest"], why))
    return found


def soak(name: str, seeds: int, mutations: tuple[str, ...], pool: ProcessPoolExecutor) -> Iterator[Outcome]:
    for future in [pool.submit(outcomes, name, chunk, mutations) for chunk in _chunks(seeds)]:
        yield from future.result()


def written(name: str, seeds: list[int]) -> list[Written]:
    return [*write(load(name), seeds)]


def replayed(name: str, seeds: int, jobs: int) -> tuple[int, list[int]]:
    """How many different runs there were, and which of the seeds does not come again from what was written of it."""
    runs: set[tuple[str, str]] = set()
    with ExitStack() as stack:
        # Forked processes would share the order of their sets.
        one, other = (stack.enter_context(crew(jobs, start="spawn")) for _ in range(2))
        found = []
        for texts in [one.submit(written, name, chunk) for chunk in _chunks(seeds)]:
            runs.update(each.prints for each in texts.result())
            found.append(other.submit(differing, texts.result()))
        return len(runs), [seed for future in found for seed in future.result()]


def _chunks(seeds: int) -> list[list[int]]:
    return [list(range(start, min(start + CHUNK, seeds))) for start in range(0, seeds, CHUNK)]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sim.soak", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="file or name (default: all that ship)")
    parser.add_argument("--seeds", type=int, default=1000, help="seeds 0..N-1 of each scenario (default 1000)")
    parser.add_argument(
        "--replay", type=int, metavar="N", help="replay N seeds byte for byte from what is written of them"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--mutate", action="append", default=[], metavar="NAME", help="take this safeguard out")
    options = parser.parse_args(argv)
    if options.seeds < 1 or options.jobs < 1 or (options.replay is not None and options.replay < 1):
        parser.error("--seeds, --replay and --jobs must be at least 1")
    try:
        if options.replay is not None:
            return int(_replay(options.scenarios or [SMALLEST], options.replay, options.jobs))
        names = options.scenarios or [name for name in sorted(shipped()) if _small(name)]
        red = _run(names, options.seeds, tuple(options.mutate), options.jobs)
    except BadScenario as error:
        parser.error(str(error))
    return int(not red if options.mutate else red)


def _small(name: str) -> bool:
    workload = load(name).workload
    return workload is None or workload.count < LARGE


def _replay(names: list[str], seeds: int, jobs: int) -> bool:
    any_red = False
    for name in names:
        load(name)
        started = time.perf_counter()
        different, differ = replayed(name, seeds, jobs)
        any_red = any_red or bool(differ)
        told = (
            f"not the same again: seeds {', '.join(map(str, differ[:5]))}"
            if differ
            else "the same again, byte for byte"
        )
        seconds = time.perf_counter() - started
        print(
            f"{name}: {seeds} seeds, {different} different runs, {len(differ)} red, {seconds:.0f}s: {told}", flush=True
        )
    return any_red


def _run(names: list[str], seeds: int, mutations: tuple[str, ...], jobs: int) -> bool:
    any_red = False
    with crew(jobs) as pool:
        for name in names:
            started = time.perf_counter()
            found = list(soak(name, seeds, mutations, pool))
            red = [each for each in found if each.verdict != "ok"]
            any_red = any_red or bool(red)
            different = len({each.digest for each in found})
            seconds = time.perf_counter() - started
            print(f"{name}: {len(found)} seeds, {different} different runs, {len(red)} red, {seconds:.0f}s", flush=True)
            if red:
                extra = "".join(f" --set 'mutations=[{each}]'" for each in mutations)
                print(f"  {red[0].verdict}: {red[0].why}\n  foreman sim run {name} --seed {red[0].seed}{extra}")
    return any_red


if __name__ == "__main__":
    sys.exit(main())
