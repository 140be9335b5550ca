"""M/G/1: one server and services that are not exponential."""

from __future__ import annotations

from functools import partial
from typing import Any

from sim.mutations import Product
from sim.theory.formulas import pollaczek_khinchine
from sim.theory.row import Expected, Family, Values
from sim.theory.station import SERVICE, served, station, waits

LOAD = 0.7
TASKS = 2500


def measure(service: Any, seed: int, product: Product | None) -> Values:
    return dict(waits(served(station(1, 1, LOAD, TASKS, service), seed, product)))


def family(name: str, service: Any, variation: float, precision: float) -> Family:
    theory = {"Wq": Expected(pollaczek_khinchine(LOAD, variation), precision=precision), "P(wait)": Expected(LOAD)}
    run = "1 node, 1 slot"
    return Family(
        f"M/{name}/1, load {LOAD:g}", "Pollaczek-Khinchine", run, "mean services", theory, partial(measure, service)
    )


FAMILIES = [
    family("D", f"{SERVICE}us", 0.0, 0.2),
    family("two-point", {"choices": {f"{SERVICE // 2}us": 9, f"{SERVICE * 11 // 2}us": 1}}, 2.25, 0.35),
]
