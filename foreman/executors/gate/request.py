"""What a gate is asked, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from foreman.api.gate import GateProfile
from foreman.api.task import AgenticTask, FailureReason
from foreman.executors.gate.presets import resolved
from foreman.executors.gate.verdict import Seen, verdict_of
from foreman.executors.git.plan import branch_name
from foreman.executors.sandbox.tail import tail

LOG_BYTES = 32 * 1024


@dataclass(frozen=True)
class GateRequest:
    """`profile` is resolved. `bite`: whether the tests must fail once the production code is taken back to the base."""

    namespace: str
    task: str
    uid: str
    repo: str
    branch: str
    base: str
    profile: GateProfile
    attempt: int = 1
    bite: bool = False


def request_of(task: AgenticTask, attempt: int, *, bite: bool = False) -> GateRequest:
    payload, meta = task.spec.payload, task.metadata
    profile = resolved(task.spec.gate_profile)
    namespace, uid = meta.namespace or "default", meta.uid or task.key
    return GateRequest(
        namespace, meta.name, uid, payload.repo, branch_name(task), payload.base_branch, profile, attempt, bite
    )


@dataclass(frozen=True)
class GateReport:
    """`seen` decides; `log` is all there is of it or its end; `job` the name of what ran, '' for a process."""

    seen: Seen
    summary: str
    log: str = ""
    job: str = ""
    namespace: str = ""

    @property
    def verdict(self) -> str:
        return verdict_of(self.seen)[0]

    @property
    def failure_reason(self) -> FailureReason | None:
        return verdict_of(self.seen)[1]

    def extra(self) -> dict[str, Any]:
        """For the envelope; the log's tail has at most LOG_BYTES, what is said of the cut included."""
        shown = {"logTail": log_tail(self.log), "observed": str(self.seen)}
        if self.job:
            shown |= {"jobName": self.job, "namespace": self.namespace}
        return shown


def log_tail(log: str) -> str:
    if len(log.encode(errors="replace")) <= LOG_BYTES:
        return log
    return tail(log, LOG_BYTES - 100)
