"""Which branch a task works on and where it begins. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from foreman.api.task import AgenticTask, BranchStrategy, FailureReason, TaskKind
from foreman.executors.git.errors import NotPrepared

WORKLOAD_LABEL = "foreman.llmkube.dev/workload"
NEEDS_REPO = frozenset({TaskKind.ISSUE_FIX, TaskKind.VERIFY, TaskKind.REVIEW})
READERS = frozenset({TaskKind.VERIFY, TaskKind.REVIEW, TaskKind.INTEGRATE, TaskKind.RECONCILE})

_SLUG = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|\.$|/$|^[-/.@]")


@dataclass(frozen=True)
class Plan:
    """`base` '' is the remote's default branch; `adopt`: begin at the branch itself as it is on the remote ('must', 'may', '').
    `revise`: begin at that branch's work, rebased on the base if `rebase`. `publishes`: whether work will be pushed.
    `uid` and `attempt` are the fencing token."""

    repo: str
    branch: str
    base: str = ""
    adopt: str = ""
    revise: str = ""
    rebase: bool = False
    allow_overwrite: bool = False
    publishes: bool = True
    task: str = ""
    uid: str = ""
    attempt: int = 1


def plan_of(task: AgenticTask, attempt: int) -> Plan:
    """Raises NotPrepared: no valid repository or branch name."""
    payload, kind = task.spec.payload, task.spec.kind
    if (payload.repo or kind in NEEDS_REPO) and not valid_slug(payload.repo):
        raise NotPrepared(f"payload.repo: {payload.repo!r} is no repository; expected owner/name, e.g. octo/app")
    branch = checked_branch("payload.branch", branch_name(task))
    return Plan(
        repo=payload.repo,
        branch=branch,
        base=checked_branch("payload.baseBranch", payload.base_branch),
        adopt="must" if kind is TaskKind.REVIEW else "may" if kind in READERS else "",
        revise=checked_branch("payload.reviseFromBranch", payload.revise_from_branch),
        rebase=payload.branch_strategy is BranchStrategy.REBASE,
        allow_overwrite=payload.allow_overwrite,
        publishes=kind not in READERS,
        task=task.key,
        uid=task.metadata.uid or task.key,
        attempt=attempt,
    )


def branch_name(task: AgenticTask) -> str:
    """payload.branch, else foreman/<workload>/issue-<N>, else foreman/issue-<N>, else foreman/<task>."""
    payload = task.spec.payload
    if payload.branch:
        return payload.branch
    prefix = (payload.branch_prefix or "foreman").rstrip("/")
    if not payload.issue:
        return f"{prefix}/{task.metadata.name}"
    workload = task.metadata.labels.get(WORKLOAD_LABEL, "")
    return f"{prefix}/{workload}/issue-{payload.issue}" if workload else f"{prefix}/issue-{payload.issue}"


def valid_slug(repo: str) -> bool:
    return bool(_SLUG.fullmatch(repo)) and ".." not in repo and not repo.endswith((".git", "/."))


def checked_branch(field: str, name: str) -> str:
    """The name, if git would take it for a branch. Raises NotPrepared."""
    if name and (_FORBIDDEN.search(name) or len(name) > 200):
        raise NotPrepared(f"{field}: {name!r} is no branch name that git takes", FailureReason.CONSTRAINT_VIOLATED)
    return name
