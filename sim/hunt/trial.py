"""One schedule tried: what to run is a Probe, what came of it a Trial. Both travel between processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sim.checkers import LIVENESS, SAFETY, Violation
from sim.fault import Fault
from sim.hunt.footprint import Footprint
from sim.hunt.plans import Place
from sim.mutations import Product
from sim.scenario import Scenario
from sim.schedule import Schedule
from sim.world import World

CRASH = "crash"
QUIET = 60_000_000
DELAYED = 900_000_000
"""Microseconds that a fault may cost: an event that never came is missed after ten minutes."""
GRAVEST = ("single-execution", "one-holder", "fenced-result", "terminal-absorbs", *SAFETY, *LIVENESS)
"""Of several things that go wrong in a run, the first of these is what it is about."""


def gravity(invariant: str) -> int:
    return GRAVEST.index(invariant) if invariant in GRAVEST else -1


class Probe(NamedTuple):
    """The `number`-th run of a strategy. `seed`: of everything but what follows; `faults`: beside the scenario's own;
    `swerves`: (n, choice) for the n-th message of the run not to be the quickest; `place`: where its one fault strikes."""

    strategy: str
    number: int
    seed: int
    faults: tuple[Fault, ...] = ()
    swerves: tuple[tuple[int, int], ...] = ()
    place: Place | None = None


class Trial(NamedTuple):
    """`broken`: the gravest violation, of `verdict` 'safety', 'liveness' or 'crash'; `messages`: how many were sent,
    where the schedule counts them; `fired`,
    `checked`: how often each fault struck and each invariant was put to the test; `states`, `path`: see Footprint;
    `landed`: whether a request that was delayed has still changed something."""

    probe: Probe
    verdict: str
    broken: Violation | None
    messages: int
    fired: Mapping[str, int]
    checked: Mapping[str, int]
    states: frozenset[int]
    path: int
    landed: bool = False


def faulty(scenario: Scenario, probe: Probe) -> Scenario:
    """The scenario with the probe's faults too; then it goes on for a while after its end, for what is still to be written."""
    if not probe.faults:
        return scenario
    return settled(scenario, alike=probe.place is not None).model_copy(
        update={"faults": (*scenario.faults, *probe.faults)}
    )


def settled(scenario: Scenario, alike: bool) -> Scenario:
    """The scenario going on for a while after its end; `alike`: it must end as without its faults."""
    checks = scenario.checks.model_copy(update={"differential": True}) if alike else scenario.checks
    longer = {"linger": max(scenario.linger, QUIET), "until": scenario.until + DELAYED}
    return scenario.model_copy(update={**longer, "checks": checks})


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
    return trial_of(played(world), probe, footprint)


def trial_of(world: World, probe: Probe, footprint: Footprint) -> Trial:
    """What came of a run that has ended."""
    fired: dict[str, int] = {}
    for plan in world.faults.plans:
        sort = plan.fault.name or plan.fault.fault
        fired[sort] = fired.get(sort, 0) + plan.fired
    verdict, broken = judged(world)
    checks = world.checkers.checks
    drawn = getattr(world.schedule, "drawn", 0)
    landed = any(plan.ambush is not None and plan.ambush.landed for plan in world.faults.plans)
    return Trial(probe, verdict, broken, drawn, fired, checks, frozenset(footprint.states), footprint.path, landed)


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
