"""Counterparts of the original's scheduler tests at HEAD; claim expiry, matcher and records have files of their own."""

from __future__ import annotations

import pytest
from support import advance, node, reason, task, unharmed, until
from upstream_kit import Saying, deserted, fleet, phase, put, until_phase

from foreman.api import FailureReason, FleetNodePhase, Phase, Verdict, condition

RESOLVED = {"outcome": "ALREADY-RESOLVED", "resolvedBy": "#12"}


# dependencies


def resolved_upstream(*groups):
    w = fleet(*groups)
    for host in w.agents:
        Saying(w, host, {"code": RESOLVED})
    put(w, "code", verdict="NO-GO")
    return w


def test_an_already_resolved_dependency_skips():
    """HEAD: cascade-skips a Pending task when its dependency ended ALREADY-RESOLVED (#970)."""
    w = resolved_upstream("a")
    put(w, "verify", dependsOn=["code"])
    status = until_phase(w, "verify", Phase.SUCCEEDED).status
    told = condition(status.conditions, "Skipped")
    assert (status.verdict, told.status, told.reason) == (Verdict.SKIPPED, "True", "UpstreamAlreadyResolved")
    assert condition(status.conditions, "Failed") is None
    assert status.finished_at is not None
    assert w.executions == 1
    unharmed(w)


def test_the_skip_is_transitive():
    """HEAD: a grandchild of ALREADY-RESOLVED is cascade-failed, #1688 (ours: skipped as well, at any depth)."""
    w = resolved_upstream("a")
    put(w, "verify", dependsOn=["code"])
    put(w, "review", dependsOn=["verify"])
    put(w, "merge", dependsOn=["review", "code"])
    until_phase(w, "merge", Phase.SUCCEEDED)
    until_phase(w, "review", Phase.SUCCEEDED)
    assert {task(w, name).status.verdict for name in ("verify", "review", "merge")} == {Verdict.SKIPPED}
    unharmed(w)


@pytest.mark.parametrize("verdict", ["NO-GO", "INCOMPLETE", "GATE-FAIL", "GATE-ERROR"])
def test_a_dependency_that_succeeded_off_target_cascades(verdict):
    """HEAD: a Succeeded dependency counts only with verdict GO or GATE-PASS (#548)."""
    w = fleet("a")
    put(w, "dep", verdict=verdict)
    put(w, "t", dependsOn=["dep"])
    told = condition(until_phase(w, "t", Phase.FAILED).status.conditions, "Failed")
    assert told.message == f'dependency "dep" ended with verdict={verdict} (not on-target); cascade-failing'
    unharmed(w)


@pytest.mark.parametrize("verdict", ["GO", "GATE-PASS"])
def test_a_dependency_on_target_unblocks(verdict):
    """HEAD: SucceededOnTarget gates dependents (#548)."""
    w = fleet("a")
    put(w, "dep", verdict=verdict)
    put(w, "t", dependsOn=["dep"])
    until_phase(w, "t", Phase.SUCCEEDED)
    unharmed(w)


def test_a_missing_dependency_is_waited_for_only_so_long():
    """HEAD: a NotFound dependency waits for ever, #1687 (ours, as after #1698: fails after timeoutSeconds)."""
    w = fleet("a")
    put(w, "t", dependsOn=["ghost"], timeoutSeconds=120)
    advance(w, 100)
    assert (phase(w, "t"), reason(task(w, "t"), "DepWaitStarted")) == (Phase.PENDING, "DependencyAbsent")
    until_phase(w, "t", Phase.FAILED, within=30)
    assert reason(task(w, "t"), "Failed") == "DependencyAbsent"
    unharmed(w)


# Agents


def test_the_agents_requirement_counts_and_the_tasks_own_does_not():
    """HEAD: schedules using the referenced Agent's RequiredCapability; ignores the task's own when AgentRef is set."""
    agents = "agents: {coder: {requires: {accelerator: cuda}}}"
    w = fleet("a: {accelerator: metal}", "b: {accelerator: cuda}", more=agents)
    put(w, "t", agentRef={"name": "coder"}, requiredCapability={"accelerator": "metal"})
    assert until_phase(w, "t", Phase.SCHEDULED).status.assigned_node == "b-0"
    unharmed(w)


def test_a_task_whose_agent_does_not_exist_fails_at_once():
    """HEAD: fails fast with AgentNotFound, no requeue (ours: only after the API server itself has said so)."""
    w = fleet("a")
    before = w.endpoint.calls["get"]
    put(w, "t", agentRef={"name": "ghost"})
    status = until_phase(w, "t", Phase.FAILED, within=1).status
    told = condition(status.conditions, "Failed")
    assert (status.verdict, status.failure_reason) == (Verdict.INCOMPLETE, FailureReason.AGENT_NOT_FOUND)
    assert (told.reason, told.message) == ("AgentNotFound", 'Agent "ghost" not found in namespace "default"')
    assert w.endpoint.calls["get"] == before + 1
    advance(w, 5)
    ended = task(w, "t")
    advance(w, 60)
    assert task(w, "t") == ended
    unharmed(w)


def test_what_runs_takes_what_its_agent_demands_though_the_agent_is_heard_of_last():
    """An operator that starts may see the tasks before the Agents: the books are put right when those come."""
    w = fleet("a: {ramGB: 64, slots: 2}", more="agents: {coder: {requires: {minRAMGB: 40}}}")
    put(w, "one", seconds=600, agentRef={"name": "coder"})
    until_phase(w, "one", Phase.RUNNING)
    agents = w.hold(verb="list", actor="operator", kind="Agent")
    w.hosts["operator-0"].crash()
    w.hosts["operator-0"].boot()
    until(w, lambda: len(w.operators["operator-0"].tasks) == 1)
    agents.release()
    advance(w, 5)
    put(w, "two", seconds=600, agentRef={"name": "coder"})
    advance(w, 30)
    assert phase(w, "two") is Phase.PENDING
    unharmed(w)


AT_MOST_ONE = "agents: {coder: {maxConcurrentTasks: 1}}"
CODER = {"name": "coder"}


def test_an_agent_at_its_limit_keeps_the_next_task_pending():
    """HEAD: maxConcurrentTasks: Pending when reached."""
    w = fleet("a", "b", more=AT_MOST_ONE)
    put(w, "one", seconds=60, agentRef=CODER)
    until_phase(w, "one", Phase.RUNNING)
    put(w, "two", agentRef=CODER)
    advance(w, 30)
    assert (phase(w, "two"), reason(task(w, "two"), "Scheduled")) == (Phase.PENDING, "AgentAtLimit")
    unharmed(w)


def test_an_agent_with_headroom_gets_its_task():
    """HEAD: maxConcurrentTasks: schedules with headroom."""
    w = fleet("a", "b", more="agents: {coder: {maxConcurrentTasks: 2}}")
    for name in ("one", "two"):
        put(w, name, seconds=60, agentRef=CODER)
    until(w, lambda: phase(w, "one") is phase(w, "two") is Phase.RUNNING, within=2)
    unharmed(w)


def test_finished_tasks_do_not_count_against_the_limit():
    """HEAD: maxConcurrentTasks: terminal tasks do not count (ours: the end of one lets the next go at once)."""
    w = fleet("a", "b", more=AT_MOST_ONE)
    for name, errors in (("failed", 1), ("succeeded", 0), ("third", 0)):
        put(w, name, errors=errors, agentRef=CODER)
    until(w, lambda: phase(w, "third") is Phase.SUCCEEDED, within=32)
    assert phase(w, "failed") is Phase.FAILED
    unharmed(w)


def test_pending_tasks_do_not_count_against_the_limit():
    """HEAD: maxConcurrentTasks: admits a task when the Agent's other tasks are all Pending."""
    w = fleet("a", more=AT_MOST_ONE)
    for name in ("one", "two", "three"):
        put(w, name, agentRef=CODER, dependsOn=["later"])
    advance(w, 1)
    put(w, "free", agentRef=CODER)
    until_phase(w, "free", Phase.RUNNING, within=1)
    unharmed(w)


# nodes


def test_roles_filter_nodes():
    """HEAD: filters FleetNodes by spec.roles."""
    w = fleet("a: {roles: [worker]}", "b: {roles: [verifier, worker]}")
    put(w, "t", requiredCapability={"roles": ["verifier"]})
    assert until_phase(w, "t", Phase.SCHEDULED).status.assigned_node == "b-0"
    unharmed(w)


def test_vulkan_goes_to_vulkan():
    """HEAD: schedules a vulkan task onto a vulkan node and not a metal node."""
    w = fleet("a: {accelerator: metal}", "b: {accelerator: vulkan}")
    put(w, "t", requiredCapability={"accelerator": "vulkan"})
    assert until_phase(w, "t", Phase.SCHEDULED).status.assigned_node == "b-0"
    unharmed(w)


def test_two_tasks_spread_across_two_nodes():
    """HEAD: spreads two Pending tasks across two Ready nodes (ours: occupancy is derived; currentTask is display)."""
    w = fleet("a", "b")
    for name in ("one", "two"):
        put(w, name, seconds=120)
    until(w, lambda: phase(w, "one") is phase(w, "two") is Phase.RUNNING, within=2)
    assert {task(w, name).status.assigned_node for name in ("one", "two")} == {"a-0", "b-0"}
    advance(w, 35)
    shown = {node(w, name).status.current_task for name in ("a-0", "b-0")}
    assert shown == {"default/one", "default/two"}
    unharmed(w)


def test_a_second_task_waits_while_the_only_node_is_busy():
    """HEAD: leaves a second task Pending when the only matching node is busy (requeue; ours: says NodesBusy)."""
    w = fleet("a")
    put(w, "one", seconds=60)
    until_phase(w, "one", Phase.RUNNING)
    put(w, "two")
    advance(w, 30)
    told = condition(task(w, "two").status.conditions, "Scheduled")
    assert (phase(w, "two"), told.reason) == (Phase.PENDING, "NodesBusy")
    assert told.message == "0/1 nodes fit: 1 no free slot; waits for a free slot on 1 node"
    unharmed(w)


@pytest.mark.parametrize("errors", [0, 1])
def test_the_end_of_a_task_frees_its_node_for_the_next(errors):
    """HEAD: frees the node when its task terminates, letting the next one schedule there."""
    w = fleet("a")
    put(w, "one", seconds=60, errors=errors)
    until_phase(w, "one", Phase.RUNNING)
    put(w, "two")
    until(w, lambda: phase(w, "one") in (Phase.SUCCEEDED, Phase.FAILED))
    assert until_phase(w, "two", Phase.RUNNING, within=1).status.assigned_node == "a-0"
    unharmed(w)


def test_a_deleted_task_frees_its_node():
    """HEAD: reclaims a node whose CurrentTask points at a missing task (ours: nothing to reclaim, occupancy is derived)."""
    w = fleet("a")
    put(w, "one", seconds=600)
    until_phase(w, "one", Phase.RUNNING)
    advance(w, 40)
    assert node(w, "a-0").status.current_task == "default/one"
    w.server.delete("user", task(w, "one"))
    put(w, "two")
    until_phase(w, "two", Phase.RUNNING, within=10)
    unharmed(w)


JOB_MODE = "agents: {job: {jobMode: true, requires: {accelerator: cuda, minRAMGB: 512}}}"


def test_a_job_mode_task_takes_no_slot():
    """HEAD: schedules a Job-mode task without reserving the node; an in-process task still goes to that node (#1558)."""
    w = fleet("a", more=JOB_MODE)
    put(w, "job", seconds=600, agentRef={"name": "job"})
    until_phase(w, "job", Phase.SCHEDULED)
    put(w, "plain", seconds=600)
    assert until_phase(w, "plain", Phase.SCHEDULED, within=2).status.assigned_node == "a-0"
    unharmed(w)


def test_a_job_mode_task_goes_to_a_busy_node():
    """HEAD: Job mode returns the node without looking at its reservation."""
    w = fleet("a", more=JOB_MODE)
    put(w, "plain", seconds=600)
    until_phase(w, "plain", Phase.RUNNING)
    put(w, "job", seconds=600, agentRef={"name": "job"})
    assert until_phase(w, "job", Phase.SCHEDULED, within=2).status.assigned_node == "a-0"
    unharmed(w)


@pytest.mark.parametrize(("first", "second"), [("job", "plain"), ("plain", "job")])
def test_a_job_mode_run_keeps_no_other_task_from_running(first, second):
    """After HEAD: Job-mode runs do not hold the in-process slot (#1635)."""
    w = fleet("a", more=JOB_MODE)
    for name in (first, second):
        put(w, name, seconds=600, **({"agentRef": {"name": "job"}} if name == "job" else {}))
        advance(w, 5)
    assert (phase(w, first), phase(w, second)) == (Phase.RUNNING, Phase.RUNNING)


# heartbeats


def test_a_running_task_on_a_fresh_node_stays_there():
    """HEAD: does not reschedule a Running task whose node is fresh."""
    w = fleet("a", "b")
    put(w, "t", seconds=1200)
    running = until_phase(w, "t", Phase.RUNNING)
    advance(w, 900)
    assert task(w, "t") == running
    unharmed(w)


def stuck_on_ready(w, *hosts):
    """The hosts fall silent and nobody can mark them NotReady."""
    hold = w.hold(verb="patch_status", actor="operator", kind="FleetNode", fate="drop")
    for host in hosts:
        w.hosts[host].freeze()
    advance(w, 125)
    assert all(node(w, host).status.phase is FleetNodePhase.READY for host in hosts)
    return hold


def test_a_silent_node_is_skipped_though_it_is_marked_ready():
    """HEAD: skips a stale-heartbeat Ready node and uses the fresh one (ours: the operator times the silence itself)."""
    w = fleet("a", "b")
    stuck_on_ready(w, "a-0")
    put(w, "t")
    assert until_phase(w, "t", Phase.SCHEDULED, within=5).status.assigned_node == "b-0"
    unharmed(w)


def test_a_task_waits_while_all_ready_nodes_are_silent():
    """HEAD: leaves a Pending task unscheduled when all Ready nodes are stale."""
    w = fleet("a", "b")
    stuck_on_ready(w, "a-0", "b-0")
    put(w, "t")
    advance(w, 30)
    assert (phase(w, "t"), reason(task(w, "t"), "Scheduled")) == (Phase.PENDING, "NodesNotReady")
    unharmed(w)


def test_clocks_that_disagree_do_not_make_a_node_stale():
    """HEAD: HeartbeatStale compares two clocks, L4 (ours: a node whose clock is an hour behind is as fresh as any)."""
    w = fleet("a")
    w.hosts["a-0"].skew = -3_600_000_000
    advance(w, 600)
    put(w, "t")
    until_phase(w, "t", Phase.RUNNING, within=1)
    assert node(w, "a-0").status.phase is FleetNodePhase.READY
    unharmed(w)


def test_a_fleet_without_nodes_is_said():
    """HEAD: no node, requeue after 10 s (ours: waits with the reason NoNodes)."""
    w = deserted()
    put(w, "t")
    advance(w, 25)
    assert (phase(w, "t"), reason(task(w, "t"), "Scheduled")) == (Phase.PENDING, "NoNodes")
    unharmed(w)
