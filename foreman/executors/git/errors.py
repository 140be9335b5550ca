"""How git work fails, in the words of the task's verdict."""

from __future__ import annotations

import re

from foreman.api.task import FailureReason

TOKEN = "GITHUB_TOKEN"
"""The variable of the environment whose token opens repositories."""
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


def not_prepared(address: str, error: GitError, keyed: bool) -> NotPrepared:
    """The failure of a clone, by what git said; `keyed`: a token was given to whom it opens."""
    text = f"{address}: {error}"
    if not _AUTH.search(text):
        return NotPrepared(text)
    if address.startswith(("https:", "http:")):
        text += f" ({TOKEN} is refused: put a valid token there)" if keyed else f" (set {TOKEN}: none is given)"
    return NotPrepared(text, FailureReason.AUTH_UNAVAILABLE)
