"""What only the simulated API server does: bounded history, indexes, lagging replicas; and what it must never do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab
from support import new_node, new_task

from foreman.api import OwnerReference, Phase
from foreman.cluster import ClusterError, Conflict, Event, Expired, Forbidden, NotFound, Unavailable
from sim.apiserver import ApiServer
from sim.host import SECOND
from sim.selection import Change, Stream, event_for


def server(history: int = 100) -> ApiServer:
    return ApiServer(lambda: 1_767_225_600, history)


def put(api: ApiServer, name: str, **status: Any) -> Any:
    task = api.create("test", new_task(name))
    return api.patch_status("test", task, status, None) if status else task


def watching(api: ApiServer, kind: str = "AgenticTask", since: int | None = None, **fields: str) -> list[Event]:
    """What a new watch receives, from now on or from `since`."""
    events: list[Event] = []
    selector = {path.replace("_", "."): value for path, value in fields.items()}
    api.watch("test", Stream(kind, events.append, None, None, selector), str(api.version if since is None else since))
    return events


# history


def test_the_history_is_bounded_and_older_versions_have_expired() -> None:
    api = server(history=3)
    for number in range(5):
        put(api, f"t{number}")
    assert len(api.log) == 3
    with pytest.raises(Expired):
        watching(api, since=1)
    assert [event.version for event in watching(api, since=2)] == ["3", "4", "5"]


def test_the_history_counts_writes_of_all_kinds() -> None:
    api = server(history=2)
    put(api, "a")
    for number in range(3):
        api.create("test", new_node(f"n{number}"))
    with pytest.raises(Expired):
        watching(api, since=1)


def test_compaction_forgets_all_but_the_present() -> None:
    api = server()
    put(api, "a")
    put(api, "b")
    open_before = watching(api)
    api.compact()
    with pytest.raises(Expired):
        watching(api, since=1)
    put(api, "c")
    assert [event.version for event in watching(api, since=2)] == ["3"]
    assert [event.version for event in open_before] == ["3"], "a watch that is open does not notice"


def test_the_past_can_be_listed_as_it_was() -> None:
    api = server()
    everything = Stream("AgenticTask", lambda event: None, None, None, None)
    on_n1 = Stream("AgenticTask", lambda event: None, None, None, {"status.assignedNode": "n1"})
    truth = {0: api.list("test", "AgenticTask", None, None, None)}
    of_n1 = {0: truth[0]}

    def note(change: Change) -> None:
        truth[change.version] = api.list("test", "AgenticTask", None, None, None)

    api.observers.append(note)
    a, b = put(api, "a", assigned_node="n1"), put(api, "b")
    api.patch_status("test", b, {"assigned_node": "n1"}, None)
    api.patch_status("test", a, {"assigned_node": "n2"}, None)
    api.patch("test", a, {"metadata": {"finalizers": ("x/y",)}}, None)
    api.delete("test", a)
    api.patch("test", a, {"metadata": {"finalizers": None}}, None)
    api.delete("test", b)
    put(api, "a")
    of_n1 = {
        version: tuple(each for each in listing.items if each.status.assigned_node == "n1")
        for version, listing in truth.items()
    }
    for version, listing in truth.items():
        assert api.listing_at(version, api.list("test", "AgenticTask", None, None, None), everything) == listing
        selected = api.list("test", "AgenticTask", None, None, {"status.assignedNode": "n1"})
        assert api.listing_at(version, selected, on_n1).items == of_n1[version]


def test_the_past_before_the_history_is_answered_from_its_beginning() -> None:
    api = server(history=2)
    for number in range(4):
        put(api, f"t{number}")
    everything = Stream("AgenticTask", lambda event: None, None, None, None)
    listing = api.listing_at(1, api.list("test", "AgenticTask", None, None, None), everything)
    assert (listing.version, [each.metadata.name for each in listing.items]) == ("2", ["t0", "t1"])


# index and dispatch


def test_the_node_index_agrees_with_a_scan() -> None:
    api = server()
    a, b = put(api, "a", assigned_node="n1"), put(api, "b", assigned_node="n1")
    api.patch_status("test", a, {"assigned_node": "n2"}, None)
    api.patch_status("test", b, {"phase": Phase.RUNNING}, None)
    put(api, "c")
    api.delete("test", a)
    for node in ("n1", "n2", "n3", ""):
        scanned = [each for each in api.tables["AgenticTask"].values() if each.status.assigned_node == node]
        assert list(api.list("test", "AgenticTask", None, None, {"status.assignedNode": node}).items) == scanned


def test_a_node_watch_and_a_scanning_watch_see_the_same() -> None:
    """The index only finds watchers faster: with a second selector on top, the same events must come."""
    api = server()
    indexed = watching(api, status_assignedNode="n1")
    narrowed = watching(api, status_assignedNode="n1", metadata_name="a")
    a = put(api, "a", assigned_node="n1")
    api.patch_status("test", a, {"phase": Phase.RUNNING}, None)
    api.patch_status("test", a, {"assigned_node": "n2"}, None)
    api.patch_status("test", a, {"assigned_node": "n1"}, None)
    api.delete("test", a)
    assert [event.type for event in indexed] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    assert narrowed == indexed
    assert watching(api, since=0, status_assignedNode="n1") == indexed


def test_a_write_costs_only_the_watchers_of_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    api = server()
    asked: list[Stream] = []
    monkeypatch.setattr(Stream, "selects", lambda stream, obj: asked.append(stream))
    events = {f"n{number}": watching(api, status_assignedNode=f"n{number}") for number in range(50)}
    task = put(api, "a", assigned_node="n7")
    api.patch_status("test", task, {"assigned_node": "n8"}, None)
    assert {node: [event.type for event in seen] for node, seen in events.items() if seen} == {
        "n7": ["ADDED", "DELETED"],
        "n8": ["ADDED"],
    }
    assert asked == []


SELECTIONS: list[tuple[str | None, dict[str, str] | None, dict[str, str] | None]] = [
    (None, None, None),
    ("other", None, None),
    (None, {"x": "1"}, None),
    (None, None, {"status.assignedNode": "n1"}),
    (None, None, {"status.assignedNode": ""}),
    (None, None, {"status.phase": "Pending"}),
    (None, None, {"status.assignedNode": "n1", "status.phase": "Pending"}),
    ("default", {"x": "1"}, {"status.assignedNode": "n1"}),
]
WRITES = st.lists(
    st.tuples(
        st.sampled_from(["default/a", "default/b", "other/a"]),
        st.one_of(
            st.tuples(st.just("assigned_node"), st.sampled_from(["", "n1", "n2"])),
            st.tuples(st.just("phase"), st.sampled_from([Phase.PENDING, Phase.RUNNING])),
            st.tuples(st.just("label"), st.sampled_from(["1", None])),
            st.just(("delete", None)),
        ),
    ),
    max_size=30,
)


def write(api: ApiServer, key: str, what: str, value: Any) -> None:
    namespace, name = key.split("/")
    task = api.tables["AgenticTask"].get(key)
    if task is None:
        api.create("test", new_task(name, namespace))
    elif what == "delete":
        api.delete("test", task)
    elif what == "label":
        api.patch("test", task, {"metadata": {"labels": {"x": value}}}, None)
    else:
        api.patch_status("test", task, {what: value}, None)


@given(writes=WRITES)
def test_however_a_watch_is_found_it_sees_what_its_selection_says(writes: list[tuple[str, tuple[str, Any]]]) -> None:
    api = server(1000)
    changes: list[Change] = []
    api.observers.append(changes.append)
    live: list[list[Event]] = []
    for selection in SELECTIONS:
        live.append([])
        api.watch("test", Stream("AgenticTask", live[-1].append, *selection), "0")
    for key, (what, value) in writes:
        write(api, key, what, value)
    for selection, seen in zip(SELECTIONS, live, strict=True):
        replayed: list[Event] = []
        stream = Stream("AgenticTask", replayed.append, *selection)
        told = [event_for(change, stream.selects(change.old), stream.selects(change.new)) for change in changes]
        assert seen == [event for event in told if event is not None]
        api.watch("test", stream, "0")
        assert replayed == seen
        listed = api.list("test", "AgenticTask", *selection).items
        assert listed == tuple(obj for _, obj in sorted(api.tables["AgenticTask"].items()) if stream.selects(obj))


def test_a_closed_stream_receives_nothing() -> None:
    api = server()
    for fields in ({}, {"status.assignedNode": "n1"}):
        events: list[Event] = []
        stream = Stream("AgenticTask", events.append, None, None, fields)
        api.watch("test", stream, str(api.version))
        api.close(stream)
        put(api, f"t{len(fields)}", assigned_node="n1")
        assert events == []
    assert list(api.streams()) == []


def test_what_is_stored_is_shared_and_never_changed() -> None:
    api = server()
    task = put(api, "a")
    before = task.model_dump()
    later = api.patch_status("test", task, {"phase": Phase.PENDING}, task.version)
    assert task.model_dump() == before
    assert api.get("test", "AgenticTask", "a", "default") is later
    assert later.spec is task.spec


def test_unknown_fields_survive_any_patch() -> None:
    api = server()
    task = new_task("a")
    task = api.create(
        "test", task.evolve(spec=type(task.spec).model_validate({**task.spec.model_dump(), "novel": [1]}))
    )
    api.patch("test", task, {"spec": {"priority": 2}}, None)
    later = api.patch_status("test", task, {"phase": Phase.PENDING}, None)
    assert later.spec.model_extra == {"novel": [1]}


def test_refused_writes_consume_no_version_and_tell_nobody() -> None:
    api = server()
    task = put(api, "a")
    events = watching(api)
    version = api.version
    refused = [
        lambda: api.patch_status("test", task, {"phase": "Paused"}, None),
        lambda: api.patch_status("test", task, {"phase": Phase.PENDING}, "0"),
        lambda: api.patch("test", task, {"metadata": {"name": "b"}}, None),
        lambda: api.create("test", task),
        lambda: api.delete("test", task, "0"),
        lambda: api.delete("test", new_task("gone")),
    ]
    for write in refused:
        with pytest.raises(ClusterError):
            write()
    assert (api.version, events) == (version, [])


def test_an_unknown_kind_is_not_found() -> None:
    api = server()
    with pytest.raises(NotFound):
        api.list("test", "Pod", None, None, None)
    with pytest.raises(NotFound):
        watching(api, kind="Pod")


# the network in front of it


def test_a_request_outlives_its_sender() -> None:
    lab = Lab(delays="50ms")
    process = lab.process("a")
    process.spawn(_create(lab.client(process), "orphan"), "create")
    lab.advance(0.01)
    lab.hosts["a"].crash()
    lab.advance(1)
    assert lab.server.get("test", "AgenticTask", "orphan", "default")


async def _create(cluster: Any, name: str) -> None:
    await cluster.create(new_task(name))


def test_a_lost_reply_leaves_the_write_applied_and_the_caller_in_doubt() -> None:
    lab = Lab()
    cluster = lab.client(lab.process())
    lab.links["client"].cut_in = True
    with pytest.raises(Unavailable):
        lab.run(cluster.create(new_task("a")))
    assert lab.server.get("test", "AgenticTask", "a", "default")


def test_a_lost_request_is_not_applied() -> None:
    lab = Lab()
    cluster = lab.client(lab.process())
    lab.links["client"].cut_out = True
    with pytest.raises(Unavailable):
        lab.run(cluster.create(new_task("a")))
    assert lab.server.version == 0


def test_a_forbidden_verb_is_refused() -> None:
    lab = Lab()
    cluster = lab.client(lab.process())
    cluster.forbidden = frozenset({"create"})
    with pytest.raises(Forbidden):
        lab.run(cluster.create(new_task("a")))


def test_a_watch_behind_a_partition_breaks_after_a_silence() -> None:
    lab = Lab()
    cluster = lab.client(lab.process())
    stream = cluster.watch("AgenticTask", since="0")
    lab.server.create("test", new_task("a"))
    assert lab.run(anext(stream)).type == "ADDED"
    lab.links["client"].cut_in = True
    lab.server.create("test", new_task("b"))
    started = lab.now()
    with pytest.raises(Unavailable):
        lab.run(anext(stream))
    assert lab.now() - started == pytest.approx(30, abs=1)


def test_a_stream_ends_with_a_bookmark_of_all_that_was_written() -> None:
    lab = Lab()
    cluster = lab.client(lab.process())
    task = lab.server.create("test", new_task("a"))

    async def to_the_end() -> list[Event]:
        return [event async for event in cluster.watch("AgenticTask", since="0", fields={"metadata.name": "never"})]

    (bookmark,) = lab.run(to_the_end())
    assert bookmark == Event("BOOKMARK", None, task.version)
    assert lab.now() == pytest.approx(300, abs=1)


# replicas that lag


def lagging(lags: tuple[float, ...], stale_lists: bool = True) -> Lab:
    lab = Lab(replicas=len(lags), stale_lists=stale_lists)
    for replica, lag in zip(lab.endpoint.replicas, lags, strict=True):
        replica.lag = round(lag * SECOND)
    return lab


def test_a_client_that_reconnects_may_travel_back_in_time() -> None:
    lab = lagging((0, 60))
    cluster = lab.client(lab.process())
    lab.run(cluster.create(new_task("a")))
    lab.advance(1)
    sizes = [len(lab.run(cluster.list("AgenticTask")).items) for _ in range(4)]
    assert sorted(sizes) == [0, 0, 1, 1]
    versions = {int(lab.run(cluster.list("AgenticTask")).version) for _ in range(2)}
    assert versions == {0, 1}


def test_a_lagging_replica_answers_consistently_and_catches_up() -> None:
    lab = lagging((5,))
    cluster = lab.client(lab.process())
    task = lab.run(cluster.create(new_task("a")))
    lab.advance(3)
    task = lab.run(cluster.patch_status(task, {"phase": Phase.PENDING}, if_version=task.version))
    lab.advance(3)
    (seen,) = lab.run(cluster.list("AgenticTask")).items
    assert seen.status.phase is None, "5 s ago the first write had happened, the second had not"
    lab.advance(5)
    assert lab.run(cluster.list("AgenticTask")).items == (task,)


def test_gets_and_writes_never_come_from_a_stale_cache() -> None:
    lab = lagging((60,))
    cluster = lab.client(lab.process())
    task = lab.run(cluster.create(new_task("a")))
    assert lab.run(cluster.get("AgenticTask", "a", "default")) == task
    lab.run(cluster.patch_status(task, {"phase": Phase.PENDING}, if_version=task.version))
    with pytest.raises(Conflict):
        lab.run(cluster.patch_status(task, {"phase": Phase.PENDING}, if_version=task.version))


def test_lists_are_current_unless_stale_lists_are_asked_for() -> None:
    lab = lagging((60,), stale_lists=False)
    cluster = lab.client(lab.process())
    lab.run(cluster.create(new_task("a")))
    assert len(lab.run(cluster.list("AgenticTask")).items) == 1


def test_a_watch_on_a_lagging_replica_is_late_but_in_order() -> None:
    lab = lagging((5,))
    cluster = lab.client(lab.process())
    stream = cluster.watch("AgenticTask", since="0")
    lab.run(cluster.create(new_task("a")))
    lab.run(cluster.create(new_task("b")))

    async def two() -> list[Event]:
        return [await anext(stream), await anext(stream)]

    started = lab.now()
    assert [event.version for event in lab.run(two())] == ["1", "2"]
    assert lab.now() - started == pytest.approx(5, abs=0.1)


# the garbage collector


def test_collecting_looks_at_dependents_only_and_survives_their_absence() -> None:
    lab = Lab()
    api = lab.server
    owner = put(api, "owner")
    reference = OwnerReference(api_version=owner.api_version, kind=owner.kind, name="owner", uid=owner.metadata.uid)
    for name in ("early", "late"):
        task = new_task(name)
        api.create("test", task.evolve(metadata=task.metadata.evolve(owner_references=(reference,))))
    api.delete("test", owner)
    api.delete("test", api.get("test", "AgenticTask", "early", "default"))
    lab.advance(5)
    assert list(api.tables["AgenticTask"]) == []
