"""M/M/1: one node with one slot, exponential executions."""

from __future__ import annotations

from functools import partial

from sim.mutations import Product
from sim.theory.formulas import mmc_wait
from sim.theory.row import Expected, Family, Values
from sim.theory.station import served, station, waits

TASKS = 4000


def measure(load: float, seed: int, product: Product | None) -> Values:
    return dict(waits(served(station(1, 1, load, TASKS), seed, product)))


def family(load: float) -> Family:
    theory = {"Wq": Expected(mmc_wait(1, load), precision=0.3), "P(wait)": Expected(load)}
    name = f"M/M/1, load {load:g}"
    return Family(name, "Erlang", "1 node, 1 slot", "mean services", theory, partial(measure, load))


FAMILIES = [family(0.8)]
