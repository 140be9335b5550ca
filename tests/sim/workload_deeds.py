"""What an operator may and may not do with Workloads: (invariant, whether it is broken, deed)."""

from __future__ import annotations

from collections.abc import Callable

from court import METAL, Court
from support import new_task

from foreman.api import Phase
from sim.checkers.workloads import RENDER_GRACE

Deed = Callable[[Court], None]
SECOND = 1_000_000
MINUTE = 60


def _end(court: Court, name: str) -> None:
    court.write("op", name, phase=Phase.PENDING)
    court.write("op", name, phase=Phase.FAILED, verdict="INCOMPLETE")


def _rest(court: Court) -> None:
    court.wait(1000)


def a_whole_render(court: Court) -> None:
    for child in court.rendered():
        _end(court, child.metadata.name)
    outcomes = dict.fromkeys(("wl-code-641", "wl-verify-641"), "Failed")
    court.sum_up(phase="Failed", outcomes=outcomes, conditions=court.condition("ChildrenFailed", "False", "Completed"))
    _rest(court)


def made_again_long_after(court: Court) -> None:
    code, _ = court.rendered()
    court.wait(RENDER_GRACE // SECOND + 1)
    court.server.delete("user", code)
    court.render("code-641")


def made_without_being_planned(court: Court) -> None:
    court.planned("code-641")
    court.render("code-641")
    court.render("verify-641")


def made_again_before_anybody_had_seen_it(court: Court) -> None:
    court.planned("code-641")
    court.server.delete("user", court.render("code-641"))
    court.record(court.render("code-641"))


def somebody_elses_task_is_counted(court: Court) -> None:
    court.planned("code-641")
    court.record(court.render("code-641", actor="user", uid="another"))


def a_child_waits_for_somebody_elses_task(court: Court) -> None:
    court.planned("code-641", "verify-641")
    court.server.create("user", new_task("wl-code-641"))
    court.render("verify-641", depends_on=("wl-code-641",))


def an_operator_deletes_a_task_of_its_own_accord(court: Court) -> None:
    court.server.delete("op", court.server.create("user", new_task("mine")))


def an_operator_rewrites_somebodys_spec(court: Court) -> None:
    court.pending()
    court.server.patch("op", court.task(), {"spec": {"priority": 7}}, None)


def writes_without_news(court: Court) -> None:
    court.rendered()
    court.wait(MINUTE)
    for number in range(40):
        court.sum_up(conditions=court.condition(f"Looked{number}", "True", "Dispatched"))


def completed_before_a_child_has_ended(court: Court) -> None:
    code, _ = court.rendered()
    _end(court, code.metadata.name)
    court.sum_up(phase="Completed", conditions=court.condition("AllChildrenSucceeded", "True", "Completed"))
    _rest(court)


def ended_without_a_step_that_was_planned(court: Court) -> None:
    court.planned("code-641")
    court.record(court.render("code-641"))
    _end(court, "wl-code-641")
    court.sum_up(phase="Failed", conditions=court.condition("ChildrenFailed", "False", "Completed"))
    _rest(court)


def completed_although_nothing_ended_well(court: Court) -> None:
    for child in court.rendered():
        _end(court, child.metadata.name)
    court.sum_up(phase="Completed", conditions=court.condition("AllChildrenSucceeded", "True", "Completed"))
    _rest(court)


def nothing_left_that_could_end_it(court: Court) -> None:
    code, verify = court.rendered()
    court.server.delete("user", code)
    court.server.delete("user", verify)
    court.sum_up(phase="Dispatched", conditions=court.condition("ChildrenInFlight", "True", "Dispatched"))
    _rest(court)


def it_waits_for_a_name_and_says_so(court: Court) -> None:
    court.planned("code-641")
    court.sum_up(phase="Planning", conditions=court.condition("TaskOfAnother", "True", "NameTaken"))
    _rest(court)


def _serve(court: Court, runs: int = 2) -> None:
    endpoint = {"model": "qwen", "maxConcurrent": runs, "tokensPerSecond": 60}
    court.node("n1", capability={**METAL, "endpoints": [endpoint]})


def _run(court: Court, *names: str, **capability: int) -> None:
    for name in names:
        court.pending(name, modelRef="qwen", requiredCapability=capability or None)
        court.assign(name)


def an_endpoint_takes_one_run_too_many(court: Court) -> None:
    _serve(court)
    _run(court, "a", "b", "c")


def a_run_is_left_less_speed_than_promised(court: Court) -> None:
    _serve(court, 9)
    _run(court, "a", minTokensPerSecond=40)
    _run(court, "b")


def an_endpoint_is_used_to_its_limit_again_and_again(court: Court) -> None:
    _serve(court)
    _run(court, "a", "b")
    court.claim("a")
    court.release("n1/1", "a", handbacks=1)
    _run(court, "c")


DEEDS: list[tuple[str, bool, Deed]] = [
    ("rendered-once", True, made_again_long_after),
    ("rendered-once", True, made_without_being_planned),
    ("rendered-once", False, a_whole_render),
    ("rendered-once", False, made_again_before_anybody_had_seen_it),
    ("foreign-child", True, somebody_elses_task_is_counted),
    ("foreign-child", True, a_child_waits_for_somebody_elses_task),
    ("foreign-child", True, an_operator_deletes_a_task_of_its_own_accord),
    ("foreign-child", True, an_operator_rewrites_somebodys_spec),
    ("foreign-child", False, a_whole_render),
    ("write-storm", True, writes_without_news),
    ("write-storm", False, a_whole_render),
    ("endpoint-limit", True, an_endpoint_takes_one_run_too_many),
    ("endpoint-limit", True, a_run_is_left_less_speed_than_promised),
    ("endpoint-limit", False, an_endpoint_is_used_to_its_limit_again_and_again),
    ("workload-accounted", True, completed_before_a_child_has_ended),
    ("workload-accounted", True, ended_without_a_step_that_was_planned),
    ("workload-accounted", True, completed_although_nothing_ended_well),
    ("workload-accounted", True, nothing_left_that_could_end_it),
    ("workload-accounted", False, a_whole_render),
    ("workload-accounted", False, it_waits_for_a_name_and_says_so),
]
