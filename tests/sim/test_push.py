"""A watch that pushes its events does to the last microsecond what one does that wakes its reader for each."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab
from support import new_task

from foreman.cluster import ClusterError, Event, Expired, Unavailable, follow
from sim.host import Process

DELAYS = {"choices": ["1ms", "1ms", "9ms"]}
Heard = list[tuple[float, str, str]]


class Pulled:
    """A stream that only iterates, as one of a real cluster does."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __aiter__(self) -> Any:
        return self.stream.__aiter__()


class Reader:
    """Follows the tasks in one of the two ways. `ended`: how the stream ended."""

    def __init__(self, lab: Lab, push: bool, name: str = "reader") -> None:
        self.lab = lab
        self.push = push
        self.process: Process = lab.process(name)
        self.heard: Heard = []
        self.ended: list[ClusterError | None] = []
        self.process.spawn(self.read(), "read")

    async def read(self, since: str = "0") -> None:
        stream = self.lab.client(self.process).watch("AgenticTask", since=since)
        try:
            await follow(stream if self.push else Pulled(stream), self.hear)
        except ClusterError as error:
            self.ended.append(error)
        else:
            self.ended.append(None)

    def hear(self, event: Event) -> None:
        self.heard.append((self.lab.now(), event.type, event.version))


def write(lab: Lab, *names: str) -> None:
    for name in names:
        lab.server.create("test", new_task(name))


def both(play: Any, **lab: Any) -> list[Reader]:
    """The same play before a reader who is pushed and one who pulls."""
    readers = []
    for push in (True, False):
        stage = Lab(delays=DELAYS, **lab)
        reader = Reader(stage, push)
        play(stage, reader)
        readers.append(reader)
    return readers


def alike(play: Any, **lab: Any) -> Reader:
    pushed, pulled = both(play, **lab)
    assert pushed.heard == pulled.heard
    assert [type(each) for each in pushed.ended] == [type(each) for each in pulled.ended]
    return pushed


def test_events_come_at_the_same_moments() -> None:
    def play(lab: Lab, reader: Reader) -> None:
        for number in range(30):
            write(lab, f"t{number}")
            lab.advance(0.002)
        lab.advance(1)

    assert len(alike(play).heard) == 30


def test_what_was_missed_before_the_watch_opened_comes_first() -> None:
    def play(lab: Lab, reader: Reader) -> None:
        write(lab, "a", "b")
        lab.advance(1)
        write(lab, "c")
        lab.advance(1)

    assert [version for _, _, version in alike(play).heard] == ["1", "2", "3"]


def test_a_frozen_reader_hears_all_of_it_at_the_thaw_in_order() -> None:
    def play(lab: Lab, reader: Reader) -> None:
        lab.advance(1)
        reader.process.host.freeze()
        write(lab, "a", "b", "c")
        lab.advance(5)
        assert reader.heard == []
        reader.process.host.thaw()
        write(lab, "d")
        lab.advance(1)

    heard = alike(play).heard
    assert [version for _, _, version in heard] == ["1", "2", "3", "4"]
    assert {at for at, _, _ in heard[:3]} == {6.0}


def test_a_stream_that_ends_during_the_freeze_is_found_ended_at_the_thaw() -> None:
    def play(lab: Lab, reader: Reader) -> None:
        lab.advance(1)
        reader.process.host.freeze()
        write(lab, "a", "b")
        lab.advance(1)
        lab.endpoint.fail()
        lab.advance(1)
        assert reader.ended == []
        reader.process.host.thaw()

    reader = alike(play)
    assert len(reader.heard) == 2
    assert isinstance(reader.ended[0], Unavailable)


@pytest.mark.parametrize("after", [2.0, 400.0])
def test_a_stream_ends_by_a_broken_connection_or_by_its_time(after: float) -> None:
    def play(lab: Lab, reader: Reader) -> None:
        write(lab, "a")
        lab.advance(after)
        lab.endpoint.fail()
        lab.advance(1)

    assert len(alike(play).ended) == 1


def test_a_dead_reader_hears_nothing_more() -> None:
    def play(lab: Lab, reader: Reader) -> None:
        write(lab, "a")
        lab.advance(1)
        reader.process.host.crash()
        write(lab, "b")
        lab.advance(1)

    reader = alike(play)
    assert [version for _, _, version in reader.heard] == ["1"]
    assert reader.ended == []


def test_a_reader_that_fails_takes_its_process_down() -> None:
    class Faint(Reader):
        def hear(self, event: Event) -> None:
            super().hear(event)
            raise ZeroDivisionError("no more")

    for push in (True, False):
        lab = Lab()
        reader = Faint(lab, push)
        lab.advance(1)
        write(lab, "a", "b")
        lab.advance(1)
        assert len(reader.heard) == 1
        assert [(at, task, str(error)) for at, task, error in reader.process.host.exits] == [
            (1_001_000, "read", "no more")
        ]


def test_a_version_that_is_gone_is_said_to_both() -> None:
    for push in (True, False):
        lab = Lab()
        write(lab, "a")
        lab.server.compact()
        reader = Reader(lab, push)
        lab.advance(1)
        assert [type(error) for error in reader.ended] == [Expired]
