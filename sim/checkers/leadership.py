"""Who has lost the lease stops: a former leader may still have requests on their way, or wake from a freeze and send some, but
it does not go on."""

from __future__ import annotations

from typing import ClassVar

from sim.checkers.checkers import Checkers
from sim.host import SECOND
from sim.scenario import Scenario
from sim.selection import Change

LAST_WORDS = 10 * SECOND
"""From a former leader's first write to its last."""


class Leadership:
    """Of scenarios whose operators elect a leader."""

    invariants: ClassVar[tuple[str, ...]] = ("one-leader",)

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self._leader = ""
        self._former: dict[str, int | None] = {}

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.operators.leader_election and scenario.operators.replicas > 1

    def committed(self, change: Change) -> None:
        if change.kind == "Lease":
            holder = change.new.spec.holder_identity if change.new is not None else ""
            if holder and holder != self._leader:
                self._former[self._leader] = None
                self._former.pop(holder, None)
                self._leader = holder
                self.court.exercised("one-leader")
        elif change.actor in self._former:
            now = self.court.now()
            first = self._former[change.actor]
            if first is None:
                self._former[change.actor] = now
            elif now - first > LAST_WORDS:
                since = f"{(now - first) / 1e6:.1f}s after its first write since"
                why = f"{self._leader} has the lease, and {change.actor} still writes, {since}"
                self.court.fail("one-leader", change.key, why)

    def ended(self, wall: int) -> None:
        """All is judged as it happens."""
