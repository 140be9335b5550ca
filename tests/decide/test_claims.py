"""Claims: what to claim first, whether a claim stands, how an outcome is reported."""

from __future__ import annotations

import pytest
from support import new_task

from foreman.api import FailureReason, Phase, Result, Verdict, condition
from foreman.api.patch import merge
from foreman.decide import claims
from foreman.decide.claims import Fence, Outcome

NOW = 1_800_000_000


def made(phase=Phase.RUNNING, name="t", created=0, failures=0, attempt=3, holder="a/1", node="a", **spec):
    task = new_task(name, **spec)
    status = task.status.evolve(
        phase=phase, assigned_node=node, attempt=attempt, holder=holder, failures=failures, claimed_at=1, started_at=1
    )
    return task.evolve(metadata=task.metadata.evolve(creation_timestamp=created), status=status)


def result(verdict="GO", **fields):
    return Result(kind="stub", verdict=verdict, summary="done", **fields)


def after(task, changes):
    return merge(task.status, changes)


# order


def test_kinds_are_claimed_by_how_soon_they_finish_work():
    kinds = ["freeform", "issue-fix", "verify", "review"]
    ordered = sorted((made(name=kind, kind=kind) for kind in kinds), key=claims.claim_order)
    assert [task.spec.kind for task in ordered] == ["review", "verify", "issue-fix", "freeform"]


def test_priority_comes_before_kind_kind_before_age_age_before_name():
    tasks = [
        made(name="e", kind="freeform", created=1),
        made(name="d", kind="review", created=9),
        made(name="c", kind="review", created=2),
        made(name="b", kind="review", created=2),
        made(name="a", kind="freeform", created=9, priority=1),
    ]
    assert "".join(task.metadata.name for task in sorted(tasks, key=claims.claim_order)) == "abcde"


@pytest.mark.parametrize(("slots", "running", "admitted"), [(1, 0, True), (1, 1, False), (3, 2, True), (3, 3, False)])
def test_admission(slots, running, admitted):
    assert claims.admits(slots, running) is admitted


# whose


@pytest.mark.parametrize("phase", [None, *Phase])
def test_only_what_is_scheduled_here_is_claimable(phase):
    assert claims.claimable(made(phase), "a") is (phase is Phase.SCHEDULED)
    assert not claims.claimable(made(phase), "b")


def test_what_is_gone_or_going_is_not_claimable():
    assert not claims.claimable(None, "a")
    task = made(Phase.SCHEDULED)
    assert not claims.claimable(task.evolve(metadata=task.metadata.evolve(deletion_timestamp=NOW)), "a")


MINE = Fence(attempt=3, holder="a/1", node="a", claimed_at=1)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize(
    ("fence", "same"),
    [
        (MINE, True),
        (MINE._replace(holder="a/2"), False),
        (MINE._replace(attempt=2), False),
        (MINE._replace(holder=""), False),
        (MINE._replace(node="b"), False),
        (MINE._replace(claimed_at=2), False),
        (MINE._replace(claimed_at=None), False),
    ],
)
def test_a_claim_stands_while_all_it_left_on_the_task_does(phase, fence, same):
    live = phase in (Phase.SCHEDULED, Phase.RUNNING, Phase.VERIFYING)
    assert claims.still_ours(made(phase), fence) is (live and same)


def test_claims_that_an_older_crd_has_pruned_are_told_apart_by_node_and_time():
    claimed = made(attempt=0, holder="")
    mine = claims.fence_of(claimed)
    assert claims.still_ours(claimed, mine)
    assert not claims.still_ours(claimed.evolve(status=claimed.status.evolve(claimed_at=2)), mine)
    assert not claims.still_ours(claimed.evolve(status=claimed.status.evolve(assigned_node="b")), mine)


def test_a_report_whose_answer_was_lost_is_recognised():
    task = made()
    reported = task.evolve(status=after(task, claims.report(task, Outcome(result=result()), NOW)))
    assert claims.reported(reported, MINE)
    assert not claims.reported(reported, MINE._replace(holder="a/2"))
    assert not claims.reported(reported, MINE._replace(attempt=2))
    assert not claims.reported(task, MINE)
    assert not claims.reported(made(Phase.FAILED), MINE)


def test_a_claim_names_its_holder():
    task = made(Phase.SCHEDULED, holder="")
    status = after(task, claims.claim(task, "a", "a/7", NOW))
    assert (status.phase, status.holder, status.claimed_at, status.started_at) == (Phase.RUNNING, "a/7", NOW, NOW)
    assert condition(status.conditions, "Running").message == "claimed by a"


@pytest.mark.parametrize(("phase", "type_"), [(Phase.SCHEDULED, "Scheduled"), (Phase.RUNNING, "Running")])
def test_what_is_handed_back_bears_no_strike(phase, type_):
    task = made(phase)
    status = after(task, claims.hand_back(task, "AgentDraining", "bye", NOW))
    assert (status.phase, status.assigned_node, status.holder, status.claimed_at) == (Phase.PENDING, "", "", None)
    assert (status.handbacks, status.strikes, status.failures, status.attempt) == (1, {}, 0, 3)
    told = condition(status.conditions, type_)
    assert (told.status, told.reason) == ("False", "AgentDraining")


def test_recovery_is_a_hand_back_with_the_originals_reason():
    task = made()
    assert condition(after(task, claims.recover(task, NOW)).conditions, "Running").reason == "AgentRestartRecovery"


# reports


@pytest.mark.parametrize("verdict", ["GO", "NO-GO", "INCOMPLETE", "GATE-PASS", "GATE-FAIL", "GATE-ERROR"])
def test_a_result_succeeds_whatever_its_verdict(verdict):
    task = made()
    status = after(task, claims.report(task, Outcome(result=result(verdict, elapsed_sec=1.5)), NOW))
    assert (status.phase, status.verdict, status.finished_at) == (Phase.SUCCEEDED, verdict, NOW)
    assert (status.result["schemaVersion"], status.result["elapsedSec"]) == ("foreman.v1", 1.5)
    told = condition(status.conditions, "Completed")
    assert (told.status, told.reason, told.message) == ("True", "ExecutorSucceeded", "done")


def test_what_the_result_says_about_branch_commit_and_job_is_lifted():
    extra = {"branch": "foreman/issue-1", "intendedBranch": "other", "commitSHA": "abc", "jobName": "job-1"}
    task = made()
    status = after(task, claims.report(task, Outcome(result=result(extra=extra)), NOW))
    assert (status.branch, status.commit_sha, status.job_name) == ("foreman/issue-1", "abc", "job-1")


def test_a_no_go_has_its_intended_branch_and_no_commit():
    task = made()
    said = result("NO-GO", extra={"intendedBranch": "foreman/issue-1"}, failure_reason="GateFailed")
    status = after(task, claims.report(task, Outcome(result=said), NOW))
    assert (status.branch, status.commit_sha, status.failure_reason) == (
        "foreman/issue-1",
        "",
        FailureReason.GATE_FAILED,
    )


@pytest.mark.parametrize(
    ("outcome", "reason", "message", "failure"),
    [
        (Outcome(error="boom"), "ExecutorError", "boom", FailureReason.INFRASTRUCTURE_ERROR),
        (
            Outcome(),
            "ExecutorContractViolation",
            "executor returned no error and no result",
            FailureReason.INFRASTRUCTURE_ERROR,
        ),
        (Outcome(error="cancelled", timed_out=True), "TimeoutExceeded", "cancelled", FailureReason.TIMEOUT),
    ],
)
def test_no_result_fails(outcome, reason, message, failure):
    task = made()
    status = after(task, claims.report(task, outcome, NOW))
    assert (status.phase, status.verdict, status.failure_reason) == (Phase.FAILED, Verdict.INCOMPLETE, failure)
    told = condition(status.conditions, "Completed")
    assert (told.status, told.reason, told.message) == ("False", reason, message)


@pytest.mark.parametrize(
    ("attempts", "failures", "phase"),
    [(1, 0, Phase.FAILED), (2, 0, Phase.PENDING), (2, 1, Phase.FAILED), (5, 3, Phase.PENDING), (5, 4, Phase.FAILED)],
)
@pytest.mark.parametrize("outcome", [Outcome(error="boom"), Outcome(), Outcome(error="x", timed_out=True)])
def test_a_failure_is_tried_again_as_often_as_the_policy_says(attempts, failures, phase, outcome):
    task = made(failures=failures, retryPolicy={"maxAttempts": attempts, "backoffSeconds": 30})
    status = after(task, claims.report(task, outcome, NOW))
    assert status.phase is phase
    if phase is Phase.PENDING:
        assert (status.failures, status.retry_after, status.assigned_node) == (failures + 1, NOW + 30, "")


def test_a_result_is_not_tried_again_however_bad():
    task = made(retryPolicy={"maxAttempts": 5})
    assert after(task, claims.report(task, Outcome(result=result("NO-GO")), NOW)).phase is Phase.SUCCEEDED


def test_a_verdict_the_api_server_refuses_ends_the_task_and_keeps_the_raw_result():
    task = made()
    said = result("MAYBE")
    status = after(task, claims.rejected(task, said, "verdict: unsupported value " + "x" * 1000, NOW))
    assert (status.phase, status.verdict) == (Phase.FAILED, Verdict.INCOMPLETE)
    assert status.failure_reason is FailureReason.INFRASTRUCTURE_ERROR
    assert status.result["verdict"] == "MAYBE"
    told = condition(status.conditions, "Completed")
    assert told.reason == "TerminalPatchRejected"
    assert told.message.startswith("verdict 'MAYBE' was rejected: verdict: unsupported value")
    assert len(told.message) == 512
