"""The workload controller among others: operators that crash, freeze and act at once, and users who delete things."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from support import advance, new_task, task, unharmed, until, world

from foreman.api import AgenticTask, Workload, condition
from foreman.cluster import Invalid, NotFound
from sim.host import SECOND
from sim.mutations import Product
from sim.world import World

SCENARIO: dict[str, Any] = {
    "fleet": {"node": {"count": 2, "slots": 2}},
    "agents": {"coder": {}, "gate": {"role": "verifier"}},
    "workloads": {
        "wl": {
            "spec": {
                "intent": "test",
                "issues": 4,
                "coderAgentRef": {"name": "coder"},
                "verifierAgentRef": {"name": "gate"},
            },
            "executor": {"verify": {"verdicts": {"GATE-PASS": 1}}},
        }
    },
}


def play(**more: Any) -> World:
    kwargs = {key: more.pop(key) for key in ("product",) if key in more}
    return world(yaml.safe_dump(SCENARIO | more), **kwargs)


def workload(w: World) -> Workload:
    found = w.server.tables["Workload"]["default/wl"]
    assert isinstance(found, Workload)
    return found


def phase(w: World) -> str:
    found = w.server.tables["Workload"].get("default/wl")
    return str(found.status.phase) if found is not None else "absent"


def children(w: World) -> list[str]:
    return sorted(w.server.tables["AgenticTask"])


def reconciles(w: World) -> int:
    return sum(each.workload_controller.controller.reconciles for each in w.operators.values())


def test_a_completed_workload_wakes_nobody() -> None:
    """L21: its own status is no reason to look again."""
    w = play()
    until(w, lambda: phase(w) == "Completed")
    advance(w, 60)
    before, version = reconciles(w), workload(w).version
    advance(w, 3600)
    assert (reconciles(w), workload(w).version) == (before, version)
    unharmed(w)


@pytest.mark.parametrize("nth", [1, 2, 4, 7])
@pytest.mark.parametrize("fault", ["lose-request", "lose-reply", "error-after-commit"])
def test_a_render_that_breaks_off_is_completed(nth: int, fault: str) -> None:
    on = {"verb": "create", "kind": "AgenticTask", "actor": "operator-*", "nth": nth}
    w = play(faults=[{"fault": fault, "on": on, "times": 1}], linger="1m").run()
    assert (phase(w), len(children(w))) == ("Completed", 8)
    unharmed(w)


@pytest.mark.parametrize("replicas", [1, 2, 3])
@pytest.mark.parametrize("nth", [1, 3, 8])
def test_an_operator_that_dies_while_it_renders_is_made_up_for(nth: int, replicas: int) -> None:
    on = {"verb": "create", "kind": "AgenticTask", "actor": "operator-*", "nth": nth}
    faults = [{"fault": "crash", "on": on, "for": "5s"}]
    w = play(faults=faults, operators={"replicas": replicas}, linger="1m").run()
    assert (phase(w), len(children(w))) == ("Completed", 8)
    unharmed(w)


def test_an_operator_that_froze_while_it_rendered_raises_nothing_that_is_gone() -> None:
    on = {"verb": "create", "kind": "AgenticTask", "actor": "operator-0/*", "nth": 2}
    w = play(faults=[{"fault": "freeze", "on": on, "for": "10m"}], operators={"replicas": 2}, until="2h")
    until(w, lambda: phase(w) == "Completed", within=590)
    assert len(children(w)) == 8
    for key in children(w):
        w.server.delete("user", w.server.tables["AgenticTask"][key])
    advance(w, 900)
    assert (children(w), phase(w)) == ([], "Completed")
    unharmed(w)


def test_a_workload_that_is_being_deleted_gets_no_children_anew() -> None:
    """#949: foreground deletion removes the children while the Workload lingers behind its finalizer."""
    w = play()
    advance(w, 5)
    held = w.server.patch("user", workload(w), {"metadata": {"finalizers": ("foregroundDeletion",)}}, None)
    w.server.delete("user", held)
    for key in children(w):
        w.server.delete("janitor", w.server.tables["AgenticTask"][key])
    advance(w, 300)
    assert children(w) == []
    assert workload(w).metadata.deletion_timestamp is not None
    unharmed(w)


def test_a_workload_made_anew_under_its_old_name_has_children_of_its_own() -> None:
    """L15: those of its predecessor are going, but still there under the very names."""
    w = play(until="2h")
    advance(w, 5)
    old = workload(w)
    before = {key: each.metadata.uid for key, each in w.server.tables["AgenticTask"].items()}
    assert len(before) == 8
    w.server.delete("user", old)
    w.server.create("user", old.evolve(metadata=old.metadata.evolve(finalizers=(), resource_version="")))
    advance(w, 0.5)
    assert {ref.uid for ref in workload(w).status.tasks} == {""}
    said = condition(workload(w).status.conditions, "NameTaken")
    assert said is not None
    assert (said.status, said.reason) == ("True", "TaskOfAnother")
    until(w, lambda: phase(w) == "Completed", within=300)
    after = {key: each.metadata.uid for key, each in w.server.tables["AgenticTask"].items()}
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    unharmed(w)


def test_deleting_a_workload_takes_its_children_and_nothing_else() -> None:
    w = play()
    w.server.create("user", new_task("wl-mine"))
    advance(w, 5)
    assert len(children(w)) == 9
    w.server.delete("user", workload(w))
    advance(w, 30)
    assert children(w) == ["default/wl-mine"]


def test_a_child_that_is_deleted_fails_the_workload_and_says_which() -> None:
    """#1738: the original stays Dispatched for ever."""
    w = play()
    advance(w, 5)
    w.server.delete("user", task(w, "wl-verify-3"))
    until(w, lambda: phase(w) == "Failed", within=120)
    said = condition(workload(w).status.conditions, "Completed")
    assert said is not None
    assert (said.reason, "wl-verify-3" in said.message) == ("ChildrenDeleted", True)
    assert (workload(w).status.succeeded_tasks, workload(w).status.failed_tasks) == (7, 1)
    assert "default/wl-verify-3" not in children(w)
    unharmed(w)


def test_children_deleted_after_the_end_are_not_made_again() -> None:
    """L14: cleaning up is no new order."""
    w = play()
    until(w, lambda: phase(w) == "Completed")
    for key in children(w):
        w.server.delete("user", w.server.tables["AgenticTask"][key])
    advance(w, 1200)
    assert (children(w), phase(w), workload(w).status.succeeded_tasks) == ([], "Completed", 8)
    unharmed(w)


class Refusing:
    """A client to whom the API server refuses to create one task; `count` is how often it was asked."""

    def __init__(self, inner: Any, error: Exception, times: int) -> None:
        self.inner = inner
        self.error = error
        self.times = times
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def create(self, obj: Any) -> Any:
        if isinstance(obj, AgenticTask) and obj.metadata.name == "wl-code-2" and self.count < self.times:
            self.count += 1
            raise self.error
        return await self.inner.create(obj)


def refusing(error: Exception, times: int) -> tuple[World, list[Refusing]]:
    made: list[Refusing] = []

    def wrap(cluster: Any) -> Any:
        made.append(Refusing(cluster, error, times))
        return made[-1]

    return play(product=Product(wrap=wrap), until="1h"), made


def test_a_task_the_api_server_refuses_ends_the_plan_without_a_second_try() -> None:
    """#685, #688: Invalid is terminal without requeue."""
    w, clients = refusing(Invalid('agentRef "coder" does not resolve'), 99)
    advance(w, 1800)
    assert phase(w) == "Failed"
    said = condition(workload(w).status.conditions, "Planned")
    assert said is not None
    assert (said.status, said.reason) == ("False", "AgentResolveFailed")
    assert "does not resolve" in said.message
    assert sum(each.count for each in clients) == 1


def test_a_namespace_that_is_not_there_yet_is_transient() -> None:
    w, _ = refusing(NotFound('namespaces "default" not found'), 3)
    until(w, lambda: phase(w) == "Completed", within=300)
    assert len(children(w)) == 8
    unharmed(w)


def test_a_plan_that_is_mended_goes_on() -> None:
    w = play(workloads={"wl": {"spec": {"intent": "nothing yet"}}}, until="1h")
    until(w, lambda: "default/wl" in w.server.tables["Workload"] and phase(w) == "Failed", within=30)
    spec = {"issues": (1,), "coder_agent_ref": {"name": "coder"}}
    w.server.patch("user", workload(w), {"spec": spec}, None)
    until(w, lambda: phase(w) == "Completed", within=60)
    assert children(w) == ["default/wl-code-1"]
    unharmed(w)


def test_what_the_coders_gate_noticed_reaches_the_review_before_it_begins() -> None:
    seed = SCENARIO["workloads"]["wl"]
    spec = {**seed["spec"], "issues": [9], "reviewerAgentRefs": [{"name": "coder"}]}
    w = play(workloads={"wl": {**seed, "spec": spec}})
    until(w, lambda: "default/wl-code-9" in children(w) and task(w, "wl-code-9").status.phase == "Running")
    noticed = {"schemaVersion": "foreman.v1", "extra": {"gateAdvisories": [{"check": "caller-impact", "detail": "d"}]}}
    ended = {"phase": "Succeeded", "verdict": "GO", "result": noticed}
    w.server.patch_status("agent", task(w, "wl-code-9"), ended, None)
    advance(w, 3)
    review = task(w, "wl-review-9-0")
    assert review.status.phase == "Pending"
    assert [each.check for each in review.spec.payload.gate_advisories] == ["caller-impact"]


def test_the_pace_of_a_workload_is_bounded_by_its_size() -> None:
    seed = SCENARIO["workloads"]["wl"]
    w = play(workloads={"wl": {**seed, "spec": {**seed["spec"], "issues": 300}}}, fleet={"n": {"count": 60}})
    w.run(until=600 * SECOND)
    looks = sum(each.workload_controller.controller.reconciles for each in w.operators.values())
    assert phase(w) == "Completed"
    assert looks <= len(children(w))
