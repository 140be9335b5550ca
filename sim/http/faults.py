"""Faults at the server's door, for tests: refuse, hang, drop the connection before or after the work is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sim.http.request import Request
from sim.http.status import Refusal, throttled

Match = Callable[[Request], bool]
Fate = Literal["go", "drop", "lose-reply"]


class Dropped(Exception):
    """The connection ends here, without an answer."""


def everything(request: Request) -> bool:
    return True


@dataclass
class Fault:
    """Befalls the next `left` requests that match."""

    fate: Literal["refuse", "hang", "drop", "lose-reply"]
    left: int
    match: Match
    refusal: Refusal | None = None
    released: asyncio.Event = field(default_factory=asyncio.Event)
    struck: int = 0

    def strikes(self, request: Request) -> bool:
        if self.left <= 0 or not self.match(request):
            return False
        self.left -= 1
        self.struck += 1
        return True

    def release(self) -> None:
        """Let go what hangs, and strike no more."""
        self.left = 0
        self.released.set()


class Door:
    """Faults in the order they were set; the first that strikes decides."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def refuse(self, count: int = 1, code: int = 429, retry_after: int = 1, match: Match = everything) -> Fault:
        """Answer with that code and Retry-After (0: without)."""
        refusal = throttled(retry_after) if code == 429 else _failure(code, retry_after)
        return self._set(Fault("refuse", count, match, refusal))

    def hang(self, count: int = 1, match: Match = everything) -> Fault:
        """Do not answer before the fault is released; then do the work after all."""
        return self._set(Fault("hang", count, match))

    def drop(self, count: int = 1, match: Match = everything) -> Fault:
        """End the connection; nothing is done."""
        return self._set(Fault("drop", count, match))

    def lose_reply(self, count: int = 1, match: Match = everything) -> Fault:
        """Do the work, then end the connection without a word."""
        return self._set(Fault("lose-reply", count, match))

    def _set(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault

    async def let_in(self, request: Request) -> Fate:
        """Raises Refusal or Dropped."""
        self.faults = [fault for fault in self.faults if fault.left > 0]
        fault = next((fault for fault in self.faults if fault.strikes(request)), None)
        if fault is None:
            return "go"
        if fault.fate == "hang":
            await fault.released.wait()
        if fault.refusal is not None:
            raise fault.refusal
        if fault.fate == "drop":
            raise Dropped
        return "lose-reply" if fault.fate == "lose-reply" else "go"


def _failure(code: int, retry_after: int) -> Refusal:
    reasons = {500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
    details = {"retryAfterSeconds": retry_after} if retry_after else None
    return Refusal(
        code, reasons.get(code, "InternalError"), "the server is currently unable to handle the request", details
    )
