"""Git work: clone, branch, commit, and a push that no zombie can make."""

from foreman.executors.git.checkout import Checkout, Draft, Published
from foreman.executors.git.command import Git, Identity
from foreman.executors.git.errors import CommitRejected, GitError, NotPrepared, PushFailed, Superseded
from foreman.executors.git.folders import Folders
from foreman.executors.git.plan import Plan, branch_name, plan_of
from foreman.executors.git.remote import GITHUB, Remote

__all__ = [
    "GITHUB",
    "Checkout",
    "CommitRejected",
    "Draft",
    "Folders",
    "Git",
    "GitError",
    "Identity",
    "NotPrepared",
    "Plan",
    "Published",
    "PushFailed",
    "Remote",
    "Superseded",
    "branch_name",
    "plan_of",
]
