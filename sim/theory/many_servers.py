"""M/M/c: several nodes, or several slots of one, behind one queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sim.mutations import Product
from sim.theory.formulas import erlang_c, mmc_wait
from sim.theory.row import Expected, Family, Values
from sim.theory.station import served, station, waits

TASKS = 3000
BUSY_TASKS, BUSY_WARM_UP = 3000, 2000
"""At load 0.95 a queue forgets how it began after 2 x 0.95 / 0.05^2 = 760 tasks: three times that is left out with the usual
warm-up. What remains is enough for P(wait). The mean wait is not among the rows: to know it to 30 % takes 16 x 16,000 tasks, or
80 s of CPU time, which is half of what all other rows take together."""


def measure(nodes: int, slots: int, load: float, seed: int, product: Product | None) -> Values:
    return dict(waits(served(station(nodes, slots, load, TASKS), seed, product)))


def measure_busy(nodes: int, slots: int, load: float, seed: int, product: Product | None) -> Values:
    busy = served(station(nodes, slots, load, BUSY_TASKS + BUSY_WARM_UP), seed, product)
    return dict(waits(busy, BUSY_WARM_UP))


def family(
    nodes: int,
    slots: int,
    load: float,
    measure: Callable[..., Values] = measure,
    rows: Sequence[str] = ("P(wait)", "Wq"),
) -> Family:
    servers = nodes * slots
    theory = {
        "P(wait)": Expected(erlang_c(servers, load), precision=0.25),
        "Wq": Expected(mmc_wait(servers, load), precision=0.4),
    }
    name, run = f"M/M/{servers}, load {load:g}", f"{nodes} nodes, {slots} slots each"
    return Family(
        name, "Erlang C", run, "mean services", {row: theory[row] for row in rows}, partial(measure, nodes, slots, load)
    )


FAMILIES = [family(2, 1, 0.8), family(5, 2, 0.8), family(5, 2, 0.95, measure_busy, ["P(wait)"])]
