"""FleetNodes tell the truth: of live agents, of no others, and of what runs there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from foreman.api import DRAIN_REAP_SECONDS, IN_FLIGHT, FleetNodePhase
from sim.checkers.checkers import Checkers
from sim.checkers.overdue import Overdue
from sim.names import node_names
from sim.scenario import Scenario
from sim.selection import Change


class Nodes:
    """Asked for by `checks: {nodes: 3m}`: how long a FleetNode may be wrong, or missing."""

    invariants: ClassVar[tuple[str, ...]] = ("registered", "node-leak", "current-task")

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self.nodes = court.server.tables["FleetNode"]
        self.names = [name for group, nodes in scenario.fleet.items() for name in node_names(group, nodes.count)]
        bound = scenario.checks.nodes
        self.seconds = bound / 1e6
        self._missing = Overdue(bound)
        self._leaked = Overdue(bound + DRAIN_REAP_SECONDS * 1_000_000)
        self._wrong = Overdue(bound)

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.checks.nodes > 0

    def committed(self, change: Change) -> None:
        """Heartbeats are writes as well: whatever happens, this looks every few seconds."""
        self._look()

    def _look(self) -> None:
        now = self.court.now()
        up = [name for name in self.names if self.court.up(name)]
        self.court.exercised("registered", len(up))
        for name in self._missing.told(now, (name for name in up if name not in self.nodes)):
            self.court.fail("registered", name, f"has had no FleetNode for {self.seconds:g}s although its agent lives")
        draining = [name for name, node in self.nodes.items() if node.status.phase is FleetNodePhase.DRAINING]
        self.court.exercised("node-leak", len(draining))
        for name in self._leaked.told(now, (name for name in draining if not self.court.up(name))):
            self.court.fail("node-leak", name, f"is still Draining, {self._leaked.bound / 1e6:g}s after its agent left")
        for name in self._wrong.told(now, self._misleading()):
            shown = self.nodes[name].status.current_task
            self.court.fail("current-task", name, f"has shown {shown} for {self.seconds:g}s, which it does not run")

    def ended(self, wall: int) -> None:
        """Where nobody writes any more, nobody has looked."""
        self._look()

    def _misleading(self) -> Iterator[str]:
        tasks = self.court.server.tables["AgenticTask"]
        for name, node in self.nodes.items():
            if shown := node.status.current_task:
                self.court.exercised("current-task")
                task = tasks.get(shown)
                if task is None or task.status.phase not in IN_FLIGHT or task.status.assigned_node != name:
                    yield name
