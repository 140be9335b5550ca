"""Server-side apply: create or merge, and who owns what."""

from __future__ import annotations

from typing import Any

from http_kit import APPLY, TASKS, Reply, Site, owned, task


def apply(site: Site, manager: str, wanted: Any, *, below: str = "", query: str = "") -> Reply:
    return site.ask("PATCH", f"{TASKS}/a{below}?fieldManager={manager}{query}", wanted, APPLY)


def spec(**fields: Any) -> Any:
    return task("a", {"kind": "freeform", "payload": {"prompt": "x"}, **fields})


def test_what_is_not_there_is_created(site: Site) -> None:
    reply = apply(site, "one", spec(dependsOn=["b"]))
    assert reply.code == 201
    assert reply.body["spec"]["retryPolicy"] == {"maxAttempts": 1, "backoffSeconds": 10}
    assert owned(reply.body) == {
        "one Apply": {"f:spec": {"f:dependsOn": {}, "f:kind": {}, "f:payload": {"f:prompt": {}}}}
    }


def test_the_same_again_changes_nothing(site: Site) -> None:
    first = apply(site, "one", spec())
    site.now += 60
    again = apply(site, "one", spec())
    assert (again.code, again.body) == (200, first.body)


def test_a_manager_is_required(site: Site) -> None:
    reply = site.ask("PATCH", f"{TASKS}/a", spec(), APPLY)
    assert reply.code == 422
    assert reply.message.endswith("fieldManager: Required value: is required for apply patch")


def test_what_another_owns_is_a_conflict_unless_forced(site: Site) -> None:
    apply(site, "one", spec(priority=1, modelRef="m"))
    agreed = apply(site, "two", spec(priority=1))
    assert agreed.code == 200, "the same value is no conflict: both own it"
    refused = apply(site, "two", spec(priority=2, modelRef="n"))
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert refused.message == 'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.modelRef\n- .spec.priority'
    forced = apply(site, "two", spec(priority=2, modelRef="n"), query="&force=true")
    assert (forced.body["spec"]["priority"], forced.body["spec"]["modelRef"]) == (2, "n")
    assert owned(forced.body)["one Apply"] == {"f:spec": {"f:kind": {}, "f:payload": {"f:prompt": {}}}}


def test_what_an_update_wrote_is_a_conflict_too(site: Site) -> None:
    apply(site, "one", spec(priority=1))
    site.patch("a", {"spec": {"priority": 2}}, query="?fieldManager=hand")
    refused = apply(site, "one", spec(priority=1))
    assert refused.code == 409
    assert 'conflict with "hand" using foreman.llmkube.dev/v1alpha1 at ' in refused.message


def test_what_is_applied_no_more_goes_unless_another_owns_it(site: Site) -> None:
    apply(site, "one", spec(priority=1, modelRef="m", requiredCapability={"nodeSelector": {"zone": "b"}}))
    apply(site, "two", task("a", {"modelRef": "m"}))
    reply = apply(site, "one", spec())
    assert "priority" not in reply.body["spec"]
    assert "requiredCapability" not in reply.body["spec"]
    assert reply.body["spec"]["modelRef"] == "m"


def test_conditions_merge_by_their_type(site: Site) -> None:
    site.create("a")
    one = {"type": "A", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    for manager, condition in (("one", one), ("two", {"type": "B", "status": "True"})):
        status = {**task("a", {}), "status": {"conditions": [condition]}}
        reply = apply(site, manager, status, below="/status")
        assert reply.code == 200
    assert [each["type"] for each in reply.body["status"]["conditions"]] == ["A", "B"]
    clash = {**task("a", {}), "status": {"conditions": [{"type": "A", "status": "False"}]}}
    refused = apply(site, "two", clash, below="/status")
    assert '"one" with subresource "status": .status.conditions[type="A"].status' in refused.message


def test_each_door_applies_only_its_own_part(site: Site) -> None:
    reply = apply(site, "one", {**spec(), "status": {"phase": "Running"}})
    assert "status" not in reply.body
    written = apply(site, "one", {**spec(priority=9), "status": {"phase": "Running"}}, below="/status").body
    assert (written["status"], "priority" in written["spec"]) == ({"phase": "Running"}, False)


def test_an_unknown_field_is_refused(site: Site) -> None:
    reply = apply(site, "one", spec(unheard=1))
    assert reply.code == 500
    assert reply.message.endswith("Kind=AgenticTask): .spec.unheard: field not declared in schema")
    assert site.names() == []
