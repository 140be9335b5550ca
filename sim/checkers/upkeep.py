"""Checks of what the controllers write and how often they look, for the scenarios that ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sim.selection import Change

if TYPE_CHECKING:
    from sim.checkers.checkers import Checkers
    from sim.scenario import Scenario


class KeptConditions:
    """A condition that has been told on a task is never lost (`checks: {conditions: true}`)."""

    invariants: ClassVar[tuple[str, ...]] = ("kept-conditions",)

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.checks.conditions

    def committed(self, change: Change) -> None:
        old, new = change.old, change.new
        if change.kind != "AgenticTask" or old is None or new is None or old.status is new.status:
            return
        self.court.exercised("kept-conditions")
        before, after = ({each.type for each in task.status.conditions} for task in (old, new))
        if not before <= after:
            lost = ", ".join(sorted(before - after))
            self.court.fail("kept-conditions", change.key, f"{change.actor} wrote over condition {lost}")

    def ended(self, wall: int) -> None:
        return


class ReconcileStorm:
    """The controllers look at most `checks.reconciles` times in all for each task there is."""

    invariants: ClassVar[tuple[str, ...]] = ("reconcile-storm",)

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self.bound = scenario.checks.reconciles

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.checks.reconciles > 0

    def committed(self, change: Change) -> None:
        return

    def ended(self, wall: int) -> None:
        self.court.exercised("reconcile-storm")
        looks, tasks = self.court.reconciles(), len(self.court.server.tables["AgenticTask"])
        if looks > self.bound * tasks:
            self.court.fail("reconcile-storm", "", f"{looks} reconciles for {tasks} tasks")
