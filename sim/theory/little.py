"""Little's law, L = lambda W. Once of the product's own books: L counted at the API server's door, W from creationTimestamp to
finishedAt as they stand on the tasks (whole seconds). And once of every run that any family makes: see `validation`."""

from __future__ import annotations

from foreman.api import AgenticTask
from sim.load import check
from sim.mutations import Product
from sim.theory.row import Expected, Family, Values
from sim.theory.station import LITTLE, QUIET, Meter
from sim.world import World

SCENARIO = {
    "fleet": {"server": {"count": 4, "slots": 2}},
    "workload": {"count": 1500, "arrivals": {"poisson": "40/m"}},
    "executor": {"duration": {"lognormal": {"median": "8s", "p95": "25s"}}},
    "until": "100h",
    **QUIET,
}
TASKS = 1500


def measure(seed: int, product: Product | None) -> Values:
    world = World(check(SCENARIO, "theory"), seed, product=product, check=False, digest=False)
    meter = Meter(world)
    world.run()
    span = world.now() / 1e6
    sojourns = [_sojourn(task) for task in world.server.tables["AgenticTask"].values()]
    arrivals = len(sojourns) / span
    ratio = meter.area / 1e6 / span / (arrivals * sum(sojourns) / len(sojourns))
    return {"L / (lambda W)": ratio, LITTLE: meter.imbalance()}


def _sojourn(task: AgenticTask) -> int:
    created, finished = task.metadata.creation_timestamp, task.status.finished_at
    assert created is not None
    assert finished is not None
    return finished - created


# Both ends of a sojourn are cut to whole seconds: of equal chances they cancel.
THEORY = {"L / (lambda W)": Expected(1.0, precision=0.02)}
FAMILIES = [Family("Little's law, own books", "Little", "4 nodes, 2 slots each", "", THEORY, measure, replications=8)]
