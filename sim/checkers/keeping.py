"""Checks of how claims are kept, given up and ended, for the scenarios in which that is at stake."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from foreman.api import (
    CONDITION_FAILED,
    HEARTBEAT_TIMEOUT_SECONDS,
    REASON_CLAIM_EXPIRY_LIMIT_REACHED,
    AgenticTask,
    FleetNodePhase,
    Phase,
    condition,
)
from foreman.decide.custody import FORGIVE_SECONDS, STRIKE_LIMIT
from sim.selection import Change

if TYPE_CHECKING:
    from sim.checkers.checkers import Checkers
    from sim.scenario import Scenario

_RUNNING = (Phase.RUNNING, Phase.VERIFYING)
_SECOND = 1_000_000
CLOCK_SLACK = 600
"""Seconds by which the clocks of operator and agent may disagree on how long a claim has lived."""


class StolenRun:
    """Only a silent process loses what it executes to another process of its name."""

    invariants: ClassVar[tuple[str, ...]] = ("stolen-run",)

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self.beats: dict[str, int] = {}

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return any(group.twins > 1 for group in scenario.fleet.values())

    def committed(self, change: Change) -> None:
        if change.kind == "FleetNode":
            if change.new is not None and change.new.status.phase is not FleetNodePhase.DRAINING:
                self.beats[change.actor] = self.court.now()
            else:
                self.beats.pop(change.actor, None)
        elif change.kind == "AgenticTask" and change.old is not None and change.new is not None:
            self._task(change, change.old, change.new)

    def ended(self, wall: int) -> None:
        return

    def _task(self, change: Change, old: AgenticTask, new: AgenticTask) -> None:
        holder = old.status.holder
        if old.status.phase not in _RUNNING or new.status.phase is not Phase.PENDING:
            return
        if self.court.role_of(change.actor) != "agent":
            return
        self.court.exercised("stolen-run")
        executing = holder in self.court.live.get((change.key, old.status.attempt), {})
        silent = self.court.now() - self.beats.get(holder, -(10**15))
        if change.actor != holder and executing and silent < HEARTBEAT_TIMEOUT_SECONDS * _SECOND:
            self.court.fail("stolen-run", change.key, f"{change.actor} gave back what {holder} was executing")


class CleanDeparture:
    """No task pays with a strike for a node that has said that it leaves (`checks: {departures: true}`)."""

    invariants: ClassVar[tuple[str, ...]] = ("clean-departure",)

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.checks.departures

    def committed(self, change: Change) -> None:
        old: AgenticTask | None = change.old
        if change.kind != "AgenticTask" or old is None or not old.status.assigned_node or change.new is None:
            return
        if change.new.status.assigned_node and not gave_up(change.new):
            return
        node = self.court.server.tables["FleetNode"].get(old.status.assigned_node)
        if node is None or node.status.phase is not FleetNodePhase.DRAINING:
            return
        self.court.exercised("clean-departure")
        before, after = (sum(each.status.strikes.values()) for each in (old, change.new))
        if after > before or gave_up(change.new):
            self.court.fail("clean-departure", change.key, f"struck for {node.key}, which had said that it leaves")

    def ended(self, wall: int) -> None:
        return


class EarnedEnd:
    """A task is given up only when three of its strikes stand, one being worked off by each half hour a claim lives."""

    invariants: ClassVar[tuple[str, ...]] = ("earned-end",)

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self.standing: dict[str, int] = {}
        self.claimed_at: dict[str, int] = {}

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return bool(scenario.faults) or scenario.checks.differential

    def committed(self, change: Change) -> None:
        old, new = change.old, change.new
        if change.kind != "AgenticTask" or old is None or new is None or old.status.phase is new.status.phase:
            return
        key, now = change.key, self.court.now()
        if new.status.phase is Phase.RUNNING:
            self.claimed_at[key] = now
        elif self.court.role_of(change.actor) == "operator" and old.status.assigned_node:
            self._lost(change, old, new)
        if new.status.phase is not Phase.RUNNING:
            self.claimed_at.pop(key, None)

    def ended(self, wall: int) -> None:
        return

    def _lost(self, change: Change, old: AgenticTask, new: AgenticTask) -> None:
        if new.status.strikes == old.status.strikes and not gave_up(new):
            return
        key, now = change.key, self.court.now()
        self.court.exercised("earned-end")
        lived = (now - self.claimed_at.get(key, now)) // _SECOND
        worked_off = max(lived - CLOCK_SLACK, 0) // FORGIVE_SECONDS
        self.standing[key] = standing = max(self.standing.get(key, 0) - worked_off, 0) + 1
        if gave_up(new) and standing < STRIKE_LIMIT:
            self.court.fail("earned-end", key, f"given up although only {standing} strikes stand")


def gave_up(task: AgenticTask) -> bool:
    """Whether the task has ended because its claim was lost too often."""
    told = condition(task.status.conditions, CONDITION_FAILED)
    return told is not None and told.reason == REASON_CLAIM_EXPIRY_LIMIT_REACHED
