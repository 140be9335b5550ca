"""Checks that only some scenarios need: each says which, and costs the others nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sim.checkers.endpoints import EndpointCheck
from sim.checkers.workloads import WorkloadCheck
from sim.selection import Change

if TYPE_CHECKING:
    from sim.checkers.checkers import Checkers
    from sim.scenario import Scenario


class Check(Protocol):
    """Reports by `court.fail(invariant, key, message)`, and counts by `court.exercised(invariant)` how often it was put to
    the test. The names of its invariants stand in `invariants.py`, the class itself in SPECIAL."""

    def __init__(self, court: Checkers, scenario: Scenario) -> None: ...

    @staticmethod
    def concerns(scenario: Scenario) -> bool: ...

    def committed(self, change: Change) -> None: ...

    def ended(self, wall: int) -> None:
        """Judge the final state, at Unix second `wall`; not called when a fault struck a moment ago."""
        ...


SPECIAL: tuple[type[Check], ...] = (WorkloadCheck, EndpointCheck)
