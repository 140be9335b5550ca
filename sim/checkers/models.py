"""Models as their servers see them: nobody asks again before the time, nor beyond the budgets of its Agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from foreman.executors.loop import Limits, Request
from sim.selection import Change

if TYPE_CHECKING:
    from sim.checkers.checkers import Checkers
    from sim.scenario import Scenario

SECOND = 1_000_000


class ModelCheck:
    """Told by the models themselves: what a run asks is no write."""

    invariants: ClassVar[tuple[str, ...]] = ("retry-after", "run-budget")

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        return scenario.converses()

    def run(self, key: str, limits: Limits) -> RunCheck:
        """One run's, from its beginning on; `limits` are those of its Agent."""
        return RunCheck(self.court, key, limits)

    def committed(self, change: Change) -> None:
        """Says nothing of models."""

    def ended(self, wall: int) -> None:
        """Nothing is left to judge at the end."""


class RunCheck:
    def __init__(self, court: Checkers, key: str, limits: Limits) -> None:
        self.court = court
        self.key = key
        self.limits = limits
        self.began = court.now()
        self.not_before = 0
        self.turns = 0

    def asked(self, request: Request) -> None:
        now, limits = self.court.now(), self.limits
        if self.not_before:
            self.court.exercised("retry-after")
            if now < self.not_before:
                self.court.fail("retry-after", self.key, f"asked again {(self.not_before - now) / SECOND:g}s too soon")
            self.not_before = 0
        self.court.exercised("run-budget")
        if self.turns >= limits.max_turns:
            self.court.fail("run-budget", self.key, f"asked for turn {self.turns + 1} of {limits.max_turns}")
        if now > self.began + limits.seconds * SECOND:
            self.court.fail("run-budget", self.key, f"asked {(now - self.began) / SECOND:g}s into {limits.seconds:g}s")
        if request.max_output_tokens > limits.max_output_tokens:
            told = f"asked for {request.max_output_tokens} tokens, at most {limits.max_output_tokens}"
            self.court.fail("run-budget", self.key, told)

    def refused(self, wait: int) -> None:
        """The endpoint wants to be left alone for so many microseconds."""
        # A microsecond is lost where seconds become a float.
        self.not_before = self.court.now() + wait - 1

    def replied(self) -> None:
        self.turns += 1
