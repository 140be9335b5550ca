"""Faults that strike single messages, at random, or when something happens: the world they bring about, and their count."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from support import advance, node, run, task, unharmed, until, world

from foreman.cluster import Unavailable
from sim.cluster import Watch
from sim.host import SECOND
from sim.load import BadScenario, load, parse
from sim.result import result_of
from sim.screen import closing
from sim.world import World

CALM = """
fleet: {cpu: {count: 2}}
workload: {count: 2}
executor: {duration: 20s}
agent: {heartbeat: 10s, restartDelay: 5s}
operators: {restartDelay: 5s}
network: {latency: 1ms, watch: 1ms}
linger: 1m
"""


def planned(*faults: str, **more: Any) -> World:
    return world(f"{CALM}\nfaults: [{', '.join(faults)}]\n", trace=True, **more)


def fired(w: World) -> dict[str, int]:
    return {each["fault"]: each["fired"] for each in result_of(w)["faults"]}


def answers(w: World, verb: str, actor: str, key: str) -> list[Any]:
    rows = [row for row in w.trace or () if row["what"] == verb and row.get("key") == key]
    return [row["outcome"] for row in rows if row["actor"].startswith(actor)]


CLAIM = "on: {verb: patch_status, kind: AgenticTask, actor: cpu-*, key: default/task-0, nth: 1}"


# requests


def test_a_lost_request_changes_nothing() -> None:
    w = planned(f"{{fault: lose-request, {CLAIM}}}")
    until(w, lambda: w.faults.struck == 1)
    advance(w, 5)
    assert task(w, "task-0").status.phase == "Scheduled"
    assert task(w, "task-1").status.phase == "Running"
    w.run()
    assert fired(w) == {"lose-request": 1}
    unharmed(w)


def test_a_lost_reply_leaves_the_write_applied_and_its_writer_in_the_dark() -> None:
    w = planned(f"{{fault: lose-reply, {CLAIM}}}")
    until(w, lambda: w.faults.struck == 1)
    advance(w, 5)
    assert task(w, "task-0").status.phase == "Running"
    assert w.executions == 1
    w.run()
    assert (w.executions, w.stats.settled) == (2, 2)
    unharmed(w)


def test_an_error_after_the_commit_is_an_error_to_the_caller_of_a_write_that_is_applied() -> None:
    w = planned(f"{{fault: error-after-commit, {CLAIM}}}")
    until(w, lambda: w.faults.struck == 1)
    assert task(w, "task-0").status.phase == "Running"
    assert answers(w, "patch_status", "cpu-", "default/task-0") == ["Unavailable"]
    w.run()
    assert (w.executions, w.stats.settled) == (2, 2)
    unharmed(w)


def test_a_delayed_request_is_applied_late() -> None:
    w = planned(f"{{fault: delay-request, by: 3s, {CLAIM}}}")
    until(w, lambda: w.faults.struck == 1)
    advance(w, 2.5)
    assert task(w, "task-0").status.phase == "Scheduled"
    advance(w, 1)
    assert task(w, "task-0").status.phase == "Running"
    w.run()
    unharmed(w)


# events


ASSIGNED = "on: {kind: AgenticTask, actor: cpu-*, key: task-0, nth: 1}"


def seen(*faults: str) -> list[str]:
    """The types of the events of task-0 that reach its node within half a minute."""
    w, types = planned(*faults), []
    send = Watch.send

    def note(watch: Watch, event: Any) -> None:
        if watch.cluster.role == "agent" and watch.stream.kind == "AgenticTask" and event.object is not None:
            types.append(f"{event.object.metadata.name} {event.type}")
        send(watch, event)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watch, "send", note)
        advance(w, 10)
    return [each for each in types if each.startswith("task-0")]


def test_a_dropped_event_is_never_sent_and_a_duplicate_twice() -> None:
    normal = seen(f"{{fault: drop-event, {ASSIGNED.replace('task-0', 'task-1')}}}")
    dropped, doubled = seen(f"{{fault: drop-event, {ASSIGNED}}}"), seen(f"{{fault: duplicate-event, {ASSIGNED}}}")
    assert normal[0] == "task-0 ADDED"
    assert "task-0 ADDED" not in dropped
    assert doubled[:2] == ["task-0 ADDED", "task-0 ADDED"]


def test_a_dropped_event_is_made_up_for_in_the_end() -> None:
    w = planned(f"{{fault: drop-event, {ASSIGNED}}}").run()
    assert (fired(w), w.stats.settled) == ({"drop-event": 1}, 2)
    unharmed(w)


def test_a_delayed_event_holds_up_all_behind_it() -> None:
    w = planned("{fault: delay-event, by: 4s, on: {kind: AgenticTask, actor: cpu-0, nth: 1}}")
    until(w, lambda: w.faults.struck == 1)
    advance(w, 2)
    assert {str(task(w, name).status.phase) for name in ("task-0", "task-1")} == {"Scheduled", "Running"}
    advance(w, 3)
    assert {str(task(w, name).status.phase) for name in ("task-0", "task-1")} == {"Running"}
    w.run()
    unharmed(w)


# executions


@pytest.mark.parametrize(
    ("fault", "phase", "verdict"),
    [("executor-crash", "Failed", "INCOMPLETE"), ("wrong-verdict, verdict: GATE-FAIL", "Succeeded", "GATE-FAIL")],
)
def test_an_execution_that_goes_wrong_ends_so_and_only_that_one(fault: str, phase: str, verdict: str) -> None:
    w = planned(f"{{fault: {fault}, on: {{key: task-0}}}}").run()
    assert (task(w, "task-0").status.phase, task(w, "task-0").status.verdict or "") == (phase, verdict)
    assert task(w, "task-1").status.verdict == "GO"
    assert sum(fired(w).values()) == 1
    unharmed(w)


def test_an_execution_that_hangs_runs_on() -> None:
    w = planned("{fault: executor-hang, on: {key: task-0}}")
    advance(w, 300)
    assert [str(task(w, name).status.phase) for name in ("task-0", "task-1")] == ["Running", "Succeeded"]


# triggers


def test_a_host_is_struck_at_the_nth_matching_write_before_its_writer_hears_of_it() -> None:
    w = planned("{fault: crash, for: 20s, on: {verb: patch_status, kind: AgenticTask, actor: cpu-*, nth: 2}}")
    until(w, lambda: w.faults.struck == 1)
    claimed = [task(w, name).status for name in ("task-0", "task-1")]
    assert [str(each.phase) for each in claimed] == ["Running", "Running"]
    advance(w, 0.01)
    assert w.executions == 1
    assert [host.up for name, host in w.hosts.items() if name.startswith("cpu")].count(False) == 1
    w.run()
    assert w.stats.settled == 2
    unharmed(w)


def test_a_fault_after_a_phase_strikes_the_tasks_node_after_its_delay() -> None:
    w = planned("{fault: crash, for: 20s, after: {task: task-1, phase: Running}, then: 2s}")
    until(w, lambda: task_phase(w) == "Running")
    where = task(w, "task-1").status.assigned_node
    advance(w, 1.9)
    assert w.hosts[where].up
    advance(w, 0.2)
    assert [name for name, host in w.hosts.items() if not host.up] == [where]
    w.run()
    unharmed(w)


def task_phase(w: World) -> str:
    found = w.server.tables["AgenticTask"].get("default/task-1")
    return str(found.status.phase) if found is not None else ""


def test_a_trigger_may_strike_several_times_in_a_row() -> None:
    on = "on: {verb: patch_status, kind: AgenticTask, actor: operator-0, nth: 2}"
    assert fired(planned(f"{{fault: compact, times: 3, {on}}}").run()) == {"compact": 3}


def test_a_fault_on_messages_lies_in_wait_from_a_moment_on_and_for_a_while() -> None:
    on = "on: {verb: patch_status, kind: FleetNode}"
    w = planned(f"{{fault: lose-request, at: 12s, for: 20s, host: cpu-0, {on}}}")
    advance(w, 11)
    before = node(w, "cpu-0").status.last_heartbeat_time
    advance(w, 20)
    assert node(w, "cpu-0").status.last_heartbeat_time - before <= 10
    assert node(w, "cpu-1").status.last_heartbeat_time - before > 10
    count = w.faults.struck
    advance(w, 28)
    assert (w.faults.struck, count > 0) == (count, True)
    unharmed(w)


# chance


def test_random_strikes_have_their_rate_and_each_fault_its_own_stream() -> None:
    storm = "{fault: slow, host: cpu-0, by: 1ms, for: 1ms, rate: 6/min}"
    alone = world(f"{CALM}faults: [{storm}]")
    beside = world(f"{CALM}faults: [{{fault: freeze, host: cpu-1, for: 1ms, rate: 10/m}}, {storm}]")
    strikes: list[list[int]] = []
    for w in (alone, beside):
        at: list[int] = []
        w.faults.note = lambda host, what, w=w, at=at: at.append(w.now()) if what == "slow" else None
        advance(w, 600)
        strikes.append(at)
    assert strikes[0] == strikes[1]
    assert 40 <= len(strikes[0]) <= 80


def test_a_probability_strikes_that_share_of_the_matching_messages() -> None:
    w = planned("{fault: lose-reply, probability: 0.5, on: {verb: get}}", "{fault: crash, host: cpu-1, rate: 1/d}")
    advance(w, 1)
    process = w.hosts["cpu-0"].process
    assert process is not None
    for _ in range(100):
        process.spawn(_read(w), "probe")
    advance(w, 20)
    assert 30 <= fired(w)["lose-reply"] <= 70


async def _read(w: World) -> None:
    try:
        await w.clients["cpu-0"].get("FleetNode", "cpu-0")
    except Unavailable:
        return


def test_a_random_fault_does_not_keep_the_run_from_ending() -> None:
    w = run(f"{CALM}faults: [{{fault: watch-lag, host: '*', by: 1s, for: 1s, rate: 1/m}}]")
    assert w.stats.settled == 2
    assert w.now() < 600_000_000


# what the run says


def test_a_fault_that_never_fired_is_told_and_is_no_error() -> None:
    w = planned("{name: never, fault: crash, after: {task: task-0, phase: Verifying}}", "{at: 1s, fault: compact}")
    result = result_of(w.run())
    assert result["faults"] == [{"fault": "never", "fired": 0}, {"fault": "compact", "fired": 1}]
    assert result["verdict"] == "ok"
    console = Console(file=StringIO(), width=200)
    closing(console, result, "again")
    assert "1 injected (compact 1); never fired: never" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_crash_of_a_machine_that_is_down_is_not_counted() -> None:
    down = "fault: crash, host: cpu-0, for: 10s"
    w = planned(f"{{name: first, at: 20s, {down}}}", f"{{name: second, at: 25s, {down}}}").run()
    assert fired(w) == {"first": 1, "second": 0}


def test_expectations_name_a_fault_or_all_of_them() -> None:
    text = f"{CALM}faults: [{{name: tidy, at: 1s, fault: compact}}]\nexpect: {{faults.tidy: 2, faults: '>= 1'}}"
    assert result_of(run(text))["unmet"] == ["expected faults.tidy = 2, got 1"]


BAD = [
    ("{fault: crash, host: cpu-0}", "key 'at' is missing: expected at: 30s, rate: 0.2/min, on: {...} or after: {...}"),
    ("{fault: crash, rate: 0.5, host: cpu-0, at: 1s}", "the rate of fault crash says how often: write 0.2/min"),
    ("{fault: crash, rate: often, host: cpu-0}", "0.rate: 'often' is not a rate"),
    ("{fault: crash, at: 1s, on: {kind: Agent}}", "expected one of at, rate, on and after, not both on and at"),
    ("{fault: lose-reply, on: {verb: patch-status}}", "unknown verb 'patch-status'"),
    ("{fault: lose-reply, on: {verb: patch-status}}", "did you mean 'patch_status'?"),
    ("{fault: lose-reply, on: {kind: AgentTask}}", "did you mean 'AgenticTask'?"),
    ("{fault: lose-reply, on: {actr: cpu-0}}", "unknown key 'actr'"),
    ("{fault: lose-reply, on: {actor: cpv-0}}", "faults.0.on.actor: there is no host 'cpv-0'"),
    ("{fault: lose-reply, on: {kind: AgenticTask, key: tusk-0}}", "faults.0.on.key: there is no task 'tusk-0'"),
    ("{fault: drop-event, on: {kind: FleetNode, key: cpu-7}}", "faults.0.on.key: there is no node 'cpu-7'"),
    ("{fault: drop-event, on: {verb: get}}", "on.verb is of requests"),
    ("{fault: lose-reply, on: {type: ADDED}}", "on.type is of watch events"),
    ("{fault: lose-reply, on: {nth: 0}}", "faults.0.on.nth: expected a whole number from 1"),
    ("{fault: crash, on: {verb: list}}", "on.verb list writes nothing"),
    ("{fault: crash, after: {task: task-9, phase: Running}}", "faults.0.after.task: there is no task 'task-9'"),
    ("{fault: crash, after: {task: task-0, phase: Runing}}", "did you mean 'Running'?"),
    ("{fault: crash, at: 1s, host: cpu-0, then: 1s}", "then is the delay after a trigger"),
    ("{fault: crash, at: 1s, host: cpu-0, probability: 0.5}", "probability is per matching message"),
    ("{fault: delay-event}", "fault delay-event does nothing without by"),
    ("{fault: flap, at: 1s, host: cpu-0}", "fault flap needs by"),
    ("{fault: capability, at: 1s, host: cpu-0}", "fault capability needs to"),
    ("{fault: lose-repply}", "did you mean 'lose-reply'?"),
    ("{name: a, fault: lose-reply}, {name: a, fault: lose-request}", "another fault is called 'a' too"),
]


@pytest.mark.parametrize(("fault", "why"), BAD)
def test_a_plan_that_makes_no_sense_is_refused_in_one_line(fault: str, why: str) -> None:
    with pytest.raises(BadScenario) as refused:
        parse(f"{CALM}faults: [{fault}]", "x.yaml")
    (line,) = refused.value.problems
    assert line.startswith("x.yaml:9: faults.")
    assert why in line


def test_an_expectation_of_an_unknown_fault_names_the_nearest() -> None:
    with pytest.raises(BadScenario, match="unknown fault 'tidi': expected tidy, did you mean 'tidy'"):
        parse(f"{CALM}faults: [{{name: tidy, at: 1s, fault: compact}}]\nexpect: {{faults.tidi: 2}}", "x.yaml")


def test_a_node_whose_deletion_was_missed_is_let_go_of_when_it_has_been_silent() -> None:
    """Not only at the next full list, ten minutes later (Kubernetes #56261)."""
    w = World(load("dropped-event")).run()
    assert w.stats.last_ended < 300 * SECOND
    assert w.operators["operator-0"].nodes.get("node-0") is None
