"""The contract of a Cluster, whichever it is: listing and watching."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support import new_task

from foreman.api import Phase
from foreman.cluster import Event, Expired, Invalid


def create(arm: Any, name: str, namespace: str = "", labels: dict[str, str] | None = None) -> Any:
    task = new_task(name, namespace or arm.namespace)
    return arm.run(arm.cluster.create(task.evolve(metadata=task.metadata.evolve(labels=labels or {}))))


def move(arm: Any, task: Any, **status: Any) -> Any:
    return arm.run(arm.cluster.patch_status(task, status, if_version=None))


def remove(arm: Any, task: Any) -> None:
    arm.run(arm.cluster.delete(task))


def listed(arm: Any, **selection: Any) -> list[str]:
    selection.setdefault("namespace", arm.namespace)
    return [each.metadata.name for each in arm.run(arm.cluster.list("AgenticTask", **selection)).items]


def here(arm: Any) -> str:
    """The version to watch from to see only what comes."""
    version: str = arm.run(arm.cluster.list("AgenticTask", namespace=arm.namespace)).version
    return version


def watch(arm: Any, since: str, **selection: Any) -> AsyncIterator[Event]:
    selection.setdefault("namespace", arm.namespace)
    stream: AsyncIterator[Event] = aiter(arm.cluster.watch("AgenticTask", since=since, **selection))
    return stream


def take(arm: Any, stream: AsyncIterator[Event], count: int) -> list[Event]:
    """The next `count` events that are not bookmarks."""

    async def collect() -> list[Event]:
        events: list[Event] = []
        while len(events) < count:
            event = await anext(stream)
            if event.type != "BOOKMARK":
                events.append(event)
        return events

    events: list[Event] = arm.run(collect())
    return events


def to_the_end(arm: Any, stream: AsyncIterator[Event]) -> list[Event]:
    async def collect() -> list[Event]:
        return [event async for event in stream]

    events: list[Event] = arm.run(collect())
    return events


def story(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.type, event.object.metadata.name if event.object else "") for event in events]


# list


def test_a_list_is_ordered_by_name(arm: Any) -> None:
    for name in ("c", "a", "b-2", "b-10"):
        create(arm, name)
    assert listed(arm) == ["a", "b-10", "b-2", "c"]


def test_a_list_is_of_one_namespace_or_of_all(arm: Any) -> None:
    create(arm, "a")
    create(arm, "b", f"{arm.namespace}-b")
    assert listed(arm) == ["a"]
    assert {"a", "b"} <= set(listed(arm, namespace=None))


def test_labels_select_by_every_pair(arm: Any) -> None:
    create(arm, "a", labels={"x": "1", "y": "1"})
    create(arm, "b", labels={"x": "1"})
    create(arm, "c")
    assert listed(arm, labels={"x": "1"}) == ["a", "b"]
    assert listed(arm, labels={"x": "1", "y": "1"}) == ["a"]


def test_fields_select_by_node_phase_and_name(arm: Any) -> None:
    for name, node in (("a", "n1"), ("b", "n2"), ("c", "n1")):
        move(arm, create(arm, name), phase=Phase.SCHEDULED, assigned_node=node)
    move(arm, create(arm, "d"), phase=Phase.PENDING)
    assert listed(arm, fields={"status.assignedNode": "n1"}) == ["a", "c"]
    assert listed(arm, fields={"status.phase": "Pending"}) == ["d"]
    assert listed(arm, fields={"metadata.name": "b"}) == ["b"]
    assert listed(arm, fields={"status.assignedNode": "n1", "metadata.name": "c"}) == ["c"]
    assert listed(arm, fields={"status.assignedNode": "n3"}) == []


def test_an_empty_field_value_selects_what_has_none(arm: Any) -> None:
    create(arm, "free")
    move(arm, create(arm, "taken"), phase=Phase.SCHEDULED, assigned_node="n1")
    assert listed(arm, fields={"status.assignedNode": ""}) == ["free"]


def test_a_selection_follows_the_object(arm: Any) -> None:
    task = move(arm, create(arm, "a"), phase=Phase.SCHEDULED, assigned_node="n1")
    move(arm, task, assigned_node="n2")
    assert listed(arm, fields={"status.assignedNode": "n1"}) == []
    assert listed(arm, fields={"status.assignedNode": "n2"}) == ["a"]
    remove(arm, task)
    assert listed(arm, fields={"status.assignedNode": "n2"}) == []


@pytest.mark.parametrize(
    ("kind", "field"),
    [("AgenticTask", "spec.kind"), ("FleetNode", "status.assignedNode"), ("FleetNode", "metadata.namespace")],
)
def test_a_field_that_is_not_selectable_is_invalid(arm: Any, kind: str, field: str) -> None:
    since = here(arm)
    with pytest.raises(Invalid):
        arm.run(arm.cluster.list(kind, fields={field: "x"}))
    with pytest.raises(Invalid):
        arm.run(anext(aiter(arm.cluster.watch(kind, since=since, fields={field: "x"}))))


# watch


def test_a_watch_tells_every_change_in_order(arm: Any) -> None:
    stream = watch(arm, here(arm))
    a, b = create(arm, "a"), create(arm, "b")
    a = move(arm, a, phase=Phase.PENDING)
    remove(arm, b)
    events = take(arm, stream, 4)
    assert story(events) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    versions = [int(event.version) for event in events]
    assert versions == sorted(set(versions))
    assert [events[0].version, events[1].version, events[2].version] == [
        event.object.version for event in events[:3] if event.object
    ]
    assert events[2].object == a


def test_a_watch_from_an_old_version_replays_what_was_missed(arm: Any) -> None:
    a = create(arm, "a")
    since = here(arm)
    b = create(arm, "b")
    move(arm, a, phase=Phase.PENDING)
    move(arm, a, phase=Phase.SCHEDULED)
    remove(arm, b)
    events = take(arm, watch(arm, since), 4)
    assert story(events) == [("ADDED", "b"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert [event.object.status.phase for event in events[1:3] if event.object] == [Phase.PENDING, Phase.SCHEDULED]


def test_a_watch_from_the_version_of_a_write_does_not_repeat_it(arm: Any) -> None:
    a = create(arm, "a")
    stream = watch(arm, a.version)
    create(arm, "b")
    assert story(take(arm, stream, 1)) == [("ADDED", "b")]


def test_a_write_that_changes_nothing_is_no_event(arm: Any) -> None:
    a = move(arm, create(arm, "a"), phase=Phase.PENDING)
    stream = watch(arm, a.version)
    move(arm, a, phase=Phase.PENDING)
    create(arm, "b")
    assert story(take(arm, stream, 1)) == [("ADDED", "b")]


def test_a_watch_is_of_its_namespace_and_labels(arm: Any) -> None:
    stream = watch(arm, here(arm), labels={"x": "1"})
    create(arm, "no-label")
    create(arm, "elsewhere", f"{arm.namespace}-b", labels={"x": "1"})
    create(arm, "a", labels={"x": "1"})
    assert story(take(arm, stream, 1)) == [("ADDED", "a")]


def test_entering_a_selection_is_added_and_leaving_it_is_deleted(arm: Any) -> None:
    stream = watch(arm, here(arm), fields={"status.assignedNode": "n1"})
    task = create(arm, "a")
    entered = move(arm, task, phase=Phase.SCHEDULED, assigned_node="n1")
    running = move(arm, task, phase=Phase.RUNNING)
    left = move(arm, task, phase=Phase.PENDING, assigned_node="")
    move(arm, task, phase=Phase.SCHEDULED, assigned_node="n2")
    again = move(arm, task, assigned_node="n1")
    events = take(arm, stream, 4)
    assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED"]
    assert [event.version for event in events] == [entered.version, running.version, left.version, again.version]


def test_an_empty_field_value_is_watched_for_what_has_none(arm: Any) -> None:
    taken = move(arm, create(arm, "taken"), phase=Phase.SCHEDULED, assigned_node="n1")
    stream = watch(arm, taken.version, fields={"status.assignedNode": ""})
    move(arm, taken, phase=Phase.RUNNING)
    task = create(arm, "a")
    move(arm, task, phase=Phase.SCHEDULED, assigned_node="n1")
    move(arm, taken, phase=Phase.PENDING, assigned_node="")
    assert story(take(arm, stream, 3)) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "taken")]


def test_leaving_a_selection_shows_the_last_state_that_was_selected(arm: Any) -> None:
    task = move(arm, create(arm, "a"), phase=Phase.SCHEDULED, assigned_node="n1")
    stream = watch(arm, task.version, fields={"status.assignedNode": "n1"})
    moved = move(arm, task, assigned_node="n2")
    (event,) = take(arm, stream, 1)
    assert event.object is not None
    assert (event.type, event.object.status.assigned_node, event.object.version) == ("DELETED", "n1", moved.version)


def test_labels_enter_and_leave_a_selection_too(arm: Any) -> None:
    task = create(arm, "a", labels={"x": "1"})
    stream = watch(arm, task.version, labels={"x": "1"})
    arm.run(arm.cluster.patch(task, {"metadata": {"labels": {"x": None}}}, if_version=None))
    arm.run(arm.cluster.patch(task, {"metadata": {"labels": {"x": "1"}}}, if_version=None))
    assert story(take(arm, stream, 2)) == [("DELETED", "a"), ("ADDED", "a")]


def test_deleted_shows_the_last_state_at_the_version_of_the_deletion(arm: Any) -> None:
    task = move(arm, create(arm, "a"), phase=Phase.RUNNING, assigned_node="n1")
    streams = [watch(arm, task.version), watch(arm, task.version, fields={"status.assignedNode": "n1"})]
    remove(arm, task)
    after = create(arm, "b")
    for stream in streams:
        (event,) = take(arm, stream, 1)
        assert event.object is not None
        assert (event.type, event.object.status, event.object.version) == ("DELETED", task.status, event.version)
        assert int(task.version) < int(event.version) < int(after.version)


def test_a_server_closes_a_stream_without_an_error_and_bookmarks_do_not_run_ahead(arm: Any) -> None:
    """How often bookmarks come is the server's affair; what they promise is not."""
    stream = watch(arm, here(arm), fields={"metadata.name": "never"})
    task = create(arm, "a")
    events = to_the_end(arm, stream)
    assert {event.type for event in events} <= {"BOOKMARK"}
    assert all(event.object is None for event in events)
    assert all(int(task.version) <= int(event.version) <= int(here(arm)) for event in events)


def test_resuming_after_a_close_neither_skips_nor_repeats(arm: Any) -> None:
    since = here(arm)
    names = [f"t{number}" for number in range(6)]
    seen: list[str] = []
    for half in (names[:3], names[3:]):
        stream = watch(arm, since)
        for name in half:
            create(arm, name)
        events = to_the_end(arm, stream)
        since = events[-1].version
        seen += [event.object.metadata.name for event in events if event.object is not None]
    assert seen == names


def test_a_version_that_was_compacted_away_has_expired(arm: Any) -> None:
    if not arm.compacts:
        pytest.skip("this server's history cannot be cut off")
    since = create(arm, "a").version
    create(arm, "b")
    arm.compact()
    with pytest.raises(Expired):
        take(arm, watch(arm, since), 1)
    stream = watch(arm, here(arm))
    create(arm, "c")
    assert story(take(arm, stream, 1)) == [("ADDED", "c")]
