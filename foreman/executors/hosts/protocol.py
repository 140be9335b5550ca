"""What Foreman asks of a code host. `repo` is "owner/name"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from foreman.api.task import FailureReason


class HostError(Exception):
    """One line: what, where, how to mend. `reason` as in a task's status."""

    def __init__(self, text: str, reason: FailureReason = FailureReason.INFRASTRUCTURE_ERROR) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Issue:
    number: int
    title: str
    body: str
    state: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class PullRequest:
    """`made`: whether it is new; else the one that was open for the branch was brought up to date."""

    number: int
    url: str
    made: bool


class CodeHost(Protocol):
    async def issue(self, repo: str, number: int) -> Issue:
        """Raises HostError."""
        ...

    async def pull_request(self, repo: str, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Open one for `branch` into `base`, or update the one that is open. Raises HostError."""
        ...
