"""Deletion: preconditions, finalizers, propagation, whole collections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from http_kit import TASKS, Site, task


def delete(site: Site, name: str, query: str = "", **options: Any) -> Any:
    body = {"kind": "DeleteOptions", "apiVersion": "v1", **options} if options else None
    return site.ask("DELETE", f"{TASKS}/{name}{query}", body)


def until_gone(site: Site, *names: str) -> bool:
    async def wait() -> bool:
        for _ in range(500):
            left = {each["metadata"]["name"] for each in (await site.asking("GET", TASKS)).body["items"]}
            if left.isdisjoint(names):
                return True
            await asyncio.sleep(0.01)
        return False

    return bool(site.run(wait()))


def owner(obj: Any, **more: Any) -> Any:
    meta = obj["metadata"]
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": meta["name"], "uid": meta["uid"], **more}


def test_a_deletion_is_told_with_the_uid(site: Site) -> None:
    made = site.create("a")
    assert delete(site, "a").body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {
            "name": "a",
            "group": "foreman.llmkube.dev",
            "kind": "agentictasks",
            "uid": made["metadata"]["uid"],
        },
    }
    assert delete(site, "a").code == 404


def test_preconditions_fence(site: Site) -> None:
    made = site.create("a")["metadata"]
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        reply = delete(site, "a", preconditions=wrong)
        assert (reply.code, reply.body["reason"]) == (409, "Conflict")
        assert "in the precondition" in reply.message
    right = {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}
    assert delete(site, "a", preconditions=right).code == 200


def test_finalizers_hold_the_object(site: Site) -> None:
    site.create("a", finalizers=["a.b/c"])
    marked = delete(site, "a").body
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["metadata"]["generation"] == 2
    assert delete(site, "a").body == marked
    more = site.patch("a", {"metadata": {"finalizers": ["a.b/c", "d.e/f"]}})
    assert (more.code, "no new finalizers can be added" in more.message) == (422, True)
    assert site.patch("a", {"metadata": {"finalizers": None}}).code == 200
    assert site.names() == []


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"propagationPolicy": "Sideways"}, 422, 'propagationPolicy: Unsupported value: "Sideways"'),
        ({"kind": "Other"}, 400, 'no kind "Other" is registered'),
        ({"dryRun": ["Some"]}, 422, "dryRun: Unsupported value"),
    ],
)
def test_bad_options_are_refused(site: Site, options: Any, code: int, message: str) -> None:
    site.create("a")
    reply = site.ask("DELETE", f"{TASKS}/a", {"kind": "DeleteOptions", "apiVersion": "v1"} | options)
    assert (reply.code, message in reply.message) == (code, True)
    assert site.names() == ["a"]


def test_in_the_foreground_dependents_go_first(site: Site) -> None:
    parent = site.create("parent")
    site.create("child", ownerReferences=[owner(parent, blockOwnerDeletion=True)], finalizers=["a.b/c"])
    assert delete(site, "parent", propagationPolicy="Foreground").body["metadata"]["finalizers"] == [
        "foregroundDeletion"
    ]
    site.run(asyncio.sleep(0.3))
    assert site.names() == ["child", "parent"], "the child is not gone yet"
    assert site.get("child")["metadata"]["deletionTimestamp"]
    site.patch("child", {"metadata": {"finalizers": None}})
    assert until_gone(site, "parent", "child")


def test_orphans_are_let_go(site: Site) -> None:
    parent = site.create("parent")
    site.create("child", ownerReferences=[owner(parent)])
    delete(site, "parent", "?propagationPolicy=Orphan")
    assert until_gone(site, "parent")
    assert "ownerReferences" not in site.get("child")["metadata"]


def test_in_the_background_dependents_go_later(site: Site) -> None:
    parent = site.create("parent")
    site.create("child", ownerReferences=[owner(parent)])
    assert delete(site, "parent", propagationPolicy="Background").body["status"] == "Success"
    assert site.names() == ["child"]
    assert until_gone(site, "child")


def test_a_collection_is_deleted_by_selection(site: Site) -> None:
    for number in range(3):
        site.create(f"t{number}", labels={"n": str(number)})
    assert site.ask("POST", TASKS.replace("default", "other"), task("t0", labels={"n": "0"})).code == 201
    reply = site.ask("DELETE", f"{TASKS}?labelSelector=n!=1")
    assert [each["metadata"]["name"] for each in reply.body["items"]] == ["t0", "t2"]
    assert site.names() == ["t1"]
    assert site.ask("GET", f"{TASKS.replace('default', 'other')}/t0").code == 200
