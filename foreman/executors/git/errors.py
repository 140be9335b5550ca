"""How git work fails, in the words of the task's verdict."""

from __future__ import annotations

import re

from foreman.api.task import FailureReason

_AUTH = re.compile(
    r"authentication failed|could not read (username|password)|permission denied|invalid credentials|"
    r"returned error: 40[13]|host key verification failed",
    re.IGNORECASE,
)


class GitError(Exception):
    """One line: what, where, how to mend."""

    reason: FailureReason | None = FailureReason.INFRASTRUCTURE_ERROR


class NotPrepared(GitError):
    """There is no workspace to begin in; `reason` says whose fault that is."""

    def __init__(self, text: str, reason: FailureReason = FailureReason.CLONE_FAILED) -> None:
        super().__init__(text)
        self.reason = reason


class CommitRejected(GitError):
    """The work could not be committed."""

    reason = None


class PushFailed(GitError):
    """The work could not be pushed; the remote is as it was."""

    reason = None


class Superseded(PushFailed):
    """A later attempt holds the branch: this one is a zombie, and the remote refused it."""


def not_prepared(text: str) -> NotPrepared:
    """The failure of a clone, by what git said."""
    return NotPrepared(text, FailureReason.AUTH_UNAVAILABLE if _AUTH.search(text) else FailureReason.CLONE_FAILED)
