"""Counterparts of the original's M2 tests (scheduler, FleetNode and Workload stubs), and the seed's demo."""

from __future__ import annotations

from support import advance, node, reason, task, unharmed, until
from upstream_kit import deserted, fleet, phase, put, until_phase

from foreman.api import Phase, Verdict, Workload, condition, from_wire
from sim.host import EPOCH


def test_a_task_that_is_not_found_is_no_error_and_no_requeue():
    """M2: returns no error and no requeue when the task is not found."""
    w = fleet("a")
    controller = w.operators["operator-0"].task_controller.controller
    before = controller.reconciles
    controller.queue.add("default/ghost")
    advance(w, 120)
    assert controller.reconciles == before + 1
    assert not controller.errors
    unharmed(w)


def test_an_empty_phase_becomes_pending():
    """M2: normalizes an empty phase to Pending."""
    w = deserted()
    assert put(w, "t").status.phase is None
    until(w, lambda: phase(w, "t") is not None)
    assert phase(w, "t") is Phase.PENDING
    unharmed(w)


def test_a_pending_task_goes_to_the_first_ready_node_by_name():
    """M2: schedules a Pending task to the first-fit Ready FleetNode."""
    w = fleet("b", "c", "a")
    put(w, "t")
    status = until_phase(w, "t", Phase.SCHEDULED).status
    assert status.assigned_node == "a-0"
    told = condition(status.conditions, "Scheduled")
    assert (told.status, told.reason) == ("True", "FleetNodeAssigned")
    assert told.message == 'scheduled to FleetNode "a-0"'
    unharmed(w)


def test_a_task_no_node_satisfies_waits_untouched_and_says_why_after_ten_seconds():
    """M2: requeues without mutating status when no FleetNode satisfies (ours: stays Pending, then says why)."""
    w = fleet("a: {ramGB: 8}")
    put(w, "t", requiredCapability={"minRAMGB": 64})
    waiting = until_phase(w, "t", Phase.PENDING)
    advance(w, 8)
    assert task(w, "t") == waiting
    advance(w, 15)
    told = condition(task(w, "t").status.conditions, "Scheduled")
    assert (phase(w, "t"), told.status, told.reason) == (Phase.PENDING, "False", "Unschedulable")
    assert "1 too little RAM" in told.message
    assert "minRAMGB were 8 instead of 64" in told.message
    unharmed(w)


def test_a_waiting_task_is_placed_when_a_node_that_satisfies_it_appears():
    """M2: RequeueAfter > 0 when no FleetNode satisfies (ours: the node's arrival wakes it, nothing polls)."""
    w = fleet("a: {ramGB: 8}", "big: {ramGB: 64}")
    w.hosts["big-0"].terminate()
    advance(w, 1)
    put(w, "t", requiredCapability={"minRAMGB": 64})
    advance(w, 30)
    assert (phase(w, "t"), reason(task(w, "t"), "Scheduled")) == (Phase.PENDING, "NodesNotReady")
    w.hosts["big-0"].boot()
    until(w, lambda: task(w, "t").status.assigned_node == "big-0", within=2)
    unharmed(w)


def test_a_failed_dependency_cascades():
    """M2: cascade-fails a Pending task when its dependency is Failed."""
    w = fleet("a")
    put(w, "dep", errors=1)
    put(w, "t", dependsOn=["dep"])
    status = until_phase(w, "t", Phase.FAILED).status
    told = condition(status.conditions, "Failed")
    assert (status.verdict, status.assigned_node, status.attempt) == (Verdict.INCOMPLETE, "", 0)
    assert (told.status, told.reason) == ("True", "UpstreamFailed")
    assert told.message == 'dependency "dep" failed; cascade-failing'
    assert status.finished_at == EPOCH + w.now() // 1_000_000
    unharmed(w)


def test_a_failure_cascades_through_the_whole_chain():
    """M2: cascades transitively because each failed task is itself a dependency; the first failed one is named."""
    w = fleet("a")
    for number in range(1, 6):
        put(w, f"t{number}", dependsOn=[f"t{number - 1}"])
    put(w, "t0", errors=1)
    until_phase(w, "t5", Phase.FAILED)
    told = condition(task(w, "t5").status.conditions, "Failed")
    assert told.message == 'dependency "t4" failed; cascade-failing'
    assert w.executions == 1
    unharmed(w)


def test_a_task_waits_while_its_dependency_is_unfinished():
    """M2: waits with requeue when a dependency is still pre-terminal (ours: woken by the dependency's end)."""
    w = fleet("a", "b")
    put(w, "dep", seconds=60)
    put(w, "t", dependsOn=["dep"])
    advance(w, 50)
    assert (phase(w, "dep"), phase(w, "t")) == (Phase.RUNNING, Phase.PENDING)
    assert reason(task(w, "t"), "Scheduled") == "WaitingForDependencies"
    until_phase(w, "dep", Phase.SUCCEEDED)
    until_phase(w, "t", Phase.RUNNING, within=1)
    unharmed(w)


def test_a_task_past_pending_is_not_touched():
    """M2: does not touch a task already past Pending."""
    w = fleet("a", "b")
    put(w, "t", seconds=600)
    running = until_phase(w, "t", Phase.RUNNING)
    queue = w.operators["operator-0"].task_controller.queue
    for _ in range(20):
        queue.add("default/t")
        advance(w, 20)
    assert task(w, "t") == running
    unharmed(w)


def test_a_fleet_node_that_is_not_found_is_no_error():
    """M2: FleetNode stub: not found, no error."""
    w = fleet("a")
    controller = w.operators["operator-0"].node_controller.controller
    before = controller.reconciles
    controller.queue.add("ghost")
    advance(w, 1)
    assert controller.reconciles == before + 1
    assert not controller.errors
    unharmed(w)


def test_the_operator_writes_nothing_to_a_healthy_node_but_that_it_is_ready():
    """M2: FleetNode stub: existing object, status untouched (ours, as at HEAD: the Ready condition, once)."""
    w = fleet("a")
    writes = []
    w.server.observers.append(lambda change: writes.append(change.actor))
    before = node(w, "a-0").status
    advance(w, 600)
    after = node(w, "a-0").status
    assert set(writes) == {"a-0/1"}
    assert after == before.evolve(last_heartbeat_time=after.last_heartbeat_time)
    assert [(each.type, each.reason) for each in after.conditions] == [("Ready", "HeartbeatFresh")]
    unharmed(w)


def test_the_demo_of_the_seed():
    """M2, the seed's demo: empty -> Pending -> Scheduled -> Running -> Succeeded, its trail and its envelope."""
    w = fleet("a")
    phases = []
    w.server.observers.append(
        lambda change: phases.append(change.new.status.phase) if change.key == "default/t" else None
    )
    put(w, "t", seconds=10, payload={"agent": "coder"}, modelRef="qwen")
    status = until_phase(w, "t", Phase.SUCCEEDED).status
    assert list(dict.fromkeys(phases)) == [None, Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.SUCCEEDED]
    assert [(each.type, each.reason) for each in status.conditions] == [
        ("Scheduled", "FleetNodeAssigned"),
        ("Running", "Claimed"),
        ("Completed", "ExecutorSucceeded"),
    ]
    assert status.verdict is Verdict.GO
    assert status.result == {
        "schemaVersion": "foreman.v1",
        "kind": "stub",
        "verdict": "GO",
        "summary": "stub executor slept 10s on task default/t",
        "extra": {"taskKind": "freeform", "agentName": "coder", "modelRef": "qwen"},
        "elapsedSec": 10.0,
    }
    unharmed(w)


def _workload(name: str) -> Workload:
    made = from_wire(
        {
            "apiVersion": "foreman.llmkube.dev/v1alpha1",
            "kind": "Workload",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"intent": "make it so"},
        }
    )
    assert isinstance(made, Workload)
    return made


def test_a_workload_of_intent_alone_is_told_that_there_is_no_planner():
    """M2 left its status untouched; from M6 on it fails with NoPlannerOrPipeline, and is then left alone."""
    w = fleet("a")
    w.server.create("user", _workload("w"))
    advance(w, 5)
    told = w.server.get("test", "Workload", "w", "default")
    assert (told.status.phase, reason(told, "Planned")) == ("Failed", "NoPlannerOrPipeline")
    advance(w, 60)
    assert w.server.get("test", "Workload", "w", "default") == told
    unharmed(w)


def test_a_workload_that_is_gone_is_no_error():
    """M2: Workload stub: not found, no error."""
    w = fleet("a")
    w.server.delete("user", w.server.create("user", _workload("w")))
    advance(w, 60)
    assert not w.hosts["operator-0"].exits
    unharmed(w)
