"""Goodput comes back once the faults are over: what a spike has left behind must not keep the system down."""

from __future__ import annotations

from typing import ClassVar

from foreman.api import TERMINAL
from sim.checkers.checkers import Checkers
from sim.host import EPOCH, SECOND
from sim.scenario import Scenario
from sim.selection import Change


class Recovery:
    """Asked for by `checks: {recovery: 5m}`: that long after the last fault that has a time, every task has ended."""

    invariants: ClassVar[tuple[str, ...]] = ("recovery",)

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self.bound = scenario.checks.recovery
        self.calm = max((each.at + each.for_ for each in scenario.faults if each.at is not None), default=0)

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.checks.recovery > 0

    def committed(self, change: Change) -> None:
        """Judged at the end."""

    def ended(self, wall: int) -> None:
        tasks = self.court.server.tables["AgenticTask"]
        due = EPOCH + (self.calm + self.bound) // SECOND
        minutes = self.bound / 60e6
        for key, task in sorted(tasks.items()):
            self.court.exercised("recovery")
            at = task.status.finished_at if task.status.phase in TERMINAL else wall
            if at is not None and at > due:
                now = "ended later still" if task.status.phase in TERMINAL else f"is {task.status.phase}"
                self.court.fail("recovery", key, f"{now}, {minutes:g}m after the last fault was over")
