"""The power of choices: everybody joins the shortest of d nodes drawn at random.

Nodes take any number of runs and share their speed among them (processor sharing, as models are served), so each is a queue of
its own; there only the mean of a run counts, not its distribution. d = 1 is the product's `random` policy, for d > 1 it
is asked d times and the least used node wins. The closed form is for infinitely many nodes: 50 lie a little above it.
"""

from __future__ import annotations

from typing import Any

from foreman.api import AgenticTask
from foreman.decide.queueing import GroupKey
from foreman.operator import OperatorParts
from foreman.scheduler import Scheduler
from sim.load import check
from sim.mutations import Product
from sim.theory.formulas import joining_shortest
from sim.theory.row import Expected, Family, Values
from sim.theory.station import LITTLE, QUIET, Meter
from sim.world import World

NODES = 50
LOAD = 0.7
MEAN = 40
"""Seconds of a run that is alone: long against the second in which `Serving` notices who joins."""
TASKS = 900
WARM_UP = 250
CHOICES = (1, 2, 5)


class Choosy(Scheduler):
    """Draws nodes by the fleet's own policy, and takes the least used of them."""

    choices = 1

    def _choose(self, group: GroupKey, task: AgenticTask) -> str | None:
        drawn = [super(Choosy, self)._choose(group, task) for _ in range(self.choices)]
        return min((name for name in drawn if name), key=lambda name: self.fleet.node(name).used, default=None)


def choosing(choices: int) -> Product:
    return Product(operator=OperatorParts(scheduler=type("Choosy", (Choosy,), {"choices": choices})))


def scenario() -> dict[str, Any]:
    return {
        "fleet": {"server": {"count": NODES, "slots": 100, "tokensPerSecond": 1000}},
        "policy": "random",
        "workload": {"count": TASKS + 2 * WARM_UP, "arrivals": {"poisson": f"{NODES * LOAD / MEAN}/s"}},
        "executor": {"tokens": {"output": [0, 2 * MEAN * 1000]}},
        "until": "1000h",
        **QUIET,
    }


def measure(seed: int, product: Product | None) -> Values:
    found = {}
    worst = 0.0
    for choices in CHOICES:
        world = World(
            check(scenario(), "theory"), seed, product=product or choosing(choices), check=False, digest=False
        )
        meter = Meter(world)
        world.run()
        found[f"sojourn, d = {choices}"], imbalance = meter.sojourn(WARM_UP) / MEAN, meter.imbalance()
        worst = max(worst, imbalance)
    return {**found, LITTLE: worst}


THEORY = {f"sojourn, d = {d}": Expected(joining_shortest(LOAD, d), slack=0.01, precision=0.35) for d in CHOICES}
NAME = f"power of d choices, load {LOAD:g}"
FAMILIES = [Family(NAME, "supermarket model", f"{NODES} nodes", "mean runs alone", THEORY, measure, replications=8)]
