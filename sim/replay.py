"""A run looked at in the middle: the snapshot of its cluster at a virtual time, and what one task went through before.

A scenario is run up to that time. A trace file names the scenario, the seed and the options it was written with: it is run
again, and every row compared with the file, so that what is told of it is true of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from foreman.decide.attempts import Seen
from foreman.decide.snapshot import Snapshot
from sim.host import EPOCH, SECOND
from sim.load import parse
from sim.scenario import Scenario
from sim.selection import Change
from sim.trace import HEADER, STATES, Row, Trace
from sim.tracefile import read_trace
from sim.world import World

Observe = Callable[[World, Change], None]


class Look(NamedTuple):
    """What is seen at the chosen time. `history`: the states of the task asked for, oldest first."""

    snapshot: Snapshot
    history: list[Seen]
    policy: str


class Diverged(ValueError):
    """This version of Foreman does something else than the one that wrote the trace."""


def look(scenario: Scenario, key: str, at: int | None, seed: int | None = None) -> Look:
    """The run of `scenario` at virtual microsecond `at` (None: at its end); `key`: the task whose history is kept."""
    history = _History(key)
    return history.look(reach(World(scenario, seed, check=False), at, history.watch))


def look_at_trace(path: Path, key: str, at: int | None) -> Look:
    """The run that wrote the trace. Raises ValueError, as `reach_in_trace` does."""
    history = _History(key)
    return history.look(reach_in_trace(path, at, history.watch))


def reach(world: World, at: int | None, observe: Observe) -> World:
    """The world at virtual microsecond `at` (None: at its end); `observe` is told of the commits before."""
    world.server.observers.append(partial(observe, world))
    return world.run(until=min(at, world.scenario.until) if at is not None else None)


def reach_in_trace(path: Path, at: int | None, observe: Observe) -> World:
    """The same of the run that wrote the trace. Raises ValueError: no trace, one without a first line that names its scenario,
    or one that this version does not repeat."""
    scenario, header, last = _ends(path)
    end = last + 1 if at is None else min(at, last + 1)
    compared = _Compared(path, end)
    found = reach(World(scenario, header["seed"], check=header["check"], trace=Trace(compared.put)), end, observe)
    if compared.differs:
        raise Diverged(compared.differs)
    return found


def scenario_of(path: Path) -> Scenario:
    """The scenario a trace file was written of. Raises ValueError."""
    return _header(path, next(read_trace(path), None))[0]


def _ends(path: Path) -> tuple[Scenario, Row, int]:
    rows = read_trace(path)
    scenario, header = _header(path, next(rows, None))
    last = 0
    for row in rows:
        last = row["t"]
    return scenario, header, last


def _header(path: Path, row: Row | None) -> tuple[Scenario, Row]:
    if row is None or row["what"] != HEADER:
        raise ValueError(f"{path}:1: does not name its scenario: write it anew with this version of Foreman")
    return parse(json.dumps(row["scenario"]), str(path)), row


class _History:
    """Keeps the states of one task."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.states: list[Seen] = []

    def watch(self, world: World, change: Change) -> None:
        if change.kind == "AgenticTask" and change.key == self.key and change.new is not None:
            self.states.append(Seen(EPOCH + world.now() / SECOND, change.actor, change.new))

    def look(self, world: World) -> Look:
        tables = world.server.tables
        wall = EPOCH + world.now() // SECOND
        kinds = "AgenticTask", "FleetNode", "Agent", "Workload"
        everything: tuple[Any, ...] = tuple(tables[kind].values() for kind in kinds)
        return Look(Snapshot(wall, *everything), self.states, world.scenario.policy)


class _Compared:
    """The sink of a trace that is written again: each row must be the file's, up to `end`."""

    def __init__(self, path: Path, end: int) -> None:
        self.path = path
        self.written = (each for each in enumerate(read_trace(path), 1) if each[1]["what"] not in STATES)
        self.end = end
        self.number = 0
        self.differs = ""

    def put(self, row: Row) -> None:
        if self.differs or row["what"] in STATES:
            return
        self.number, then = next(self.written, (self.number + 1, {}))
        if row["what"] == HEADER:
            if (wrote := then.get("version")) != row["version"]:
                self.differs = f"{self.path}: written by Foreman {wrote}: explain it with that version"
        elif then != row and row["t"] < self.end:
            self.differs = f"{self.path}:{self.number}: this version of Foreman does not repeat that run"
