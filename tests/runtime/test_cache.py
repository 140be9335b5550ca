"""The cache never goes back in time, whatever the order in which lists, events and own writes reach it; and it mends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import Lab
from support import new_task

from foreman.api import AgenticTask, Phase
from foreman.cache import Cache, Stalled
from foreman.cluster import ClusterError, Event, Forbidden, Listing, Unavailable
from sim.selection import Change, Stream

NEVER = 1e9
PHASES = (Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING)


def cached(cache: Cache[AgenticTask]) -> dict[str, AgenticTask]:
    return {task.key: task for task in cache}


def stored(lab: Lab) -> dict[str, AgenticTask]:
    return dict(lab.server.tables["AgenticTask"])


def started(lab: Lab, cluster: Any = None, **options: Any) -> Cache[AgenticTask]:
    """A cache of tasks that runs in the lab's process and is in step."""
    process = lab.process()
    cache: Cache[AgenticTask] = Cache(cluster or lab.client(process), process, "AgenticTask", **options)
    process.spawn(cache.run(), "cache")
    lab.advance(0.5)
    return cache


def create(lab: Lab, name: str) -> Any:
    return lab.server.create("test", new_task(name))


def move(lab: Lab, task: Any, **status: Any) -> Any:
    return lab.server.patch_status("test", task, status, None)


# following


def test_it_shows_what_the_server_has_and_tells_listeners_what_changed() -> None:
    lab = Lab()
    a = create(lab, "a")
    heard: list[tuple[Any, Any]] = []
    cache = started(lab)
    cache.listen(lambda key, old, new: heard.append((old, new)))
    b = create(lab, "b")
    moved = move(lab, a, phase=Phase.PENDING)
    lab.server.delete("test", b)
    lab.advance(1)
    assert heard == [(None, b), (a, moved), (b, None)]
    assert cached(cache) == stored(lab) == {"default/a": moved}
    assert cache.synced.is_set()


def test_a_selection_shows_what_enters_and_loses_what_leaves() -> None:
    lab = Lab()
    cache = started(lab, fields={"status.assignedNode": "n1"})
    a = move(lab, create(lab, "a"), assigned_node="n1")
    lab.advance(1)
    assert cached(cache) == {"default/a": a}
    move(lab, a, assigned_node="n2")
    lab.advance(1)
    assert cached(cache) == {}


def test_after_a_normal_close_it_resumes_without_a_list() -> None:
    lab = Lab()
    cache = started(lab, resync=NEVER)
    for number in range(10):
        create(lab, f"t{number}")
        lab.advance(100)
    assert lab.endpoint.calls["watch"] >= 3
    assert (cache.relists, lab.endpoint.calls["list"]) == (1, 1)
    assert cached(cache) == stored(lab)


def test_what_happened_while_no_stream_was_open_is_not_missed() -> None:
    lab = Lab(delays="2s")
    cache = started(lab, resync=NEVER)
    for number in range(200):
        create(lab, f"t{number}")
        lab.advance(3)
    lab.advance(10)
    assert cache.relists == 1
    assert cached(cache) == stored(lab)


def test_a_forgotten_version_makes_it_list_again() -> None:
    lab = Lab(history=3)
    cache = started(lab, resync=NEVER)
    a = create(lab, "a")
    lab.advance(1)
    lab.links["client"].cut_in = True
    lab.server.delete("test", a)
    for number in range(5):
        create(lab, f"t{number}")
    lab.advance(20)
    lab.links["client"].cut_in = False
    lab.advance(60)
    assert cache.relists == 2
    assert cached(cache) == stored(lab)


def test_410_alone_is_no_blindness() -> None:
    lab = Lab()
    cache = started(lab, resync=NEVER)
    recovered: list[float] = []
    cache.on_recovery.append(lambda: recovered.append(lab.now()))
    for watch in list(lab.endpoint.watches):
        watch.end(None)
    create(lab, "a")
    lab.server.compact()
    lab.advance(5)
    assert cache.relists == 2
    assert recovered == []
    assert cached(cache) == stored(lab)


# failing


def test_after_blindness_it_says_so_once_it_sees_again() -> None:
    lab = Lab()
    cache = started(lab)
    recovered: list[tuple[float, set[str]]] = []
    cache.on_recovery.append(lambda: recovered.append((lab.now(), set(cached(cache)))))
    lab.endpoint.fail()
    create(lab, "a")
    lab.advance(60)
    assert recovered == []
    lab.endpoint.recover()
    lab.advance(60)
    assert len(recovered) == 1
    lab.advance(1000)
    assert len(recovered) == 1
    assert cached(cache) == stored(lab)


def test_listeners_hear_of_recovery_before_they_hear_of_what_was_missed() -> None:
    lab = Lab()
    heard: list[str] = []
    cache = started(lab)
    cache.on_recovery.append(lambda: heard.append("recovered"))
    cache.listen(lambda key, old, new: heard.append("changed"))
    lab.endpoint.fail()
    create(lab, "a")
    lab.advance(10)
    lab.endpoint.recover()
    lab.advance(60)
    assert heard == ["recovered", "changed"]


def test_lists_that_fail_in_a_row_end_the_process() -> None:
    lab = Lab()
    process = lab.process()
    lab.endpoint.fail()
    cache: Cache[AgenticTask] = Cache(lab.client(process), process, "AgenticTask", retry=5.0, stall_after=3)
    with pytest.raises(Stalled, match="AgenticTask"):
        lab.run(cache.run())
    assert lab.now() == pytest.approx(10, abs=0.1)


def test_failures_that_are_not_in_a_row_do_not() -> None:
    lab = Lab()
    cache = started(lab, retry=5.0, stall_after=3)
    for _ in range(5):
        lab.endpoint.fail()
        lab.advance(8)
        lab.endpoint.recover()
        lab.advance(12)
    assert lab.hosts["client"].exits == []
    assert cache.failures == 0


def test_without_a_limit_it_never_gives_up_and_asks_ever_less_often() -> None:
    lab = Lab()
    cache = started(lab)
    lab.endpoint.fail()
    asked: list[float] = []
    lab.endpoint.intercept = lambda request: asked.append(lab.now())
    lab.advance(600)
    gaps = [round(later - earlier, 3) for earlier, later in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(30, abs=0.1)
    lab.endpoint.recover()
    create(lab, "a")
    lab.advance(60)
    assert cached(cache) == stored(lab)


class Lossy:
    """A cluster whose watches lose the events that `loses` says."""

    def __init__(self, inner: Any, loses: Any) -> None:
        self.inner = inner
        self.loses = loses
        self.list = inner.list

    async def watch(self, kind: str, **options: Any) -> AsyncIterator[Event]:
        async for event in self.inner.watch(kind, **options):
            if not self.loses(event):
                yield event


@pytest.mark.parametrize("lost", ["ADDED", "MODIFIED", "DELETED"])
def test_a_lost_event_is_mended_by_the_next_resync(lost: str) -> None:
    lab = Lab()
    a, b = create(lab, "a"), create(lab, "b")
    cache = started(lab, Lossy(lab.client(lab.process()), lambda event: event.type == lost), resync=300.0)
    move(lab, a, phase=Phase.PENDING)
    lab.server.delete("test", b)
    create(lab, "c")
    lab.advance(10)
    assert cached(cache) != stored(lab)
    lab.advance(600)
    assert cached(cache) == stored(lab)


def test_a_replica_in_the_past_is_not_believed() -> None:
    lab = Lab(replicas=2, stale_lists=True)
    cache = started(lab)
    task = create(lab, "a")
    lab.advance(1)
    task = move(lab, task, phase=Phase.PENDING)
    lab.advance(1)
    for replica in lab.endpoint.replicas:
        replica.lag = 20_000_000
    lab.endpoint.fail()
    lab.endpoint.recover()
    for _ in range(40):
        lab.advance(1)
        assert cached(cache) == {"default/a": task}
    assert cache.position >= int(task.version)


# own writes


def test_an_own_write_is_seen_before_the_watch_brings_it() -> None:
    lab = Lab(delays="1s")
    cache = started(lab)
    lab.advance(5)
    task = create(lab, "a")
    cache.observe(task)
    assert cached(cache) == {"default/a": task}
    lab.advance(5)
    assert cached(cache) == {"default/a": task}


def test_the_answer_to_a_write_that_comes_after_the_deletion_does_not_raise_the_dead() -> None:
    lab = Lab()
    cache = started(lab)
    task = create(lab, "a")
    answer = move(lab, task, phase=Phase.PENDING)
    lab.server.delete("test", task)
    lab.advance(1)
    cache.observe(answer)
    assert cached(cache) == {}


def test_an_answer_is_believed_whose_event_the_watch_has_missed() -> None:
    """A claim whose answer was lost, and whose event too, is seen by asking: else the agent would try to claim it for ever."""
    lab = Lab()
    cache = started(lab, Lossy(lab.client(lab.process()), lambda event: event.type == "MODIFIED"))
    task = create(lab, "a")
    lab.advance(1)
    answer = move(lab, task, phase=Phase.PENDING)
    create(lab, "b")
    lab.advance(1)
    assert cached(cache)["default/a"] == task
    assert cache.position > int(answer.version)
    cache.observe(answer)
    assert cached(cache)["default/a"] == answer


def test_a_list_older_than_an_own_write_does_not_take_it_away() -> None:
    play = Play()
    play.write("a", False)
    play.observe(0)
    play.break_(behind=1)
    assert cached(play.cache) == stored(play.lab)
    play.step("deliver", 1)
    assert play.cache.relists == 2


def test_an_event_that_comes_twice_does_not_raise_the_dead() -> None:
    lab = Lab()
    seen: list[Event] = []

    class Repeating(Lossy):
        async def watch(self, kind: str, **options: Any) -> AsyncIterator[Event]:
            async for event in self.inner.watch(kind, **options):
                seen.append(event)
                for each in seen:
                    yield each

    cache = started(lab, Repeating(lab.client(lab.process()), None))
    heard: list[tuple[Any, Any]] = []
    cache.listen(lambda key, old, new: heard.append((old, new)))
    a = create(lab, "a")
    move(lab, a, phase=Phase.PENDING)
    lab.server.delete("test", a)
    create(lab, "b")
    lab.advance(1)
    assert len(seen) == len(heard) == 4
    assert cached(cache) == stored(lab)


# every interleaving


class Hand:
    """A cluster whose lists may answer from the past, and whose watches bring an event only when told to."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.behind = 0
        self.stream: Stream | None = None
        self.waiting: list[Event] = []
        self.permits = 0
        self.end: ClusterError | str | None = None
        self.bell = lab.process().event()

    async def list(self, kind: str, **options: Any) -> Listing:
        server = self.lab.server
        version, self.behind = max(server.version - self.behind, 0), 0
        everything = Stream(kind, self.waiting.append, None, None, None)
        return server.listing_at(version, server.list("test", kind, None, None, None), everything)

    async def watch(self, kind: str, since: str, **options: Any) -> AsyncIterator[Event]:
        server = self.lab.server
        self.waiting = []
        self.permits, self.end = 0, None
        self.stream = server.watch("test", Stream(kind, self.waiting.append, None, None, None), since)
        try:
            while self.end is None:
                while self.permits and self.waiting:
                    self.permits -= 1
                    yield self.waiting.pop(0)
                self.bell = self.lab.process().event()
                await self.bell.wait()
        finally:
            server.close(self.stream)
        if isinstance(self.end, ClusterError):
            raise self.end

    def deliver(self, count: int) -> None:
        self.permits = count
        self.bell.set()

    def finish(self, end: ClusterError | str) -> None:
        self.end = end
        self.bell.set()


class Witness:
    """Knows every version each key ever had, and so what a cache at some position must and must not show."""

    def __init__(self, lab: Lab) -> None:
        self.changes: dict[str, list[tuple[int, bool]]] = {}
        lab.server.observers.append(self.committed)

    def committed(self, change: Change) -> None:
        self.changes.setdefault(change.key, []).append((change.version, change.new is not None))

    def check(self, cache: Cache[AgenticTask]) -> None:
        held = cached(cache)
        for key, history in self.changes.items():
            past = [entry for entry in history if entry[0] <= cache.position]
            task = held.get(key)
            if task is None:
                assert not past or not past[-1][1], f"{key} is missing at {cache.position}"
                continue
            version = int(task.version)
            later = [at for at, _ in history if at > version]
            assert not later or later[0] > cache.position, (
                f"{key} is shown at {version}, the cache is at {cache.position}"
            )


STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from("abc"), st.booleans()),
    st.tuples(st.just("observe"), st.integers(0, 30)),
    st.tuples(st.just("deliver"), st.integers(1, 3)),
    st.tuples(st.just("close")),
    st.tuples(st.just("break"), st.integers(0, 5)),
    st.tuples(st.just("compact")),
)


class Play:
    """One interleaving, with the cache's promises checked after each step."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.witness = Witness(self.lab)
        self.hand = Hand(self.lab)
        self.answers: list[AgenticTask] = []
        self.shown: dict[str, int] = {}
        self.went_back: list[str] = []
        self.cache = started(self.lab, self.hand, resync=NEVER)
        self.cache.listen(self.heard)

    def heard(self, key: str, old: AgenticTask | None, new: AgenticTask | None) -> None:
        if new is not None:
            # An assertion here would end the cache's process, not the test.
            if int(new.version) <= self.shown.get(new.key, 0):
                self.went_back.append(new.key)
            self.shown[new.key] = int(new.version)
        elif old is not None and int(old.version) > self.cache.position:
            self.went_back.append(old.key)

    def write(self, name: str, delete: bool) -> None:
        task = stored(self.lab).get(f"default/{name}")
        if task is None:
            self.answers.append(create(self.lab, name))
        elif delete:
            self.lab.server.delete("test", task)
        else:
            phase = PHASES[self.lab.server.version % len(PHASES)]
            self.answers.append(move(self.lab, task, phase=phase, attempt=self.lab.server.version))

    def observe(self, number: int) -> None:
        if self.answers:
            self.cache.observe(self.answers[-1 - number % len(self.answers)])

    def deliver(self, count: int) -> None:
        self.hand.deliver(count)
        self.lab.advance(0.01)

    def close(self) -> None:
        self.hand.finish("closed")
        self.lab.advance(0.01)

    def compact(self) -> None:
        self.lab.server.compact()

    def break_(self, behind: int) -> None:
        self.hand.behind = behind
        self.hand.finish(Unavailable("broken"))
        self.lab.advance(10)

    def step(self, name: str, *arguments: Any) -> None:
        getattr(self, "break_" if name == "break" else name)(*arguments)
        self.witness.check(self.cache)
        assert self.went_back == []
        assert self.lab.hosts["client"].exits == []


@settings(max_examples=250)
@given(steps=st.lists(STEPS, max_size=40))
def test_no_interleaving_takes_it_back_in_time_and_in_the_end_it_is_right(steps: list[tuple[Any, ...]]) -> None:
    play = Play()
    for step in steps:
        play.step(*step)
    play.step("close")
    play.step("deliver", 1000)
    assert cached(play.cache) == stored(play.lab)


class Unwatchable:
    """A cluster that lists, and refuses to be watched."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.lists = 0

    async def list(self, kind: str, **selection: Any) -> Listing:
        self.lists += 1
        return await self.cluster.list(kind, **selection)  # type: ignore[no-any-return]

    async def watch(self, kind: str, **selection: Any) -> AsyncIterator[Event]:
        raise Forbidden("cannot watch")
        yield


def test_where_only_the_watch_is_forbidden_lists_become_rare() -> None:
    lab = Lab()
    cluster = Unwatchable(lab.client(lab.process("other")))
    cache = started(lab, cluster)
    lab.advance(600)
    assert cluster.lists < 30
    create(lab, "a")
    lab.advance(31)
    assert cached(cache) == stored(lab), "what polls is behind, not blind"
