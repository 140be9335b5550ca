"""The table theory | simulated: every family, its replications over processes, judged together."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from itertools import chain

from sim.crew import crew
from sim.theory import (
    birthday,
    choices,
    general_service,
    heartbeats,
    little,
    many_servers,
    optimism,
    priorities,
    shares,
    single_server,
)
from sim.theory.row import Expected, Family, Row, Values, judge
from sim.theory.station import LITTLE

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in chain(
        single_server.FAMILIES,
        many_servers.FAMILIES,
        general_service.FAMILIES,
        priorities.FAMILIES,
        choices.FAMILIES,
        birthday.FAMILIES,
        optimism.FAMILIES,
        heartbeats.FAMILIES,
        little.FAMILIES,
        shares.FAMILIES,
    )
}
EVERY_RUN = Family(
    "Little's law, every run",
    "Little",
    "all of the runs above",
    "",
    {"|L - lambda W| / L": Expected(1e-9)},
    lambda seed, product: {},
    0,
    bound=True,
)
Progress = Callable[[int, int, str], None]
"""Called with (replications done, all of them, the family of the last)."""


def seed_of(family: str, replication: int) -> int:
    """Families must not share what is left to chance, or one unlucky draw colours the whole table."""
    return int.from_bytes(hashlib.sha256(f"{family}/{replication}".encode()).digest()[:7], "big")


def replicate(name: str, replication: int) -> Values:
    """One replication of a family, in whatever process."""
    values = FAMILIES[name].measure(seed_of(name, replication), None)
    # A world is a net of cycles: without this a process holds several of them at a time.
    gc.collect()
    return values


def validate(names: Sequence[str], jobs: int, progress: Progress = lambda done, total, name: None) -> list[Row]:
    """The rows of these families. The same for any number of `jobs`, which are processes."""
    todo = [(name, number) for name in names for number in range(FAMILIES[name].replications)]
    found: dict[str, dict[int, Values]] = {name: {} for name in names}
    for done, ((name, number), values) in enumerate(_results(todo, jobs), 1):
        found[name][number] = values
        progress(done, len(todo), name)
    samples = {name: [values[number] for number in sorted(values)] for name, values in found.items()}
    return list(_judged(samples))


def _judged(samples: dict[str, list[Values]]) -> Iterator[Row]:
    rows = sum(family.rows for family in FAMILIES.values())
    for name, values in samples.items():
        yield from judge(FAMILIES[name], values, rows)
    off = [values[LITTLE] for each in samples.values() for values in each if LITTLE in values]
    if off:
        (told,) = EVERY_RUN.theory
        yield from judge(EVERY_RUN, [{told: worst} for worst in off], rows)


def _results(todo: list[tuple[str, int]], jobs: int) -> Iterator[tuple[tuple[str, int], Values]]:
    if jobs == 1:
        for each in todo:
            yield each, replicate(*each)
        return
    with crew(jobs) as pool:
        asked: dict[Future[Values], tuple[str, int]] = {pool.submit(replicate, *each): each for each in todo}
        for future in as_completed(asked):
            yield asked[future], future.result()
