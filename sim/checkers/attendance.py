"""Claims and executions belong together: each claim is worked on, and nothing is worked on without a claim."""

from __future__ import annotations

from typing import ClassVar

from foreman.api import Phase
from sim.checkers.checkers import Checkers
from sim.checkers.overdue import Overdue
from sim.scenario import Scenario
from sim.selection import Change

_CLAIMED = (Phase.RUNNING, Phase.VERIFYING)


class Attendance:
    """Asked for by `checks: {attended: 3m}`: how long the API may say the one and the machines do the other."""

    invariants: ClassVar[tuple[str, ...]] = ("attended", "no-ghost-run")

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self.seconds = scenario.checks.attended / 1e6
        self._orphans = Overdue(scenario.checks.attended)
        self._ghosts = Overdue(scenario.checks.attended)

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.checks.attended > 0

    def committed(self, change: Change) -> None:
        """Heartbeats are writes as well: whatever happens, this looks every few seconds."""
        self._look()

    def _look(self) -> None:
        now, live = self.court.now(), self.court.live
        tasks = self.court.server.tables["AgenticTask"]
        claims = {(key, task.status.attempt) for key, task in tasks.items() if task.status.phase in _CLAIMED}
        self.court.exercised("attended", len(claims))
        self.court.exercised("no-ghost-run", len(live))
        for key in self._orphans.told(now, (key for key, attempt in sorted(claims) if (key, attempt) not in live)):
            holder = tasks[key].status.holder
            self.court.fail(
                "attended", key, f"Running for more than {self.seconds:g}s on {holder}, which does not run it"
            )
        for run in self._ghosts.told(
            now, (f"{key} {attempt}" for key, attempt in live if (key, attempt) not in claims)
        ):
            key, attempt = run.split(" ")
            self.court.fail(
                "no-ghost-run", key, f"attempt {attempt} runs on, over {self.seconds:g}s after it lost the task"
            )

    def ended(self, wall: int) -> None:
        """Where nobody writes any more, nobody has looked."""
        self._look()
