"""A check that has never failed is no check: each invariant is broken here by hand, and holds for the legal twin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from court import METAL, Court
from special_cases import CASES as SPECIAL_CASES
from support import new_task
from workload_deeds import DEEDS

from foreman.api import Phase
from sim.checkers import CAPABILITY_GRACE, HANDBACK_LIMIT, LIVENESS, SAFETY, SETTLE, SPECIAL, STORM_PER_MINUTE
from sim.ending import unannounced
from sim.linearize import Operation, check
from sim.register import INITIAL, REGISTER, Call, Register
from sim.scenario import Scenario

Deed = Callable[[Court], None]
CASES: list[tuple[str, bool, Deed]] = list(SPECIAL_CASES)
SECOND = 1_000_000


def breaks(invariant: str) -> Callable[[Deed], Deed]:
    return lambda deed: CASES.append((invariant, True, deed)) or deed  # type: ignore[func-returns-value]


def keeps(invariant: str) -> Callable[[Deed], Deed]:
    return lambda deed: CASES.append((invariant, False, deed)) or deed  # type: ignore[func-returns-value]


def a_whole_life(court: Court) -> None:
    court.running()
    court.execute()
    court.finish()


for _invariant in ("legal-transition", "field-owner", "one-holder", "fenced-result", "attempt-monotone"):
    keeps(_invariant)(a_whole_life)


@breaks("legal-transition")
def running_without_being_assigned(court: Court) -> None:
    court.pending()
    court.write("n1/1", phase=Phase.RUNNING, holder="n1/1")


@breaks("legal-transition")
def back_to_scheduled(court: Court) -> None:
    court.running()
    court.write("op", phase=Phase.SCHEDULED, attempt=2)


@breaks("field-owner")
def the_operator_writes_the_agents_field(court: Court) -> None:
    court.running()
    court.write("op", job_name="job")


@breaks("field-owner")
def the_agent_writes_the_operators_field(court: Court) -> None:
    court.running()
    court.write("n1/1", strikes={"n1": 1})


@breaks("field-owner")
def an_agent_assigns(court: Court) -> None:
    court.pending()
    court.write("n1/1", phase=Phase.SCHEDULED, assigned_node="n1", attempt=1)


@breaks("field-owner")
def a_user_writes_a_status(court: Court) -> None:
    court.pending()
    court.write("somebody", conditions=court.condition("Because"))


@breaks("field-owner")
def the_operator_beats_for_a_node(court: Court) -> None:
    court.server.patch_status("op", court.server.get("test", "FleetNode", "n1"), {"last_heartbeat_time": 1}, None)


@keeps("field-owner")
def repeating_what_is_so_is_no_write(court: Court) -> None:
    court.running()
    court.write("n1/1", job_name="job", attempt=1)


@breaks("terminal-absorbs")
def a_late_result_over_a_result(court: Court) -> None:
    a_whole_life(court)
    court.write("n1/1", verdict="NO-GO")


@breaks("terminal-absorbs")
def a_finished_task_is_revived(court: Court) -> None:
    a_whole_life(court)
    court.write("op", phase=Phase.PENDING)


@keeps("terminal-absorbs")
def a_finished_task_is_marked_as_recorded(court: Court) -> None:
    a_whole_life(court)
    court.server.patch("op", court.task(), {"metadata": {"annotations": {"done": "true"}}}, None)


@breaks("one-holder")
def a_second_agent_overwrites_a_live_claim(court: Court) -> None:
    court.running()
    court.write("n1/2", holder="n1/2")


@breaks("one-holder")
def the_operator_moves_a_running_task(court: Court) -> None:
    court.running()
    court.write("op", assigned_node="n2")


@keeps("one-holder")
def another_holds_it_after_a_release(court: Court) -> None:
    court.running()
    court.release("n1/1", handbacks=1)
    court.assign()
    court.claim(holder="n1/2")


@breaks("fenced-result")
def a_result_from_another_process(court: Court) -> None:
    court.running()
    court.execute()
    court.finish(holder="n1/2")


@breaks("fenced-result")
def a_result_of_an_earlier_attempt(court: Court) -> None:
    court.running()
    court.execute()
    court.wait(100)
    court.release(strikes={"n1": 1})
    court.assign()
    court.claim()
    court.finish()


@breaks("fenced-result")
def a_result_that_nothing_computed(court: Court) -> None:
    court.running()
    court.finish()


@breaks("fenced-result")
def a_result_that_lands_twice(court: Court) -> None:
    a_whole_life(court)
    court.write("n1/1", phase=Phase.FAILED)


@keeps("fenced-result")
def a_result_of_the_second_attempt(court: Court) -> None:
    court.running()
    court.release("n1/1", handbacks=1)
    court.assign()
    court.claim()
    court.execute()
    court.finish()


@breaks("single-execution")
def one_attempt_runs_in_two_places(court: Court) -> None:
    court.running()
    court.start(holder="n1/1")
    court.start(holder="n1/2")


@breaks("single-execution")
def one_attempt_runs_twice_in_one_place(court: Court) -> None:
    court.running()
    court.start()
    court.start()


@keeps("single-execution")
def another_attempt_runs_beside_a_zombie(court: Court) -> None:
    court.running()
    court.start(attempt=1)
    court.start(holder="n2/1", attempt=2)


@keeps("single-execution")
def one_attempt_runs_again_after_its_process_died(court: Court) -> None:
    court.running()
    court.start(holder="n1/1")
    court.checkers.process_died("n1/1")
    court.start(holder="n1/2")


@breaks("attempt-monotone")
def an_assignment_without_a_new_attempt(court: Court) -> None:
    court.pending()
    court.write("op", phase=Phase.SCHEDULED, assigned_node="n1")


@breaks("attempt-monotone")
def an_assignment_that_skips_a_number(court: Court) -> None:
    court.pending()
    court.write("op", phase=Phase.SCHEDULED, assigned_node="n1", attempt=2)


@breaks("attempt-monotone")
def an_attempt_that_changes_under_way(court: Court) -> None:
    court.running()
    court.write("op", attempt=2)


@breaks("attempt-monotone")
def a_claim_that_counts_itself(court: Court) -> None:
    court.pending()
    court.assign()
    court.write("n1/1", phase=Phase.RUNNING, holder="n1/1", attempt=2)


@breaks("attempts-bounded")
def a_third_strike_and_still_tried_again(court: Court) -> None:
    court.running()
    court.wait(100)
    court.release(strikes={"n1": 2, "n2": 1})


@breaks("attempts-bounded")
def a_failure_too_many(court: Court) -> None:
    court.running(retryPolicy={"maxAttempts": 2})
    court.release("n1/1", failures=2)


@breaks("attempts-bounded")
def handed_back_for_ever(court: Court) -> None:
    court.running()
    court.release("n1/1", handbacks=HANDBACK_LIMIT + 1)


@keeps("attempts-bounded")
def within_all_bounds(court: Court) -> None:
    court.running(retryPolicy={"maxAttempts": 3})
    court.wait(100)
    court.release(strikes={"n1": 2})
    court.assign()
    court.claim()
    court.release("n1/1", failures=2, handbacks=HANDBACK_LIMIT)


@breaks("slots")
def two_tasks_in_one_slot(court: Court) -> None:
    court.running("a")
    court.running("b")


@keeps("slots")
def one_after_the_other_in_one_slot(court: Court) -> None:
    court.running("a")
    court.pending("b")
    court.assign("b")
    court.execute("a")
    court.finish("a")
    court.claim("b")


@keeps("slots")
def one_after_a_deletion(court: Court) -> None:
    court.running("a")
    court.server.delete("user", court.task("a"))
    court.running("b")


@breaks("capacity")
def more_memory_than_there_is(court: Court) -> None:
    _two_slots(court)
    court.running("a", requiredCapability={"minRAMGB": 20})
    court.running("b", requiredCapability={"minRAMGB": 13})


@keeps("capacity")
def all_the_memory_there_is(court: Court) -> None:
    _two_slots(court)
    court.running("a", requiredCapability={"minRAMGB": 20})
    court.running("b", requiredCapability={"minRAMGB": 12})


def _two_slots(court: Court) -> None:
    court.server.patch("n1/1", court.server.get("test", "FleetNode", "n1"), {"spec": {"slots": 2}}, None)


@breaks("capability")
def the_wrong_accelerator(court: Court) -> None:
    court.pending(requiredCapability={"accelerator": "cuda"})
    court.assign()


@breaks("capability")
def a_node_that_does_not_exist(court: Court) -> None:
    court.pending()
    court.assign(node="nowhere")


@breaks("capability")
def what_the_node_had_long_ago(court: Court) -> None:
    court.pending(requiredCapability={"accelerator": "metal"})
    court.node("n1", capability={**METAL, "accelerator": "cuda"})
    court.wait(CAPABILITY_GRACE // SECOND + 1)
    court.assign()


@keeps("capability")
def what_the_node_had_a_moment_ago(court: Court) -> None:
    court.pending(requiredCapability={"accelerator": "metal"})
    court.node("n1", capability={**METAL, "accelerator": "cuda"})
    court.wait(CAPABILITY_GRACE // SECOND - 1)
    court.assign()


@breaks("capability")
def a_node_deleted_long_ago(court: Court) -> None:
    court.pending()
    court.server.delete("user", court.server.get("test", "FleetNode", "n1"))
    court.wait(CAPABILITY_GRACE // SECOND + 1)
    court.assign()


@keeps("capability")
def a_node_deleted_a_moment_ago_however_long_it_had_been_there(court: Court) -> None:
    court.pending()
    court.wait(CAPABILITY_GRACE // SECOND + 1)
    court.server.delete("user", court.server.get("test", "FleetNode", "n1"))
    court.wait(CAPABILITY_GRACE // SECOND - 1)
    court.assign()


@keeps("capability")
def a_node_deleted_while_the_scheduler_was_frozen_or_told_nothing(court: Court) -> None:
    court.pending()
    court.server.delete("user", court.server.get("test", "FleetNode", "n1"))
    court.wait(CAPABILITY_GRACE // SECOND + 1)
    court.checkers.blind_until = {"op": court.time}.__getitem__
    court.assign()


@keeps("capability")
def a_node_that_fits(court: Court) -> None:
    court.pending(requiredCapability={"accelerator": "metal", "minRAMGB": 32})
    court.assign()


@breaks("agent-limit")
def one_task_more_than_the_agent_takes(court: Court) -> None:
    court.agent("coder", limit=1)
    for name in "ab":
        court.pending(name, agentRef={"name": "coder"})
        court.assign(name)


@keeps("agent-limit")
def one_task_after_the_other(court: Court) -> None:
    court.agent("coder", limit=1)
    for name in "ab":
        court.running(name, agentRef={"name": "coder"})
        court.execute(name)
        court.finish(name)


@breaks("earned-expiry")
def a_claim_taken_from_a_living_node(court: Court) -> None:
    court.running()
    court.wait(80)
    court.beat()
    court.wait(80)
    court.release(strikes={"n1": 1})


@keeps("earned-expiry")
def a_claim_taken_from_a_silent_node(court: Court) -> None:
    court.running()
    court.wait(91)
    court.release(strikes={"n1": 1})


@keeps("earned-expiry")
def an_assignment_taken_back_that_nobody_claimed(court: Court) -> None:
    court.pending()
    court.assign()
    court.release(strikes={"n1": 1})


@keeps("earned-expiry")
def a_node_that_beats_while_the_write_is_on_its_way(court: Court) -> None:
    court.running()
    court.wait(91)
    sent = court.time
    court.wait(95)
    court.beat()
    court.checkers.sent = lambda: sent
    court.release(strikes={"n1": 1})


@breaks("earned-expiry")
def a_write_sent_before_the_node_was_silent_for_long(court: Court) -> None:
    court.running()
    court.wait(60)
    sent = court.time
    court.wait(60)
    court.checkers.sent = lambda: sent
    court.release(strikes={"n1": 1})


@breaks("write-storm")
def the_same_condition_stamped_again_and_again(court: Court) -> None:
    court.pending()
    _stamp(court, STORM_PER_MINUTE)


@keeps("write-storm")
def as_many_writes_over_two_minutes(court: Court) -> None:
    court.pending()
    _stamp(court, STORM_PER_MINUTE - 2)
    court.wait(60)
    _stamp(court, STORM_PER_MINUTE - 2)


def _stamp(court: Court, times: int) -> None:
    for number in range(times):
        court.write("op", conditions=court.condition(f"Because{number}"))


def _seen(court: Court, *calls: Call) -> None:
    """What callers were told, one after the other."""
    history = [Operation(2 * number, 2 * number + 1, call) for number, call in enumerate(calls)]
    court.checkers.claims([("default/a", len(history), str(check(history, REGISTER) or ""))])


def _call(kind: str, actor: str, before: Register, **changes: Any) -> Call:
    return Call(kind, actor, before, before._replace(**changes))


ASSIGN = _call("assign", "op", INITIAL, phase="assigned", attempt=1, node="n1")
CLAIM = _call("claim", "n1/1", ASSIGN.leaves, phase="held", holder="n1/1")


@breaks("linearizable-claims")
def two_agents_are_told_that_they_hold_it(court: Court) -> None:
    _seen(court, ASSIGN, CLAIM, _call("claim", "n1/2", ASSIGN.leaves, phase="held", holder="n1/2"))


@keeps("linearizable-claims")
def one_holds_it_and_reports(court: Court) -> None:
    _seen(court, ASSIGN, CLAIM, _call("report", "n1/1", CLAIM.leaves, phase="done"))


# liveness: what is judged is the state in the end


def _ended_as(court: Court, verdict: str) -> None:
    task = new_task("a")
    calm, now = (task.evolve(status=task.status.evolve(verdict=said)) for said in ("GO", verdict))
    court.checkers.alike(1, unannounced(Scenario(fleet={"n": {}}), {"a": calm}, {"a": now}))


@breaks("differential")
def another_verdict_than_without_faults(court: Court) -> None:
    _ended_as(court, "NO-GO")


@keeps("differential")
def the_verdict_of_the_run_without_faults(court: Court) -> None:
    _ended_as(court, "GO")


def _later(court: Court) -> None:
    court.wait(SETTLE // SECOND + 10)


@breaks("eventually-stable")
def pending_without_a_word(court: Court) -> None:
    court.pending()
    _later(court)


@breaks("eventually-stable")
def never_looked_at(court: Court) -> None:
    court.server.create("user", new_task("a"))
    _later(court)


@breaks("eventually-stable")
def assigned_and_never_claimed(court: Court) -> None:
    court.pending()
    court.write(
        "op", phase=Phase.SCHEDULED, assigned_node="n1", attempt=1, conditions=court.condition("Assigned", "True")
    )
    _later(court)


@breaks("eventually-stable")
def running_past_its_deadline(court: Court) -> None:
    court.running(timeoutSeconds=60)
    court.wait(60)
    _later(court)


@keeps("eventually-stable")
def waiting_for_a_reason(court: Court) -> None:
    court.pending("a")
    court.write("op", "a", conditions=court.condition("NoNode"))
    court.pending("b")
    court.write("op", "b", conditions=court.condition("DependencyAbsent", "True", "DepWaitStarted"))
    court.pending("c")
    court.assign("c")
    court.claim("c")
    court.release("n1/1", "c", failures=0, retry_after=2_000_000_000)
    _later(court)


@keeps("eventually-stable")
def running_within_its_time(court: Court) -> None:
    court.running(timeoutSeconds=3600)
    _later(court)


@keeps("eventually-stable")
def created_a_moment_ago(court: Court) -> None:
    _later(court)
    court.pending()


@breaks("no-leak")
def a_node_held_by_a_task_that_ended_elsewhere(court: Court) -> None:
    court.running()
    court.write("op", assigned_node="n2")
    court.execute()
    court.finish()


@keeps("no-leak")
def a_node_free_after_every_kind_of_end(court: Court) -> None:
    a_whole_life(court)
    court.running("b")
    court.server.delete("user", court.task("b"))
    court.running("c")
    court.release("n1/1", "c", handbacks=1)
    court.running("d")


CASES += DEEDS


def _id(case: Any) -> str:
    return case.__name__ if callable(case) else case if isinstance(case, str) else ""


@pytest.mark.parametrize(("invariant", "deed"), [(i, d) for i, red, d in CASES if red], ids=_id)
def test_an_illegal_deed_is_seen(invariant: str, deed: Deed) -> None:
    court = Court()
    deed(court)
    court.judge()
    assert invariant in court.broken()
    assert court.checkers.checks[invariant] > 0


@pytest.mark.parametrize(("invariant", "deed"), [(i, d) for i, red, d in CASES if not red], ids=_id)
def test_its_legal_twin_is_not(invariant: str, deed: Deed) -> None:
    court = Court()
    deed(court)
    court.judge()
    assert court.broken() == set()
    assert court.checkers.checks[invariant] > 0, "it was put to the test"


def test_every_invariant_has_both_twins() -> None:
    """Those of the special checks may have theirs in the zoo, where they are asked for."""
    of_all_runs = {*SAFETY, *LIVENESS} - {name for check in SPECIAL for name in check.invariants}
    red = {invariant for invariant, broken, _ in CASES if broken}
    assert red >= of_all_runs
    assert {invariant for invariant, broken, _ in CASES if not broken} == red


def test_too_soon_after_a_fault_nothing_is_judged_unless_all_has_ended() -> None:
    court = Court()
    court.pending()
    _later(court)
    court.judge(calm=SETTLE // SECOND - 1)
    assert court.broken() == set()
    assert court.checkers.checks["eventually-stable"] == 0
    court.judge(calm=SETTLE // SECOND)
    assert court.broken() == {"eventually-stable"}


def test_a_violation_says_when_where_and_who() -> None:
    court = Court()
    court.running()
    court.wait(7)
    court.write("n1/2", holder="n1/2")
    violation = next(each for each in court.found if each.invariant == "one-holder")
    assert (violation.at, violation.task) == (7 * SECOND, "default/a")
    assert "n1/2" in violation.message
    assert "n1/1" in violation.message


def test_without_an_exact_limit_the_agent_limit_is_not_judged() -> None:
    court = Court()
    court.checkers.exact_agent_limit = False
    one_task_more_than_the_agent_takes(court)
    assert court.broken() == set()
    assert court.checkers.checks["agent-limit"] == 0
