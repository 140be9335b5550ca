"""Kubernetes Jobs, as far as executors need them: making one, watching over it to its end, whatever that is."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from foreman.cluster import ClusterError, NotFound, Unavailable
from foreman.executors.gate.verdict import Seen
from foreman.runtime import Runtime, Signal

NAME_MAX = 63
UNANSWERED_MAX = 12


class Jobs(Protocol):
    """Jobs of one cluster, as JSON. `foreman.kube.jobs` implements it. Raises ClusterError."""

    async def create(self, namespace: str, manifest: dict[str, Any]) -> None: ...

    async def get(self, namespace: str, name: str) -> dict[str, Any]: ...

    async def list(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        """Those with the labels ('a=b,c=d')."""
        ...

    async def delete(self, namespace: str, name: str) -> None:
        """In the background, its pods with it."""
        ...

    async def log_tail(self, namespace: str, name: str, limit: int) -> str:
        """The last `limit` bytes of what its pod has printed."""
        ...


class Vigil(NamedTuple):
    """How often to look, and for how long; seconds."""

    poll: float
    limit: float


async def watched(
    jobs: Jobs, runtime: Runtime, namespace: str, name: str, vigil: Vigil, cancelled: Signal | None
) -> tuple[Seen, str]:
    """How a Job ended, as far as it could be observed, and a sentence on it where there is one."""
    end = runtime.now() + vigil.limit
    unanswered = 0
    while True:
        try:
            ended = job_end(await jobs.get(namespace, name))
            unanswered = 0
        except NotFound:
            return Seen.DISAPPEARED, f"job {name} disappeared before it had ended"
        except Unavailable as error:
            unanswered += 1
            if unanswered >= UNANSWERED_MAX:
                return Seen.API_ERROR, f"job {name} cannot be watched: {error}"
            ended = None
        except ClusterError as error:
            return Seen.API_ERROR, f"job {name} cannot be watched: {error}"
        if ended is not None:
            return ended
        if runtime.now() >= end:
            return Seen.POLL_TIMEOUT, f"job {name} had not ended after {vigil.limit:g} s"
        if cancelled is None:
            await runtime.sleep(vigil.poll)
        elif await cancelled.wait(timeout=vigil.poll):
            return Seen.CANCELLED, f"job {name} was cancelled"


def job_end(job: dict[str, Any]) -> tuple[Seen, str] | None:
    """Whether the Job is Complete or Failed, and why if its own deadline ended it; None while it is neither."""
    for condition in job.get("status", {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            if condition["type"] == "Complete":
                return Seen.COMPLETE, ""
            late = condition.get("reason") == "DeadlineExceeded"
            return Seen.FAILED, "took longer than its deadline" if late else ""
    return None


async def removed(jobs: Jobs, namespace: str, name: str) -> None:
    """Best effort: its deadline ends it, its time to live removes it."""
    try:
        await jobs.delete(namespace, name)
    except ClusterError:
        return
