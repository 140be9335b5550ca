"""A case: one run that goes wrong, as plain data that can be made smaller, written to a file, and run again anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sim.checkers import Violation
from sim.ending import told_to_differ
from sim.hunt.strategies.strategy import schedule_of
from sim.hunt.trial import CRASH, Trial, faulty, judged, played
from sim.mutations import Product
from sim.scenario import Scenario
from sim.schedule import Listed, Recorded, Schedule
from sim.world import World

Data = dict[str, Any]


class Case(NamedTuple):
    """`data`: a scenario as in a file, its late messages written out; `violation`: what is wrong with its run."""

    data: Data
    violation: Violation

    @property
    def invariant(self) -> str:
        return self.violation.invariant

    @property
    def late(self) -> Sequence[Mapping[str, Any]]:
        return self.data["schedule"] or ()

    def bulk(self) -> tuple[int, ...]:
        """The size of the scenario: hosts, tasks, faults, then words."""
        words = len(str({key: value for key, value in self.data.items() if key not in ("schedule", "seed")}))
        return _actors(self.data), _tasks(self.data), len(self.data.get("faults", ())), words


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

    The late messages up to there are written out: they alone lead there again.
    """
    scenario = Scenario.model_validate(data)
    recorded = Recorded(schedule or Listed(scenario.schedule or ()))
    world = World(scenario, schedule=recorded, product=product, digest=False)
    recorded.now = world.now
    broken = run_until_broken(world, invariant)
    if broken is None:
        return None
    late = [each.late().model_dump(mode="json") for each in recorded.late]
    return Case({**data, "schedule": late}, broken)


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


def _actors(data: Data) -> int:
    nodes = sum(group.get("count", 1) * group.get("twins", 1) for group in data["fleet"].values())
    return int(nodes + data.get("operators", {}).get("replicas", 1))


def _tasks(data: Data) -> int:
    return int((data.get("workload") or {}).get("count", 0) + len(data.get("tasks", {})))
