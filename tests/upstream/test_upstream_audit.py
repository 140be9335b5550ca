"""Counterparts of the original's outcome metrics (7.2) and audit records (7.5)."""

from __future__ import annotations

import json

import pytest
from support import advance, new_task, task, unharmed, until
from upstream_kit import fleet, put, until_phase

from foreman.api import ANNOTATION_AUDITED, ConfigMap, ObjectMeta, Phase, Verdict
from foreman.audit import LABEL_AUDIT, OutcomeLabels, build_record, outcome_labels

HOUR = 3600


def audited(w, name):
    return task(w, name).metadata.annotations.get(ANNOTATION_AUDITED) == "true"


def records(w):
    return sorted(w.server.tables["ConfigMap"])


def outcomes(w):
    return sum((operator.auditor.outcomes.total() for operator in w.operators.values()), 0)


def finished(more=""):
    """A world in which task 't' has ended and is on record."""
    w = fleet("a", more=more)
    put(w, "t")
    until_phase(w, "t", Phase.SUCCEEDED)
    until(w, lambda: audited(w, "t"), within=5)
    return w


# metrics


def ended(result, **spec):
    made = new_task("t", **spec)
    return made.evolve(status=made.status.evolve(phase=Phase.SUCCEEDED, verdict=Verdict.NO_GO, result=result))


ENVELOPE = {"schemaVersion": "foreman.v1", "kind": "stub", "verdict": "NO-GO", "extra": {"outcome": "NO-CHANGES"}}


@pytest.mark.parametrize(
    ("result", "spec", "labels"),
    [
        (ENVELOPE, {"agentRef": {"name": "coder"}}, OutcomeLabels("coder", "freeform", "NO-GO", "NO-CHANGES")),
        (None, {}, OutcomeLabels("", "freeform", "NO-GO", "")),
        ({"schemaVersion": "foreman.v9", "extra": {"outcome": "X"}}, {}, OutcomeLabels("", "freeform", "NO-GO", "")),
        ({"garbage": True}, {"kind": "review"}, OutcomeLabels("", "review", "NO-GO", "")),
    ],
    ids=["full-envelope", "no-agent-no-envelope", "other-schema", "unparseable"],
)
def test_task_outcome_labels(result, spec, labels):
    """HEAD: TestTaskOutcomeLabels (full envelope with agentRef; neither; unparseable yields no fabricated values)."""
    assert outcome_labels(ended(result, **spec)) == labels


@pytest.mark.parametrize("fate", ["drop", "lose-reply"])
@pytest.mark.parametrize(("verb", "kind"), [("create", "ConfigMap"), ("patch", "AgenticTask")])
def test_an_outcome_is_counted_once_though_the_record_fails(verb, kind, fate):
    """HEAD: TestTerminalMetricEmittedAtMostOnceOnAuditFailure (ours: the record is tried again until it stands)."""
    w = fleet("a")
    failing = w.hold(verb=verb, actor="operator", kind=kind, fate=fate, limit=3)
    put(w, "t")
    until_phase(w, "t", Phase.SUCCEEDED)
    assert outcomes(w) == 0
    until(w, lambda: audited(w, "t"), within=60)
    advance(w, 60)
    assert failing.caught >= 1
    assert outcomes(w) == (0 if (verb, fate) == ("patch", "lose-reply") else 1)
    unharmed(w)


def test_two_operators_count_an_outcome_once():
    """HEAD: outcome metrics are emitted once."""
    w = finished(more="operators: {replicas: 3}")
    advance(w, 60)
    assert outcomes(w) == 1
    unharmed(w)


# records


def test_build_record_coder():
    """HEAD: BuildRecordCoder."""
    made = ended({**ENVELOPE, "summary": "no"}, kind="issue-fix", agentRef={"name": "coder"}, payload={"issue": 7})
    made = made.evolve(metadata=made.metadata.evolve(uid="u-1"))
    record = json.loads(build_record(made))
    assert record["schemaVersion"] == "foreman.audit.v1"
    assert record["task"] == {"name": "t", "namespace": "default", "uid": "u-1"}
    assert (record["spec"]["agentRef"], record["spec"]["payload"]["issue"]) == ({"name": "coder"}, 7)
    assert record["status"]["verdict"] == "NO-GO"
    assert record["status"]["result"]["extra"] == {"outcome": "NO-CHANGES"}
    assert json.loads(json.dumps(record)) == record


def test_build_record_nil_agent_and_no_result():
    """HEAD: BuildRecordNilAgentAndNoResult."""
    record = json.loads(build_record(ended(None)))
    assert "agentRef" not in record["spec"]
    assert "result" not in record["status"]
    assert record["status"]["phase"] == "Succeeded"


def test_the_record_outlives_the_task():
    """HEAD: WriteRecordCreatesDurableConfigMap (no owner: deleting the task keeps the record)."""
    w = finished()
    record = w.server.get("test", "ConfigMap", "foreman-audit-t", "default")
    assert record.metadata.owner_references == ()
    assert record.metadata.labels[LABEL_AUDIT] == "true"
    assert json.loads(record.data["audit.json"])["status"]["verdict"] == "GO"
    w.server.delete("user", task(w, "t"))
    advance(w, 60)
    assert records(w) == ["default/foreman-audit-t"]
    unharmed(w)


def test_a_record_that_stands_already_is_overwritten():
    """HEAD: WriteRecordIdempotentUpsert."""
    w = finished()
    w.server.delete("user", task(w, "t"))
    advance(w, 1)
    put(w, "t", verdict="NO-GO")
    until_phase(w, "t", Phase.SUCCEEDED)
    until(w, lambda: audited(w, "t"), within=5)
    record = w.server.get("test", "ConfigMap", "foreman-audit-t", "default")
    assert json.loads(record.data["audit.json"])["status"]["verdict"] == "NO-GO"
    assert records(w) == ["default/foreman-audit-t"]
    unharmed(w)


def test_a_terminal_task_is_recorded_once():
    """HEAD: RecordTerminalWritesOnceAndSetsAnnotation."""
    w = finished()
    marked = task(w, "t")
    record = w.server.get("test", "ConfigMap", "foreman-audit-t", "default")
    w.hosts["operator-0"].crash()
    w.hosts["operator-0"].boot()
    advance(w, 700)
    assert task(w, "t") == marked
    assert w.server.get("test", "ConfigMap", "foreman-audit-t", "default") == record
    assert outcomes(w) == 0
    unharmed(w)


# sweeps


def retaining(seconds, w):
    w.operators["operator-0"].auditor.retention = seconds
    return w


def test_the_sweep_prunes_old_records_and_nothing_else():
    """HEAD: SweepPrunesOldAuditConfigMaps."""
    w = retaining(2 * HOUR, finished())
    w.server.create("user", ConfigMap(metadata=ObjectMeta(name="mine", namespace="default")))
    advance(w, 2 * HOUR - 60)
    put(w, "late")
    until_phase(w, "late", Phase.SUCCEEDED)
    until(w, lambda: audited(w, "late"), within=5)
    assert records(w) == ["default/foreman-audit-late", "default/foreman-audit-t", "default/mine"]
    advance(w, HOUR + 60)
    assert records(w) == ["default/foreman-audit-late", "default/mine"]
    unharmed(w)


def test_retention_zero_keeps_records_for_ever():
    """HEAD: SweepRetentionZeroIsNoop, ReaperRunDisabledRetentionNeverSweeps."""
    w = retaining(0, finished())
    sweeps = w.hold(verb="list", actor="operator", kind="ConfigMap")
    advance(w, 10 * HOUR)
    assert records(w) == ["default/foreman-audit-t"]
    assert sweeps.caught == 0
    unharmed(w)


def test_the_sweep_of_an_empty_cluster_is_no_error():
    """HEAD: SweepHandlesEmptyCluster."""
    w = retaining(HOUR, fleet("a"))
    advance(w, 3 * HOUR)
    assert records(w) == []
    unharmed(w)


def test_the_sweep_runs_every_hour_and_ends_with_its_process():
    """HEAD: ReaperRunTicksAndStops."""
    w = retaining(HOUR, finished())
    advance(w, 3 * HOUR)
    assert records(w) == []
    put(w, "last")
    until_phase(w, "last", Phase.SUCCEEDED)
    until(w, lambda: audited(w, "last"))
    w.hosts["operator-0"].crash()
    advance(w, 5 * HOUR)
    assert records(w) == ["default/foreman-audit-last"]
    unharmed(w)


def test_a_sweep_that_fails_is_tried_again_at_the_next():
    """HEAD: the reaper logs and goes on."""
    w = retaining(HOUR, finished())
    w.hold(verb="delete", actor="operator", kind="ConfigMap", fate="drop", limit=1)
    advance(w, 2.5 * HOUR)
    assert records(w) == ["default/foreman-audit-t"]
    advance(w, HOUR)
    assert records(w) == []
    unharmed(w)
