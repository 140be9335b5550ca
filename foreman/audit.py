"""The record of a finished task: a ConfigMap that outlives it, written once, and the outcome counted once.

The order makes 'once' hold: record, then mark the task (conditionally), then count. Who loses the race for the mark counts
nothing; who dies in between leaves a task without mark, and the next one overwrites the same record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, cast

from pydantic_core import to_json

from foreman.api import ANNOTATION_AUDITED, AgenticTask, ConfigMap, Result, TaskSpec, TaskStatus
from foreman.api.result import BadEnvelope
from foreman.cluster import AlreadyExists, Cluster, ClusterError
from foreman.runtime import Runtime

SCHEMA = "foreman.audit.v1"
LABEL_AUDIT = "foreman.llmkube.dev/audit"
LABEL_AUDIT_TASK = "foreman.llmkube.dev/audit-task"
RETENTION_SECONDS = 168 * 3600
SWEEP_SECONDS = 3600


class OutcomeLabels(NamedTuple):
    """Labels of foreman_task_completed_total; '' where the task does not say. Never a task's name: it has no bound."""

    agent: str
    kind: str
    verdict: str
    outcome: str


def outcome_labels(task: AgenticTask) -> OutcomeLabels:
    """How the task counts. An envelope that cannot be read yields no made-up values."""
    outcome = ""
    result = task.status.result or {}
    extra = result.get("extra")
    if isinstance(extra, dict) and "outcome" in extra:
        try:
            outcome = str(Result.parse(result).extra["outcome"])
        except BadEnvelope:
            outcome = ""
    agent = task.spec.agent_ref.name if task.spec.agent_ref is not None else ""
    return OutcomeLabels(agent, str(task.spec.kind), str(task.status.verdict or ""), outcome)


def build_record(task: AgenticTask) -> str:
    """What is kept of a task, as JSON: identity, and spec and final status in wire form with defaults left out."""
    meta = task.metadata
    who = to_json({"name": meta.name, "namespace": meta.namespace, "uid": meta.uid}).decode()
    # pydantic's own serializer, for this is written once for every task there ever is.
    status = _status_json(task.status, exclude_defaults=True).decode()
    attempt, spec = task.status.attempt, _spec_json(task.spec)
    return f'{{"schemaVersion":"{SCHEMA}","task":{who},"attempt":{attempt},"spec":{spec},"status":{status}}}'


_status_json = TaskStatus.__pydantic_serializer__.to_json
_MOST_SPECS = 256
_specs: dict[int, tuple[TaskSpec, str]] = {}


def _spec_json(spec: TaskSpec) -> str:
    """Tasks of one making share their spec: its text is kept, and with it the spec, so that nothing else has its id."""
    known = _specs.get(id(spec))
    if known is None:
        if len(_specs) >= _MOST_SPECS:
            _specs.clear()
        known = _specs[id(spec)] = spec, spec.model_dump_json(exclude_defaults=True)
    return known[1]


class Auditor:
    """Writes records and prunes old ones. `retention` seconds, 0 keeps them for ever."""

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        retention: float = RETENTION_SECONDS,
        on_outcome: Callable[[AgenticTask], None] | None = None,
    ) -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.retention = retention
        self.outcomes: Counter[OutcomeLabels] = Counter()
        self.on_outcome = on_outcome or self._count

    def _count(self, task: AgenticTask) -> None:
        self.outcomes[outcome_labels(task)] += 1

    async def record(self, task: AgenticTask) -> AgenticTask:
        """Keep the record, mark the task, count the outcome; the task as marked. Raises what the cluster raises."""
        await self._store(task)
        marked = await self.cluster.patch(task, _MARK, if_version=task.version)
        self.on_outcome(task)
        return marked

    async def _store(self, task: AgenticTask) -> None:
        record = self._config_map(task)
        try:
            await self.cluster.create(record)
        except AlreadyExists:
            # Unconditional: a record of the same terminal task can only say the same, or belong to a deleted namesake.
            await self.cluster.patch(record, {"data": record.data}, if_version=None)

    def _config_map(self, task: AgenticTask) -> ConfigMap:
        name = task.metadata.name
        meta = _RECORD.metadata.evolve(
            name=f"foreman-audit-{name}",
            namespace=task.metadata.namespace,
            labels={LABEL_AUDIT: "true", LABEL_AUDIT_TASK: name},
        )
        return _RECORD.evolve(metadata=meta, data={"audit.json": build_record(task)})

    async def sweep_for_ever(self) -> None:
        """Every hour delete the records older than the retention."""
        while self.retention > 0:
            await self.runtime.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except ClusterError:
                continue

    async def sweep(self) -> int:
        """Delete what is too old; how many records that was."""
        if self.retention <= 0:
            return 0
        listing = await self.cluster.list("ConfigMap", labels={LABEL_AUDIT: "true"})
        horizon = self.runtime.wall() - self.retention
        old = [record for record in listing.items if (record.metadata.creation_timestamp or 0) < horizon]
        for record in old:
            await self.cluster.delete(cast(ConfigMap, record), if_uid=record.metadata.uid)
        return len(old)


_RECORD = ConfigMap()
_MARK = {"metadata": {"annotations": {ANNOTATION_AUDITED: "true"}}}
