"""The original's Jobs: a second one beside the first (#1535), a namesake's reaped (L22), an owner that is not there (L23), a
result cut off (L24)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foreman.executors import Execution
from foreman.executors.jobmode import JobMode
from foreman.executors.jobmode.job import TASK_NAME, name_of
from foreman.executors.jobs import Jobs, removed
from sim.mutations.product import Mutation, jobs

HEAD_BYTES = 32 << 10


class HeedlessMode(JobMode):
    """Makes a Job and does not look whether there is one of an earlier attempt."""

    async def _only_this(self, execution: Execution) -> None:
        return


class NamesakeMode(JobMode):
    """Reaps by the name of the task: its namespace is not asked for."""

    async def _only_this(self, execution: Execution) -> None:
        own = name_of(execution.task, execution.attempt)
        for job in await self.jobs.list(self.settings.namespace, "app.kubernetes.io/name=foreman-coder"):
            meta = job["metadata"]
            if meta["annotations"][TASK_NAME] == execution.task.metadata.name and meta["name"] != own:
                await removed(self.jobs, self.settings.namespace, meta["name"])


class Wrapped:
    def __init__(self, inner: Jobs) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Owned(Wrapped):
    """Jobs that name the task as their owner, which lives in another namespace."""

    async def create(self, namespace: str, manifest: dict[str, Any]) -> None:
        meta: Mapping[str, Any] = manifest["metadata"]
        owners = [{"kind": "AgenticTask", "controller": True}]
        await self.inner.create(namespace, {**manifest, "metadata": {**meta, "ownerReferences": owners}})


class Headed(Wrapped):
    """Of a log the first 32 KiB are read: what `limitBytes` gives."""

    async def log_tail(self, namespace: str, name: str, limit: int) -> str:
        return (await self.inner.log_tail(namespace, name, limit))[:HEAD_BYTES]


class OwnedMode(JobMode):
    def __init__(self, jobs: Any, *more: Any) -> None:
        super().__init__(Owned(jobs), *more)


class HeadedMode(JobMode):
    def __init__(self, jobs: Any, *more: Any) -> None:
        super().__init__(Headed(jobs), *more)


JOBS: dict[str, Mutation] = {
    "second-job": Mutation("the Job of an attempt that is over runs on beside the next", "one-job", jobs(HeedlessMode)),
    "reaps-namesakes": Mutation("a Job is reaped for the name of its task", "kept-job", jobs(NamesakeMode)),
    "foreign-owner": Mutation("a Job names an owner in another namespace", "kept-job", jobs(OwnedMode)),
    "log-head": Mutation("of a Job's log only the beginning is read", "told-result", jobs(HeadedMode)),
}
