"""Turns that call no tool: what kind each is, how many in a row are put up with, and what the model is told."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from foreman.executors.loop.limits import FINAL_TURNS, NO_CALL_RETRIES, REASONING_RETRIES, TRUNCATED_RETRIES
from foreman.executors.loop.model import Turn


class Fault(Enum):
    NO_CALL = "no-tool-call"
    REASONING_ONLY = "reasoning-only"
    TRUNCATED = "truncated"


RETRIES = {
    Fault.NO_CALL: NO_CALL_RETRIES,
    Fault.REASONING_ONLY: REASONING_RETRIES,
    Fault.TRUNCATED: TRUNCATED_RETRIES,
}

CORRECTIONS = {
    Fault.NO_CALL: "Your last message called no tool, so nothing happened. Every turn must call at least one of the offered "
    "tools. Go on with the work, or call submit_result if it is finished or cannot be done.",
    Fault.REASONING_ONLY: "Your last turn held only reasoning: no answer and no tool call. Stop thinking here and act: call "
    "one of the offered tools now.",
    Fault.TRUNCATED: "Your last turn was cut off at the output limit before it called a tool. Take a smaller step: think "
    "less, write less at once (split a large file into several edits), and call a tool.",
}

FINAL_NUDGE = (
    f"Only {FINAL_TURNS} turns are left, and from here on submit_result is the only tool. Call it now with what you have: "
    "verdict GO if the work is done, NO-GO if it cannot be done, ERROR if something outside the work stopped you."
)
PLACEHOLDER = "(empty response from model)"


class Streaks(NamedTuple):
    """How many faulty turns of each kind have come since the last one that called a tool."""

    no_call: int = 0
    reasoning_only: int = 0
    truncated: int = 0

    def after(self, fault: Fault) -> Streaks:
        name = fault.name.lower()
        return self._replace(**{name: getattr(self, name) + 1})

    def exhausted(self, fault: Fault) -> bool:
        """Whether that many of this kind are one too many."""
        return int(getattr(self, fault.name.lower())) > RETRIES[fault]


def fault_of(turn: Turn, usable_calls: int) -> Fault | None:
    """What is wrong with the turn; None when it calls a tool. Cut off comes first: what is cut off may look like anything."""
    if usable_calls:
        return None
    if turn.truncated:
        return Fault.TRUNCATED
    if turn.reasoning.strip() and not turn.text.strip() and not turn.calls:
        return Fault.REASONING_ONLY
    return Fault.NO_CALL


def final(turn: int, max_turns: int) -> bool:
    """Whether turn number `turn` (from 1) is one of the last three. A run of three turns or fewer has no such phase."""
    return max_turns > FINAL_TURNS and turn > max_turns - FINAL_TURNS
