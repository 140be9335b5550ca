"""One attempt and its report: what each ending writes, when a report lands, when it stands down, what a lost answer means."""

from __future__ import annotations

import pytest
from agent_kit import GO, Site, Work

from foreman.api import Result, condition
from foreman.decide import claims
from foreman.decide.custody import DEFAULT_TIMEOUT_SECONDS


def running(site=None, seconds=10, **spec):
    """A site whose agent n1 runs task 't'."""
    site = site or Site()
    site.seconds = seconds
    site.put("t", "n1", **spec)
    site.agent("n1")
    site.until(lambda: site.phase("t") == "Running", within=5)
    return site


def completed(site):
    return condition(site.task("t").status.conditions, "Completed")


def ends(ending, **spec):
    """The task after an execution that ended so; `ending` is a Result, None, or an exception to raise."""
    site = Site()

    def end(_):
        if isinstance(ending, Exception):
            raise ending
        return ending

    site.ending = end
    running(site, **spec).advance(15)
    assert not site.crashes
    return site


# endings


def test_a_result_succeeds_the_task_whatever_its_verdict():
    """PatchTerminal_NormalPathStillLands."""
    for verdict in ("GO", "NO-GO", "INCOMPLETE", "GATE-PASS", "GATE-FAIL", "GATE-ERROR"):
        site = ends(GO.evolve(verdict=verdict))
        status = site.task("t").status
        assert (status.phase, status.verdict, status.failure_reason) == ("Succeeded", verdict, None)
        assert (completed(site).status, completed(site).reason, completed(site).message) == (
            "True",
            "ExecutorSucceeded",
            "done",
        )
        assert status.result["schemaVersion"] == "foreman.v1"
        assert status.finished_at >= status.started_at


def test_a_refused_verdict_fails_the_task_and_keeps_the_result():
    """PatchTerminal_FallsBackOnRejectedVerdict (#667)."""
    site = ends(GO.evolve(verdict="LGTM" * 400))
    status = site.task("t").status
    assert (status.phase, status.verdict, status.failure_reason) == ("Failed", "INCOMPLETE", "InfrastructureError")
    assert status.result["verdict"] == "LGTM" * 400
    assert completed(site).reason == "TerminalPatchRejected"
    assert "LGTM" in completed(site).message
    assert len(completed(site).message) == claims.REJECTION_CHARACTERS


def test_branch_and_commit_are_lifted_on_go():
    """PatchTerminal_LiftsBranchAndCommitOnGo."""
    status = ends(GO.evolve(extra={"branch": "fix/1", "commitSHA": "abc"})).task("t").status
    assert (status.branch, status.commit_sha) == ("fix/1", "abc")


def test_the_job_name_is_lifted():
    """PatchTerminal_LiftsJobName."""
    assert ends(GO.evolve(extra={"jobName": "coder-t-1"})).task("t").status.job_name == "coder-t-1"


def test_a_no_go_leaves_the_commit_empty_and_names_the_intended_branch():
    """PatchTerminal_NoGoLeavesCommitEmpty."""
    status = ends(GO.evolve(verdict="NO-GO", extra={"intendedBranch": "fix/1"})).task("t").status
    assert (status.branch, status.commit_sha) == ("fix/1", "")


def test_a_results_own_failure_reason_is_lifted():
    status = ends(GO.evolve(verdict="INCOMPLETE", failure_reason="MaxTurnsExhausted")).task("t").status
    assert (status.phase, status.failure_reason) == ("Succeeded", "MaxTurnsExhausted")


def test_an_executor_error_fails_the_task():
    site = ends(RuntimeError("the model fell over"))
    status = site.task("t").status
    assert (status.phase, status.verdict, status.failure_reason) == ("Failed", "INCOMPLETE", "InfrastructureError")
    assert (completed(site).status, completed(site).reason) == ("False", "ExecutorError")
    assert completed(site).message == "the model fell over"


def test_nothing_returned_is_a_contract_violation():
    site = ends(None)
    assert (site.task("t").status.phase, completed(site).reason) == ("Failed", "ExecutorContractViolation")


def test_an_error_without_a_text_is_named_by_its_type():
    assert completed(ends(ValueError())).message == "ValueError"


# time


def test_a_run_that_takes_too_long_is_cancelled_and_reported():
    site = running(seconds=None, timeoutSeconds=60)
    site.advance(59)
    assert site.phase("t") == "Running"
    site.advance(2)
    status = site.task("t").status
    assert (status.phase, status.failure_reason, completed(site).reason) == ("Failed", "Timeout", "TimeoutExceeded")
    assert site.cancelled == ["t"]


def test_without_a_timeout_a_run_has_three_quarters_of_an_hour():
    site = running(seconds=None)
    site.advance(DEFAULT_TIMEOUT_SECONDS - 5)
    assert site.phase("t") == "Running"
    site.advance(10)
    assert site.phase("t") == "Failed"


def test_each_of_several_runs_has_its_own_deadline():
    site = Site()
    site.seconds = None
    for name, timeout in (("slow", 90), ("t", 30), ("mid", 60)):
        site.put(name, "n1", timeoutSeconds=timeout)
    site.agent("n1", slots=3)
    site.until(lambda: len(site.started) == 3, within=5)
    ended = []
    for _ in range(3):
        site.advance(30.5)
        ended.append(sorted(name for name in ("slow", "t", "mid") if site.phase(name) == "Failed"))
    assert ended == [["t"], ["mid", "t"], ["mid", "slow", "t"]]


# retryPolicy


def test_a_failed_attempt_is_tried_again_as_often_as_the_policy_says():
    site = ends(RuntimeError("no luck"), retryPolicy={"maxAttempts": 2, "backoffSeconds": 30})
    status = site.task("t").status
    assert (status.phase, status.assigned_node, status.holder, status.failures) == ("Pending", "", "", 1)
    assert 25 <= status.retry_after - status.conditions[-1].last_transition_time <= 30
    site.assign("t", "n1")
    site.advance(15)
    assert (site.phase("t"), completed(site).reason) == ("Failed", "ExecutorError")
    assert [attempt for _, attempt, _ in site.started] == [1, 2]


def test_a_timeout_is_tried_again_too():
    site = running(seconds=None, timeoutSeconds=20, retryPolicy={"maxAttempts": 3})
    site.advance(25)
    assert (site.phase("t"), site.task("t").status.failures) == ("Pending", 1)


def test_a_result_is_never_tried_again_however_bad():
    site = ends(GO.evolve(verdict="NO-GO"), retryPolicy={"maxAttempts": 5})
    assert site.phase("t") == "Succeeded"


# the fence


def test_a_report_stands_down_when_the_task_was_released():
    """PatchTerminal_StandsDownWhenTaskReleased: also when the agent could not hear of it before it had finished."""
    site = running()
    with site.hold(verb="patch_status", key="default/t", actor="n1") as report:
        site.until(lambda: bool(report.held), within=15)
        site.expire("t")
    site.advance(10)
    assert site.phases("t") == ["None", "Pending", "Scheduled", "Running", "Pending"]
    assert site.agents["n1"].watcher.discarded == 1


def test_a_report_stands_down_when_the_task_is_claimed_elsewhere():
    """PatchTerminal_StandsDownWhenTaskReClaimedElsewhere: the newer attempt's result is the only one."""
    site = running()
    site.agent("n2")
    with site.hold(verb="patch_status", key="default/t", actor="n1") as report:
        site.until(lambda: bool(report.held), within=15)
        site.expire("t")
        site.assign("t", "n2")
        site.until(lambda: site.task("t").status.holder == "n2/1", within=5)
    site.advance(5)
    assert site.phase("t") == "Running"
    site.advance(10)
    assert (site.phase("t"), site.task("t").status.attempt) == ("Succeeded", 2)
    landed = {name: agent.watcher.landed for name, agent in site.agents.items()}
    assert landed == {"n1": 0, "n2": 1}


def test_an_older_attempt_stands_down_for_a_newer_on_the_same_node():
    """The original's fence is claimedAt to the second, which two claims of one node can share; ours is the attempt."""
    site = running()
    with site.hold(verb="patch_status", key="default/t", actor="n1", limit=1) as report:
        site.until(lambda: bool(report.held), within=15)
        site.expire("t")
        site.assign("t", "n1")
    site.advance(20)
    assert site.phase("t") == "Succeeded"
    assert [attempt for _, attempt, _ in site.started] == [1, 2]
    watcher = site.agents["n1"].watcher
    assert (watcher.landed, watcher.discarded) == (1, 1)


def test_a_report_for_a_deleted_task_is_dropped():
    site = running()
    with site.hold(verb="patch_status", key="default/t", actor="n1") as report:
        site.until(lambda: bool(report.held), within=15)
        site.server.delete("user", site.task("t"))
        site.put("t", "elsewhere")
    site.advance(10)
    assert site.phase("t") == "Scheduled"
    assert site.agents["n1"].watcher.discarded == 1


def test_a_report_survives_a_strangers_write_to_the_task():
    """Only the claim matters, not the version: a Conflict without a loss of the claim is repeated."""
    site = running()
    with site.hold(verb="patch_status", key="default/t", actor="n1", limit=1) as report:
        site.until(lambda: bool(report.held), within=15)
        site.write(site.task("t"), job_name="noted")
    site.advance(5)
    assert (site.phase("t"), site.task("t").status.job_name) == ("Succeeded", "noted")
    assert site.agents["n1"].watcher.landed == 1


# lost messages


@pytest.mark.parametrize("fate", ["lose-reply", "drop"])
def test_a_report_whose_answer_is_lost_counts_as_landed_once(fate):
    site = running()
    with site.hold(verb="patch_status", key="default/t", actor="n1", fate=fate, limit=1) as lost:
        site.advance(30)
    assert lost.caught == 1
    assert site.phases("t") == ["None", "Pending", "Scheduled", "Running", "Succeeded"]
    watcher = site.agents["n1"].watcher
    assert (watcher.landed, watcher.discarded) == (1, 0)
    assert len(site.started) == 1


@pytest.mark.parametrize("fate", ["lose-reply", "drop"])
def test_a_claim_whose_answer_is_lost_is_run_once(fate):
    """Adopted when it was applied, made again when it was not: in both cases one execution, one attempt."""
    site = Site()
    site.put("t", "n1")
    with site.hold(verb="patch_status", key="default/t", actor="n1", fate=fate, limit=1) as lost:
        site.agent("n1")
        site.advance(40)
    assert lost.caught == 1
    assert site.phases("t") == ["None", "Pending", "Scheduled", "Running", "Succeeded"]
    assert site.started == [("t", 1, "n1/1")]


def test_a_result_finished_during_an_outage_lands_after_it():
    """L11: a terminal patch tried once is a result lost."""
    site = running()
    site.advance(5)
    site.endpoint.fail()
    site.advance(600)
    site.endpoint.recover()
    site.advance(40)
    assert site.phase("t") == "Succeeded"
    assert site.hosts["n1"].boots == 1
    assert site.started == [("t", 1, "n1/1")]


def test_an_envelope_of_another_schema_is_refused_by_name():
    with pytest.raises(ValueError, match=r"foreman\.v2"):
        Result.parse({"schemaVersion": "foreman.v2", "kind": "stub", "verdict": "GO"})


# the Job that does the work


@pytest.fixture
def stamping(monkeypatch):
    """Executors name a Job as they begin."""
    plain = Work.execute

    async def execute(self, execution):
        await execution.stamp(f"job-{execution.attempt}")
        return await plain(self, execution)

    monkeypatch.setattr(Work, "execute", execute)


def test_the_job_is_known_while_it_runs(stamping):
    """JobModeStampsJobNameWhileRunning."""
    site = running()
    site.until(lambda: site.task("t").status.job_name == "job-1", within=2)
    assert site.phase("t") == "Running"
    site.advance(15)
    assert (site.phase("t"), site.task("t").status.verdict) == ("Succeeded", "GO")


@pytest.mark.parametrize("fate", ["drop", "lose-reply"])
def test_a_name_that_cannot_be_written_costs_nothing(stamping, fate):
    site = Site()
    site.put("t", "n1")
    with site.hold(verb="patch_status", where=lambda asked: set(asked.args[1]) == {"job_name"}, fate=fate) as lost:
        site.agent("n1")
        site.until(lambda: site.phase("t") == "Succeeded", within=120)
    assert lost.caught == 1
    assert site.task("t").status.verdict == "GO"
    assert len(site.started) == 1
