"""One schedule tried: what to run is a Probe, what came of it a Trial. Both travel between processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sim.checkers import LIVENESS, SAFETY, Violation
from sim.fault import Fault
from sim.hunt.footprint import Footprint
from sim.mutations import Product
from sim.scenario import Scenario
from sim.schedule import Schedule
from sim.world import World

CRASH = "crash"
QUIET = 60_000_000
GRAVEST = ("single-execution", "one-holder", "fenced-result", "terminal-absorbs", *SAFETY, *LIVENESS)
"""Of several things that go wrong in a run, the first of these is what it is about."""


def gravity(invariant: str) -> int:
    return GRAVEST.index(invariant) if invariant in GRAVEST else -1


class Probe(NamedTuple):
    """The `number`-th run of a strategy. `seed`: of everything but what follows; `faults`: beside the scenario's own;
    `swerves`: (n, choice) for the n-th message of the run not to be the quickest."""

    strategy: str
    number: int
    seed: int
    faults: tuple[Fault, ...] = ()
    swerves: tuple[tuple[int, int], ...] = ()


class Trial(NamedTuple):
    """`broken`: the gravest violation, of `verdict` 'safety', 'liveness' or 'crash'; `messages`: how many were sent,
    where the schedule counts them; `fired`,
    `checked`: how often each fault struck and each invariant was put to the test; `states`, `path`: see Footprint."""

    probe: Probe
    verdict: str
    broken: Violation | None
    messages: int
    fired: Mapping[str, int]
    checked: Mapping[str, int]
    states: frozenset[int]
    path: int


def faulty(scenario: Scenario, probe: Probe) -> Scenario:
    """The scenario with the probe's faults too; then it goes on for a while after its end, for what is still to be written."""
    if not probe.faults:
        return scenario
    return scenario.model_copy(
        update={"faults": (*scenario.faults, *probe.faults), "linger": max(scenario.linger, QUIET)}
    )


def played(world: World) -> World:
    """Run to the end. A World takes ^C for its own end; here it is the end of all."""
    world.run()
    if world.interrupted:
        raise KeyboardInterrupt
    return world


def attempt(scenario: Scenario, probe: Probe, schedule: Schedule, product: Product | None = None) -> Trial:
    """Run a probe to its end."""
    footprint = Footprint()
    world = World(faulty(scenario, probe), probe.seed, product=product, schedule=schedule, digest=False)
    world.server.observers.append(footprint.committed)
    played(world)
    fired: dict[str, int] = {}
    for plan in world.faults.plans:
        sort = plan.fault.name or plan.fault.fault
        fired[sort] = fired.get(sort, 0) + plan.fired
    verdict, broken = judged(world)
    checks = world.checkers.checks
    drawn = getattr(schedule, "drawn", 0)
    return Trial(probe, verdict, broken, drawn, fired, checks, frozenset(footprint.states), footprint.path)


def judged(world: World) -> tuple[str, Violation | None]:
    """('ok', None), or how the run went wrong and the gravest thing that did."""
    if world.crashes:
        host, task, error = world.crashes[0]
        return CRASH, Violation(CRASH, world.now(), host, f"{type(error).__name__} in {task}: {error}")
    if not world.checkers.violations:
        return "ok", None
    found = {each.invariant: each for each in reversed(world.checkers.violations)}
    gravest = next(found[name] for name in GRAVEST if name in found)
    return ("liveness" if gravest.invariant in LIVENESS else "safety"), gravest
