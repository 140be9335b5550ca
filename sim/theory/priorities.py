"""Two classes with priorities that do not preempt: Cobham's waits, and what no order of service can change."""

from __future__ import annotations

from sim.mutations import Product
from sim.theory.formulas import cobham
from sim.theory.row import Expected, Family, Values
from sim.theory.station import LITTLE, served, station

LOADS = (0.3, 0.5)
TASKS = 5000
URGENT = 5
MIX = {"urgent": {"weight": 3, "priority": URGENT}, "patient": {"weight": 5}}


def measure(seed: int, product: Product | None) -> Values:
    meter = served(station(1, 1, sum(LOADS), TASKS, more={"mix": MIX}), seed, product)
    found: dict[int, list[float]] = {URGENT: [], 0: []}
    for visit in meter.visits():
        found[visit.priority].append(visit.wait)
    urgent, patient = (sum(each) / len(each) for each in found.values())
    conserved = LOADS[0] * urgent + LOADS[1] * patient
    return {"W urgent": urgent, "W patient": patient, "conserved": conserved, LITTLE: meter.imbalance()}


URGENT_WAIT, PATIENT_WAIT = cobham(LOADS)
THEORY = {
    "W urgent": Expected(URGENT_WAIT),
    "W patient": Expected(PATIENT_WAIT, precision=0.35),
    "conserved": Expected(sum(LOADS) ** 2 / (1 - sum(LOADS)), precision=0.35),
}
NAME = "priority, loads 0.3 + 0.5"
FAMILIES = [Family(NAME, "Cobham", "1 node, priorities 5 and 0", "mean services", THEORY, measure)]
