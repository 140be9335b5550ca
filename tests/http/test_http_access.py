"""Who may do what, what admission denies, and what goes wrong at the door."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiohttp
import pytest
from http_kit import MERGE, TASKS, Site, task

from sim.http.access import Access
from sim.http.request import Request

TOKENS = {"secret-a": "alice", "secret-b": "bob"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_tokens_are_asked_for() -> None:
    with Site(access=Access(TOKENS)) as site:
        for headers in ({}, bearer("wrong"), {"Authorization": "Basic secret-a"}):
            reply = site.ask("GET", TASKS, **headers)
            assert (reply.code, reply.body["reason"], reply.message) == (401, "Unauthorized", "Unauthorized")
        assert site.ask("GET", TASKS, **bearer("secret-a")).code == 200


def test_what_is_forbidden_is_told_in_full() -> None:
    asked: list[tuple[str, ...]] = []

    def authorize(*question: str) -> bool:
        asked.append(question)
        return question[0] == "alice"

    with Site(access=Access(TOKENS, authorize)) as site:
        assert site.ask("POST", TASKS, task("a"), **bearer("secret-a")).code == 201
        everywhere = site.ask("GET", TASKS.replace("/namespaces/default", ""), **bearer("secret-b"))
        status = site.ask("PATCH", f"{TASKS}/a/status", {}, MERGE, **bearer("secret-b"))
        assert site.ask("GET", f"{TASKS}?watch=true&timeoutSeconds=1", **bearer("secret-b")).code == 403
    assert everywhere.body["reason"] == "Forbidden"
    assert everywhere.message == (
        'agentictasks.foreman.llmkube.dev is forbidden: User "bob" cannot list resource "agentictasks" in API group '
        '"foreman.llmkube.dev" at the cluster scope'
    )
    assert status.message == (
        'agentictasks.foreman.llmkube.dev "a" is forbidden: User "bob" cannot patch resource "agentictasks/status" in API '
        'group "foreman.llmkube.dev" in the namespace "default"'
    )
    group = "foreman.llmkube.dev"
    assert asked[2] == ("bob", "patch", group, "agentictasks", "status", "default", "a")
    assert [question[1] for question in asked] == ["create", "list", "patch", "watch"]


def test_one_may_ask_what_one_may() -> None:
    with Site(access=Access(TOKENS, lambda user, verb, *rest: verb == "get")) as site:
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answers = {}
        for verb in ("get", "delete"):
            asked = {"spec": {"resourceAttributes": {"verb": verb, "resource": "agentictasks"}}}
            reply = site.ask("POST", path, {"kind": "SelfSubjectAccessReview", **asked}, **bearer("secret-a"))
            answers[verb] = reply.body["status"]["allowed"]
    assert answers == {"get": True, "delete": False}


def test_admission_sees_old_and_new_and_may_deny() -> None:
    seen: list[Any] = []

    def admit(request: Request, served: Any, old: Any, new: Any) -> str | None:
        seen.append(
            (request.user, request.verb, old and old["spec"].get("priority"), new and new["spec"].get("priority"))
        )
        return "the boss is on holiday" if new and new["spec"].get("priority", 0) > 5 else None

    with Site(admit=admit) as site:
        site.create("a")
        assert site.patch("a", {"spec": {"priority": 5}}).code == 200
        reply = site.patch("a", {"spec": {"priority": 6}})
        assert site.ask("DELETE", f"{TASKS}/a").code == 200
    assert reply.code == 403
    assert reply.message == 'agentictasks.foreman.llmkube.dev "a" is forbidden: the boss is on holiday'
    assert seen == [
        ("admin", "create", None, None),
        ("admin", "patch", None, 5),
        ("admin", "patch", 5, 6),
        ("admin", "delete", 5, None),
    ]


# faults


def writes(request: Request) -> bool:
    return request.method != "GET"


def test_the_next_requests_are_put_off(site: Site) -> None:
    site.server.door.refuse(2, 429, retry_after=3, match=writes)
    site.server.door.refuse(1, 503, retry_after=0, match=writes)
    assert site.ask("GET", TASKS).code == 200
    put_off = [site.ask("POST", TASKS, task("a")) for _ in range(3)]
    assert [reply.code for reply in put_off] == [429, 429, 503]
    assert [reply.headers.get("Retry-After") for reply in put_off] == ["3", "3", None]
    assert site.names() == []
    site.create("a")


def test_a_lost_reply_is_of_a_write_that_was_done(site: Site) -> None:
    site.server.door.lose_reply(match=writes)
    with pytest.raises(aiohttp.ClientError):
        site.ask("POST", TASKS, task("a"))
    assert site.names() == ["a"]


def test_a_dropped_request_is_one_that_was_not_done(site: Site) -> None:
    site.server.door.drop(match=writes)
    with pytest.raises(aiohttp.ClientError):
        site.ask("POST", TASKS, task("a"))
    assert site.names() == []


def test_a_request_may_hang_until_it_is_let_go(site: Site) -> None:
    fault = site.server.door.hang(match=writes)

    async def talk() -> int:
        hanging = asyncio.ensure_future(site.asking("POST", TASKS, task("a")))
        while not fault.struck:
            await asyncio.sleep(0.001)
        assert (await site.asking("GET", TASKS)).body["items"] == []
        fault.release()
        return (await hanging).code

    assert site.run(talk()) == 201


def test_an_error_of_our_own_is_a_500(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> Any:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(site.server.handlers.lists, "page", broken)
    reply = site.ask("GET", TASKS)
    assert (reply.code, reply.message) == (500, "ZeroDivisionError: by nothing")


def test_it_serves_over_tls_with_the_context_it_is_given() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with Site(tls=context) as site:
        assert site.server.url.startswith("https://127.0.0.1:")
