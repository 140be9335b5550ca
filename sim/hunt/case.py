"""A case: one run that goes wrong, as plain data that can be made smaller, written to a file, and run again anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sim.checkers import Violation
from sim.ending import told_to_differ
from sim.hunt.strategies.strategy import schedule_of
from sim.hunt.trial import CRASH, Trial, faulty, judged, played
from sim.mutations import Product
from sim.scenario import Scenario
from sim.schedule import Listed, Made, Recorded, Schedule
from sim.world import World

Data = dict[str, Any]

UNTOUCHED = ("name", "seed", "schedule", "mutations", "recorded", "expect")
"""Parts of a scenario that say nothing of its size."""


class Size(NamedTuple):
    """What a person has to look at: actors by role, tasks that there were, faults, choices that are not the quickest."""

    operators: int
    agents: int
    tasks: int
    faults: int
    choices: int


class Case(NamedTuple):
    """`data`: a scenario as in a file, its choices written out; `violation`: what is wrong with its run, of `tasks` tasks;
    `late`: the choices that are not the quickest."""

    data: Data
    violation: Violation
    tasks: int
    late: tuple[Made, ...]

    @property
    def invariant(self) -> str:
        return self.violation.invariant

    def size(self) -> Size:
        operators, agents = _actors(self.data)
        return Size(operators, agents, self.tasks, len(self.data.get("faults", ())), len(self.late))


def bulk(data: Data) -> tuple[int, ...]:
    """How large a scenario is, whatever its schedule: actors, tasks and issues, faults, words, numbers."""
    said = {key: value for key, value in data.items() if key not in UNTOUCHED}
    return sum(_actors(data)), _tasks(data), len(data.get("faults", ())), len(str(said)), sum(_numbers(said))


def case_of(scenario: Scenario, trial: Trial, product: Product | None = None) -> Case | None:
    """What a trial found, with its choices written out; None if its run does not go wrong again."""
    probe = trial.probe
    whole = faulty(scenario, probe).model_copy(update={"seed": probe.seed})
    assert trial.broken is not None
    return record(data_of(whole), schedule_of(probe), trial.broken.invariant, product)


def data_of(scenario: Scenario) -> Data:
    """The scenario as in a file, without what it expects of a run by itself."""
    return scenario.model_dump(mode="json", exclude_defaults=True) | {"expect": told_to_differ(scenario)}


def record(data: Data, schedule: Schedule | None, invariant: str, product: Product | None = None) -> Case | None:
    """Run `data` by `schedule` (None: by its own), as far as it takes to break `invariant`; None if it never does.

    The choices up to there that are not the quickest are written out: they alone lead there again.
    """
    scenario = Scenario.model_validate(data)
    recorded = Recorded(schedule or Listed(scenario.schedule or ()))
    world = World(scenario, schedule=recorded, product=product, digest=False)
    recorded.now = world.now
    broken = run_until_broken(world, invariant)
    if broken is None:
        return None
    late = [each.late().model_dump(mode="json", exclude_defaults=True) for each in recorded.late]
    return Case({**data, "schedule": late}, broken, world.total, tuple(recorded.late))


def run_until_broken(world: World, invariant: str) -> Violation | None:
    """Run as far as it takes to break `invariant`, and give the violation; None if the run ends without."""
    tell = world.checkers.on_violation

    def stop(violation: Violation) -> None:
        tell(violation)
        if violation.invariant == invariant:
            world.halt()

    world.checkers.on_violation = stop
    played(world)
    if world.crashes and invariant == CRASH:
        return judged(world)[1]
    return next((each for each in world.checkers.violations if each.invariant == invariant), None)


def _actors(data: Data) -> tuple[int, int]:
    """(operators, agents)."""
    agents = sum(group.get("count", 1) * group.get("twins", 1) for group in data["fleet"].values())
    return data.get("operators", {}).get("replicas", 1), agents


def _tasks(data: Data) -> int:
    issues = sum(len(each.get("spec", {}).get("issues") or ()) for each in data.get("workloads", {}).values())
    return int((data.get("workload") or {}).get("count", 0) + len(data.get("tasks", {})) + issues)


def _numbers(data: Any) -> Iterator[int]:
    if isinstance(data, int):
        yield data
    elif isinstance(data, dict | list):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _numbers(each)
