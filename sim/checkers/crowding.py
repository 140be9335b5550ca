"""No machine is given more than it has room for, neither by the scheduler's books nor by what really runs there."""

from __future__ import annotations

from typing import ClassVar

from foreman.api import IN_FLIGHT
from sim.checkers.checkers import Checkers
from sim.scenario import Scenario
from sim.selection import Change


class Crowding:
    """Asked for by `checks: {crowding: true}`.

    Exact as far as it goes: a process's own executions are known to it, whatever it hears of the cluster; assignments are
    counted by one scheduler alone, and only if no list takes it back in time.
    """

    invariants: ClassVar[tuple[str, ...]] = ("executor-slots", "overcommit")

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self.nodes = court.server.tables["FleetNode"]
        self.tasks = court.server.tables["AgenticTask"]
        self.exact = scenario.operators.replicas == 1 and not scenario.apiserver.stale_lists
        self._told: set[str] = set()

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.checks.crowding

    def committed(self, change: Change) -> None:
        self._executing()
        if self.exact and change.kind == "AgenticTask" and change.new is not None:
            node = change.new.status.assigned_node
            if node and (change.old is None or change.old.status.assigned_node != node):
                self._assigned(change, node)

    def ended(self, wall: int) -> None:
        self._executing()

    def _executing(self) -> None:
        """Heartbeats are writes as well: whatever happens, this looks every few seconds."""
        running: dict[str, int] = {}
        for holders in self.court.live.values():
            for holder in holders:
                running[holder] = running.get(holder, 0) + 1
        self.court.exercised("executor-slots", len(running))
        for holder, count in running.items():
            slots = self._slots(holder.partition("/")[0].partition(".")[0])
            if count > slots and holder not in self._told:
                self._told.add(holder)
                self.court.fail("executor-slots", holder, f"{holder} runs {count} executions in {slots} slots")

    def _assigned(self, change: Change, name: str) -> None:
        on = [key for key, task in self.tasks.items() if _takes_slot(task) and task.status.assigned_node == name]
        slots = self._slots(name)
        self.court.exercised("overcommit")
        if len(on) > slots:
            self.court.fail("overcommit", change.key, f"is one of {len(on)} tasks given to the {slots} slots of {name}")

    def _slots(self, node: str) -> int:
        found = self.nodes.get(node)
        return found.spec.slots if found is not None else 10**6


def _takes_slot(task: object) -> bool:
    status = task.status  # type: ignore[attr-defined]
    return status.phase in IN_FLIGHT and not status.supervised
