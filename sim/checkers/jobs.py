"""A task that runs as a Job has one: that of an attempt that is over does not run on beside the next, and the live one is ended
by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from foreman.api import TERMINAL, Phase
from sim.checkers.checkers import Checkers
from sim.checkers.overdue import Overdue
from sim.host import SECOND
from sim.scenario import Scenario
from sim.selection import Change

if TYPE_CHECKING:
    from sim.jobs import SimJob, Yard

GRACE = 60 * SECOND
"""A process that was frozen may make one for an attempt it has lost; it hears of that and takes it away."""


class OneJob:
    """For scenarios with an Agent in Job mode."""

    invariants: ClassVar[tuple[str, ...]] = ("one-job", "kept-job", "told-result")

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self._doubled = Overdue(GRACE)
        if court.jobs is not None:
            court.jobs.on_kill = self._killed

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return any(agent.job_mode for agent in scenario.agents.values())

    def committed(self, change: Change) -> None:
        if self.court.jobs is None:
            return
        self.court.exercised("one-job")
        for task in self._doubled.told(self.court.now(), sorted(set(self.court.jobs.doubled()))):
            self.court.fail("one-job", task, f"two of its Jobs have been running for more than {GRACE // SECOND} s")

        self._ended(change, self.court.jobs)

    def _ended(self, change: Change, jobs: Yard) -> None:
        old, new = change.old, change.new
        if change.kind != "AgenticTask" or old is None or new is None or self.court.role_of(change.actor) != "agent":
            return
        was, now = old.status, new.status
        printed = jobs.printed(change.key, was.attempt) if was.phase is Phase.RUNNING and now.phase in TERMINAL else ""
        if printed:
            self.court.exercised("told-result")
            if now.verdict != printed:
                self.court.fail(
                    "told-result", change.key, f"its Job has printed {printed}, {change.actor} tells {now.verdict}"
                )

    def _killed(self, job: SimJob, host: str) -> None:
        self.court.exercised("kept-job")
        task = self.court.server.tables["AgenticTask"].get(job.task)
        if task is None or task.status.phase is not Phase.RUNNING or task.status.attempt != job.attempt:
            return
        holder = task.status.holder
        if host != holder.partition("/")[0]:
            self.court.fail(
                "kept-job", job.task, f"{host} ends the Job of attempt {job.attempt}, which {holder} watches over"
            )

    def ended(self, wall: int) -> None:
        return
