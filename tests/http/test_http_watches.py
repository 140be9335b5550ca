"""Watches: everything in order, from where it was asked for, and no longer than the client keeps up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
from http_kit import TABLE, TASKS, Site, bare, task


def story(events: list[tuple[str, Any]]) -> list[tuple[str, str]]:
    return [(sort, obj["metadata"].get("name", "")) for sort, obj in events]


def test_the_past_is_told_in_order(site: Site) -> None:
    since = site.create("a", labels={"x": "1"})["metadata"]["resourceVersion"]
    site.patch("a", {"metadata": {"labels": {"x": "2"}}})
    site.create("b")
    site.ask("DELETE", f"{TASKS}/a")
    events = site.watch(f"resourceVersion={since}")
    assert story(events) == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in events]
    assert versions == sorted(set(versions))
    assert versions[0] > int(since)


def test_an_object_that_leaves_a_selection_is_shown_as_it_was_last_in_it(site: Site) -> None:
    since = site.create("a", labels={"x": "1"})["metadata"]["resourceVersion"]
    left = site.patch("a", {"metadata": {"labels": {"x": "2"}}}).body["metadata"]["resourceVersion"]
    for selector in ("x=1", "x%20in%20(1)"):
        ((sort, obj),) = site.watch(f"resourceVersion={since}&labelSelector={selector}")
        assert (sort, obj["metadata"]["labels"], obj["metadata"]["resourceVersion"]) == ("DELETED", {"x": "1"}, left)
    assert story(site.watch(f"resourceVersion={since}&labelSelector=x=2")) == [("ADDED", "a")]


def test_without_a_version_it_begins_with_what_there_is(site: Site) -> None:
    site.create("b")
    site.create("a")
    assert story(site.watch("")) == story(site.watch("resourceVersion=0")) == [("ADDED", "a"), ("ADDED", "b")]


def test_initial_events_end_with_a_bookmark(site: Site) -> None:
    site.create("a")
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    events = site.watch(query)
    assert story(events) == [("ADDED", "a"), ("BOOKMARK", "")]
    assert events[1][1]["metadata"] == {
        "annotations": {"k8s.io/initial-events-end": "true"},
        "resourceVersion": str(site.store.version),
    }
    assert site.ask("GET", f"{TASKS}?watch=1&sendInitialEvents=true").code == 422


def test_what_is_forgotten_cannot_be_told(site: Site) -> None:
    since = site.create("a")["metadata"]["resourceVersion"]
    site.create("b")
    site.store.compact()
    ((sort, status),) = site.watch(f"resourceVersion={since}")
    assert (sort, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert status["message"] == f"too old resource version: {since} ({site.store.version})"


def test_a_table_has_its_head_once(site: Site) -> None:
    since = site.create("a")["metadata"]["resourceVersion"]
    site.patch("a", {"status": {"phase": "Pending"}}, "/status")
    site.patch("a", {"status": {"phase": "Running"}}, "/status")
    events = site.watch(f"resourceVersion={since}", TABLE)
    assert [bool(obj["columnDefinitions"]) for _, obj in events] == [True, False]
    assert [obj["rows"][0]["cells"][1] for _, obj in events] == ["Pending", "Running"]


async def read(answer: aiohttp.ClientResponse) -> Any:
    return json.loads(await answer.content.readline())


def test_news_are_told_as_they_come(site: Site) -> None:
    async def talk() -> Any:
        url = f"{site.server.url}{TASKS}?watch=1&resourceVersion={site.store.version}&fieldSelector=status.assignedNode%3Dn1"
        async with site.session.get(url) as answer:
            await site.asking("POST", TASKS, task("a"))
            merge = "application/merge-patch+json"
            for node in ("n1", "n2"):
                await site.asking("PATCH", f"{TASKS}/a/status", {"status": {"assignedNode": node}}, merge)
            return [await read(answer), await read(answer)]

    entered, left = site.run(talk())
    assert (entered["type"], left["type"]) == ("ADDED", "DELETED")
    assert bare(entered["object"])["status"] == left["object"]["status"] == {"assignedNode": "n1"}


def test_bookmarks_come_when_nothing_does() -> None:
    with Site(bookmark_seconds=0.05) as site:

        async def talk() -> Any:
            url = f"{site.server.url}{TASKS}?watch=1&allowWatchBookmarks=true&resourceVersion={site.store.version}"
            async with site.session.get(url) as answer:
                await site.asking("POST", TASKS.replace("default", "other"), task("a"))
                while (event := await read(answer))["object"]["metadata"]["resourceVersion"] != str(site.store.version):
                    assert event["type"] == "BOOKMARK"
                return event

        assert site.run(talk())["type"] == "BOOKMARK"


def test_a_watcher_that_does_not_keep_up_is_cut_off() -> None:
    with Site(watch_buffer=3) as site:

        async def talk() -> int:
            url = f"{site.server.url}{TASKS}?watch=1&resourceVersion={site.store.version}"
            async with site.session.get(url) as answer:
                await site.asking("POST", TASKS, task("a"))
                await read(answer)
                for number in range(5):  # in one breath: the watch has no chance to send in between
                    obj = site.store.get("", "AgenticTask", "a", "default")
                    site.store.patch("", obj, {"spec": {"priority": number + 1}}, None)
                return len(await answer.content.read())

        site.run(talk())
        assert site.server.watches.open == {}
        assert site.create("b")


def test_a_client_that_goes_away_leaves_nothing_behind(site: Site) -> None:
    async def talk() -> None:
        answer = await site.session.get(f"{site.server.url}{TASKS}?watch=1&resourceVersion={site.store.version}")
        assert len(site.server.watches.open) == 1
        assert len(list(site.store.streams())) == 1
        answer.close()
        for _ in range(200):
            if not site.server.watches.open:
                return
            await asyncio.sleep(0.01)

    site.run(talk())
    assert site.server.watches.open == {}
    assert list(site.store.streams()) == []


def test_all_watches_can_be_ended(site: Site) -> None:
    async def talk() -> bytes:
        async with site.session.get(f"{site.server.url}{TASKS}?watch=1&resourceVersion=1") as answer:
            site.server.end_watches()
            return await answer.content.read()

    assert site.run(talk()) == b""


def test_a_server_that_stops_ends_its_watches() -> None:
    with Site() as site:

        async def talk() -> bytes:
            async with site.session.get(f"{site.server.url}{TASKS}?watch=1&resourceVersion=1") as answer:
                await site.server.stop()
                return await answer.content.read()

        assert site.run(talk()) == b""


def test_what_the_simulation_writes_is_seen_too(site: Site) -> None:
    since = site.create("a")["metadata"]["resourceVersion"]
    obj = site.store.get("", "AgenticTask", "a", "default")
    site.store.patch_status("agent", obj, {"assigned_node": "n1"}, None)
    ((sort, seen),) = site.watch(f"resourceVersion={since}")
    assert (sort, seen["status"]["assignedNode"]) == ("MODIFIED", "n1")
    assert site.get("a") == seen
