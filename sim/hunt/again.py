"""Whether a run comes again byte for byte from what was written of it: a random schedule with random faults is run and its late
messages are written out as a scenario; the text alone, read by another process, must give the same run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sim.collector import uncollected
from sim.hunt.case import data_of
from sim.hunt.schedules import FewValued
from sim.hunt.search import Hunt
from sim.hunt.strategies.swarm import Swarm
from sim.hunt.trial import faulty, played
from sim.scenario import Scenario
from sim.schedule import Recorded, Schedule
from sim.trace import Row, Trace
from sim.world import World


class Written(NamedTuple):
    """`text`: the run of a seed as a scenario, in JSON (read a hundred times as fast as YAML); `prints`: of its writes, and of
    all its events."""

    seed: int
    text: str
    prints: tuple[str, str]


class _Sha:
    """A checksum of the rows of a trace but the first, which names the scenario."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()
        self.rows = 0

    def put(self, row: Row) -> None:
        if self.rows:
            self.sha.update(json.dumps(row).encode())
        self.rows += 1


def write(scenario: Scenario, seeds: Sequence[int]) -> Iterator[Written]:
    """Run the scenario once for each seed."""
    strategy = Hunt(scenario, Swarm.name).strategy
    with uncollected():
        for seed in seeds:
            strategy.number = seed
            probe = strategy.probe()
            assert probe is not None
            whole = faulty(scenario, probe).model_copy(update={"seed": probe.seed, "schedule": None})
            recorded = Recorded(FewValued(probe.seed))
            prints = _run(whole, recorded)
            late = [each.late().model_dump(mode="json") for each in recorded.late]
            yield Written(seed, json.dumps(data_of(whole) | {"schedule": late}), prints)


def differing(written: Sequence[Written]) -> list[int]:
    """The seeds whose text gives another run than the one it was written of."""
    with uncollected():
        return [seed for seed, text, prints in written if _run(Scenario.model_validate(json.loads(text))) != prints]


def _run(scenario: Scenario, schedule: Schedule | None = None) -> tuple[str, str]:
    """Checksums of a run by `schedule`, or by its own."""
    sha = _Sha()
    trace = Trace(sink=sha.put)
    world = played(World(scenario, schedule=schedule, trace=trace))
    return world.digest.hexdigest(), sha.sha.hexdigest()
