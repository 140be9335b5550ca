"""Dependencies: none is skipped, one that does not exist is not waited for without end, and a skip goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from foreman.api import (
    CONDITION_DEP_WAIT_STARTED,
    CONDITION_FAILED,
    REASON_UPSTREAM_FAILED,
    AgenticTask,
    Phase,
    Verdict,
    condition,
    succeeded_on_target,
)
from foreman.decide.pending import ABSENT_SECONDS
from sim.checkers.checkers import Checkers
from sim.checkers.stability import SETTLE
from sim.scenario import Scenario
from sim.selection import Change
from sim.shapes import Independent


class Upstream:
    """Wherever tasks depend on others."""

    invariants: ClassVar[tuple[str, ...]] = ("dependencies-met", "bounded-wait", "skip-passed-on")

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self._met: set[str] = set()

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        shaped = scenario.workload is not None and not isinstance(scenario.workload.shape, Independent)
        return shaped or any(seed.spec.get("dependsOn") for seed in scenario.tasks.values())

    def committed(self, change: Change) -> None:
        task, before = change.new, change.old
        if change.kind != "AgenticTask" or task is None or before is None or task.status.phase is before.status.phase:
            return
        if succeeded_on_target(task.status):
            self._met.add(change.key)
        if task.status.phase is Phase.SCHEDULED:
            for name in task.spec.depends_on:
                self._judge(task, name)

    def _judge(self, task: AgenticTask, name: str) -> None:
        self.court.exercised("dependencies-met")
        upstream = f"{task.metadata.namespace}/{name}"
        if upstream not in self._met:
            found = self.court.server.tables["AgenticTask"].get(upstream)
            ended = (
                f"ended {found.status.phase or 'new'}, {found.status.verdict or 'no verdict'}"
                if found
                else "is not there"
            )
            self.court.fail("dependencies-met", task.key, f"assigned although its dependency {name} {ended}")

    def ended(self, wall: int) -> None:
        tasks = self.court.server.tables["AgenticTask"]
        for key, task in sorted(tasks.items()):
            self._judge_skip(task, tasks)
            absent = [name for name in task.spec.depends_on if f"{task.metadata.namespace}/{name}" not in tasks]
            started = condition(task.status.conditions, CONDITION_DEP_WAIT_STARTED)
            if not absent or started is None:
                continue
            self.court.exercised("bounded-wait")
            waited = wall - started.last_transition_time
            bound = (task.spec.timeout_seconds or ABSENT_SECONDS) + SETTLE // 1_000_000
            if task.status.phase is Phase.PENDING and waited > bound:
                self.court.fail("bounded-wait", key, f"has waited {waited}s for {absent[0]}, which does not exist")

    def _judge_skip(self, task: AgenticTask, tasks: Mapping[str, AgenticTask]) -> None:
        found = [tasks.get(f"{task.metadata.namespace}/{name}") for name in task.spec.depends_on]
        skipped = [each.metadata.name for each in found if each is not None and each.status.verdict is Verdict.SKIPPED]
        if not skipped:
            return
        self.court.exercised("skip-passed-on")
        failed = condition(task.status.conditions, CONDITION_FAILED)
        if failed is not None and failed.reason == REASON_UPSTREAM_FAILED:
            self.court.fail("skip-passed-on", task.key, f"failed although its dependency {skipped[0]} was only skipped")
