"""KubeCluster on bad days: overload, lost answers, pages that expire, objects that cannot be read, broken watches."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kube_scripted import hang, listing, scripted, status, stream, task_json
from support import new_task

from foreman.api import Phase
from foreman.cluster import (
    AlreadyExists,
    Conflict,
    Event,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
)
from foreman.kube import cluster as module
from foreman.kube import connection as wire
from foreman.kube import watch as watching


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses and limits that make a test short."""
    monkeypatch.setattr(module, "PAUSE_FIRST", 0.01)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(watching, "SHORTEST_SECONDS", 0.0)


def event(type_: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"kind": "AgenticTask", "metadata": {"resourceVersion": str(version)}})


# what refusals mean


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Forbidden),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Expired),
        (413, "RequestEntityTooLarge", Invalid),
        (422, "Invalid", Invalid),
        (500, "InternalError", Unavailable),
        (504, "Timeout", Unavailable),
    ],
)
def test_a_refusal_keeps_the_servers_message(tmp_path: Path, code: int, reason: str, error: type[Exception]) -> None:
    async def story() -> None:
        async with scripted(tmp_path, status(code, f"said {reason}", reason)) as (cluster, _):
            with pytest.raises(error, match=f"said {reason}"):
                await cluster.create(new_task("a"))

    asyncio.run(story())


def test_an_answer_that_is_no_json_is_shown(tmp_path: Path) -> None:
    async def story() -> None:
        page = web.Response(status=502, text="<html>\n<h1>Bad gateway</h1>")
        async with scripted(tmp_path, page) as (cluster, _):
            with pytest.raises(Unavailable, match="Bad gateway"):
                await cluster.create(new_task("a"))

    asyncio.run(story())


@pytest.mark.parametrize("text", ["<html>please log in</html>", '"yes"', "[]", "null"])
def test_a_page_where_an_answer_should_be_is_no_answer(tmp_path: Path, text: str) -> None:
    """A proxy's login page comes with 200: nobody knows what became of the request."""

    async def story() -> None:
        async with scripted(tmp_path, web.Response(text=text)) as (cluster, _):
            with pytest.raises(Unavailable, match="what answered is no API server"):
                await cluster.list("AgenticTask")
            with pytest.raises(Unavailable, match="what answered is no API server"):
                await cluster.create(new_task("a"))

    asyncio.run(story())


# put off, lost


def test_too_many_requests_is_asked_again_when_the_server_said(tmp_path: Path, monkeypatch: Any) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def story() -> int:
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 60)
        made = task_json("a")
        answers = status(429, **{"Retry-After": "2"}), status(429, **{"Retry-After": "7"}), listing()
        async with scripted(tmp_path, *answers[:2], web.Response(text=json.dumps(made))) as (cluster, script):
            monkeypatch.setattr(module.asyncio, "sleep", pause)
            await cluster.create(new_task("a"))
            return len(script.asked)

    assert asyncio.run(story()) == 3
    assert [each for each in pauses if each] == [2, 7]


def test_a_read_survives_a_server_error_and_a_write_is_not_repeated(tmp_path: Path) -> None:
    async def story() -> tuple[int, int]:
        async with scripted(tmp_path, status(500), status(503), listing()) as (cluster, reads):
            await cluster.list("AgenticTask")
        async with scripted(tmp_path, status(500)) as (cluster, writes):
            with pytest.raises(Unavailable):
                await cluster.patch_status(new_task("a"), {"phase": Phase.PENDING}, if_version="1")
        return len(reads.asked), len(writes.asked)

    assert asyncio.run(story()) == (3, 1)


def test_a_server_that_never_recovers_is_given_up(tmp_path: Path) -> None:
    async def story() -> int:
        async with scripted(tmp_path, status(503)) as (cluster, script):
            with pytest.raises(Unavailable):
                await cluster.list("AgenticTask")
            return len(script.asked)

    assert 2 <= asyncio.run(story()) < 20


def test_no_answer_in_time_is_an_unknown_outcome(tmp_path: Path, monkeypatch: Any) -> None:
    async def story() -> None:
        async with scripted(tmp_path, hang) as (cluster, _):
            with pytest.raises(Unavailable, match="timed out"):
                await cluster.create(new_task("a"))

    monkeypatch.setattr(wire, "REQUEST_SECONDS", 0.1)
    asyncio.run(story())


def test_nobody_there_is_unavailable_and_said_once(tmp_path: Path, caplog: Any) -> None:
    async def story() -> None:
        async with scripted(tmp_path, listing()) as (cluster, _):
            await cluster.list("AgenticTask")
            server = cluster.connection._client.configuration
            host, server.host = server.host, "http://127.0.0.1:9"
            for _ in range(3):
                with pytest.raises(Unavailable, match=r"cannot connect to 127\.0\.0\.1:9"):
                    await cluster.list("AgenticTask")
            server.host = host
            await cluster.list("AgenticTask")

    with caplog.at_level(logging.INFO, "foreman"):
        asyncio.run(story())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("the API server does not answer: GET /apis/")
    assert said[1].startswith("the API server answers again after")


# what is sent


def test_a_conditional_write_carries_the_version_it_was_read_at(tmp_path: Path) -> None:
    async def story() -> list[Any]:
        answer = web.Response(text=json.dumps(task_json("a", 8)))
        async with scripted(tmp_path, answer) as (cluster, script):
            task = new_task("a")
            await cluster.patch_status(task, {"holder": "me", "claimed_at": None}, if_version="7")
            await cluster.patch(task, {"metadata": {"labels": {"x": None}}}, if_version="7")
            await cluster.patch(task, {"spec": {"priority": 1}}, if_version=None)
            await cluster.delete(task, if_version="7", if_uid="u")
            assert {each["Content-Type"] for each in script.headers[:3]} == {"application/merge-patch+json"}
            return [json.loads(text) for _, _, text in script.asked]

    assert asyncio.run(story()) == [
        {"status": {"holder": "me", "claimedAt": None}, "metadata": {"resourceVersion": "7"}},
        {"metadata": {"labels": {"x": None}, "resourceVersion": "7"}},
        {"spec": {"priority": 1}},
        {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"resourceVersion": "7", "uid": "u"}},
    ]


# lists


def test_a_list_turns_its_pages(tmp_path: Path) -> None:
    async def story() -> Any:
        pages = listing(task_json("b"), token="t1"), listing(task_json("a"), token="t2"), listing(task_json("c"))
        async with scripted(tmp_path, *pages) as (cluster, script):
            return await cluster.list("AgenticTask"), [query.get("continue") for _, query, _ in script.asked]

    found, tokens = asyncio.run(story())
    assert [obj.metadata.name for obj in found.items] == ["a", "b", "c"]
    assert (found.version, tokens) == ("9", [None, "t1", "t2"])


def test_pages_that_expire_under_way_are_asked_for_as_one(tmp_path: Path) -> None:
    async def story() -> Any:
        whole = listing(task_json("a"), task_json("b"), version=12)
        async with scripted(tmp_path, listing(task_json("a"), token="t"), status(410), whole) as (cluster, script):
            return await cluster.list("AgenticTask"), script.asked[-1][1]

    found, query = asyncio.run(story())
    assert ([obj.metadata.name for obj in found.items], found.version, query) == (["a", "b"], "12", {})


def test_an_object_that_cannot_be_read_is_passed_over_and_named_once(tmp_path: Path, caplog: Any) -> None:
    async def story() -> Any:
        bad = task_json("bad", spec={"kind": "poem", "payload": {}})
        async with scripted(tmp_path, listing(task_json("a"), bad)) as (cluster, _):
            await cluster.list("AgenticTask")
            return await cluster.list("AgenticTask")

    with caplog.at_level(logging.WARNING, "foreman"):
        found = asyncio.run(story())
    assert [obj.metadata.name for obj in found.items] == ["a"]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith('passed over: AgenticTask "bad" is invalid: spec.kind: Unsupported value: "poem"')


def test_what_the_server_will_not_select_by_is_filtered_here(tmp_path: Path, caplog: Any) -> None:
    """The original's CRD: asked once, then known."""

    async def story() -> Any:
        no = status(400, 'field label not supported: "status.assignedNode"', "BadRequest")
        both = listing(task_json("a", status={"assignedNode": "n1"}), task_json("b"))
        fields = {"status.assignedNode": "n1"}
        async with scripted(tmp_path, no, both, both) as (cluster, script):
            found = await cluster.list("AgenticTask", fields=fields)
            await cluster.list("AgenticTask", fields=fields)
            return found, ["fieldSelector" in query for _, query, _ in script.asked]

    found, asked = asyncio.run(story())
    assert [obj.metadata.name for obj in found.items] == ["a"]
    assert asked == [True, False, False]
    assert len([record for record in caplog.records if "filtering here" in record.getMessage()]) == 1


# watches


def events_of(tmp_path: Path, *answers: Any, fields: Any = None, since: str = "5") -> list[Event]:
    async def story() -> list[Event]:
        async with scripted(tmp_path, *answers) as (cluster, _):
            return [each async for each in cluster.watch("AgenticTask", since=since, fields=fields)]

    return asyncio.run(story())


def test_a_watch_tells_changes_and_bookmarks_in_order(tmp_path: Path) -> None:
    lines = event("ADDED", task_json("a", 6)), bookmark(8), event("DELETED", task_json("a", 9))
    told = [(each.type, each.version) for each in events_of(tmp_path, stream(*lines))]
    assert told == [("ADDED", "6"), ("BOOKMARK", "8"), ("DELETED", "9")]


def test_lines_come_in_pieces_and_may_be_longer_than_any_buffer(tmp_path: Path) -> None:
    long = event("ADDED", task_json("a", 6, status={"result": {"log": "x" * 3_000_000}}))
    told = events_of(tmp_path, stream(long[:10], long[10:70_000], long[70_000:], b"\n", bookmark(7)))
    assert [each.version for each in told] == ["6", "7"]


def test_a_watch_asks_for_bookmarks_and_an_end(tmp_path: Path) -> None:
    async def story() -> dict[str, str]:
        async with scripted(tmp_path, stream()) as (cluster, script):
            async for _ in cluster.watch("AgenticTask", since="5", fields={"status.assignedNode": "n"}):
                pass
            return script.asked[0][1]

    assert asyncio.run(story()) == {
        "fieldSelector": "status.assignedNode=n",
        "watch": "true",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "290",
        "resourceVersion": "5",
    }


def test_a_silent_stream_is_ended_from_this_side(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(watching, "SILENCE_SECONDS", 0.1)
    assert [each.version for each in events_of(tmp_path, stream(bookmark(6), hang=True))] == ["6"]


def test_a_watch_that_is_never_answered_is_unavailable(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(wire, "REQUEST_SECONDS", 0.1)
    with pytest.raises(Unavailable, match="timed out"):
        events_of(tmp_path, hang)


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (stream(bookmark(6), cut=True), Unavailable),
        (stream(b"<html>\n"), Unavailable),
        (stream(b"[]\n"), Unavailable),
        (stream(b'{"type": "ADDED", "object": null}\n'), Unavailable),
        (stream(event("SURPRISE", {})), Unavailable),
        (stream(event("ERROR", {"code": 410, "message": "too old resource version"})), Expired),
        (stream(event("ERROR", {"code": 500, "message": "oh"})), Unavailable),
        (status(410), Expired),
        (status(403), Forbidden),
        (status(429), Unavailable),
    ],
)
def test_how_a_watch_breaks(tmp_path: Path, broken: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        events_of(tmp_path, broken)


def test_an_unreadable_change_makes_the_watcher_list_again(tmp_path: Path) -> None:
    """Whoever holds the version before must let go of it."""
    with pytest.raises(Expired):
        events_of(tmp_path, stream(event("MODIFIED", task_json("a", 6, spec={"kind": "poem", "payload": {}}))))


def test_a_filtered_watch_shows_what_leaves_as_deleted(tmp_path: Path) -> None:
    no = status(400, 'field label not supported: "status.assignedNode"', "BadRequest")
    mine = event("MODIFIED", task_json("a", 6, status={"assignedNode": "n1"}))
    gone = event("MODIFIED", task_json("a", 7, status={"assignedNode": "n2"}))
    told = events_of(tmp_path, no, stream(mine, gone), fields={"status.assignedNode": "n1"})
    assert [(each.type, each.version) for each in told] == [("MODIFIED", "6"), ("DELETED", "7")]
