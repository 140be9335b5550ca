"""Who wants to follow a run as it goes: a terminal, a log, a store of transcripts."""

from __future__ import annotations

from foreman.executors.loop.model import ToolCall, Transient, Turn
from foreman.executors.tools.protocol import Answer


class Listener:
    """Hears everything and does nothing; override what matters. Never slows a run: no I/O that may block."""

    def asked(self, turn: int, messages: int) -> None:
        """A request with so many messages is going out."""

    def replied(self, turn: int, what: Turn, seconds: float) -> None:
        """The model's turn has come."""

    def said(self, turn: int) -> None:
        """It is part of the conversation; now its calls are carried out."""

    def answered(self, turn: int, call: ToolCall, answer: Answer, seconds: float) -> None:
        """A tool has answered."""

    def checking(self, turn: int) -> None:
        """A submission is being held against the work: the checks may take as long as the gate does."""

    def told(self, turn: int, text: str) -> None:
        """The loop has corrected or nudged the model."""

    def retried(self, number: int, why: Transient, pause: float) -> None:
        """The endpoint failed; it is tried again in `pause` seconds."""

    def turned(self, turn: int) -> None:
        """A turn is complete, answers and all."""


class Chorus(Listener):
    """Several listeners as one."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def asked(self, turn: int, messages: int) -> None:
        for each in self.listeners:
            each.asked(turn, messages)

    def replied(self, turn: int, what: Turn, seconds: float) -> None:
        for each in self.listeners:
            each.replied(turn, what, seconds)

    def said(self, turn: int) -> None:
        for each in self.listeners:
            each.said(turn)

    def checking(self, turn: int) -> None:
        for each in self.listeners:
            each.checking(turn)

    def answered(self, turn: int, call: ToolCall, answer: Answer, seconds: float) -> None:
        for each in self.listeners:
            each.answered(turn, call, answer, seconds)

    def told(self, turn: int, text: str) -> None:
        for each in self.listeners:
            each.told(turn, text)

    def retried(self, number: int, why: Transient, pause: float) -> None:
        for each in self.listeners:
            each.retried(number, why, pause)

    def turned(self, turn: int) -> None:
        for each in self.listeners:
            each.turned(turn)
