"""The work queue has client-go's semantics: checked by example, and against a model under random use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from lab import Lab

from foreman.workqueue import BACKOFF_FIRST, BACKOFF_MAX, WorkQueue


class Bench:
    """A queue on a simulated process, and workers that hold what they were handed until told."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.process = self.lab.process()
        self.queue = WorkQueue(self.process, self.serve)
        self.handed: list[tuple[float, str]] = []
        self.idle = 0

    def hire(self) -> None:
        """One more worker asks for a key."""
        self.idle += 1
        self.serve()

    def serve(self) -> None:
        while self.idle and (key := self.queue.take()) is not None:
            self.idle -= 1
            self.handed.append((self.process.now(), key))

    def done(self, key: str) -> None:
        """A worker goes home; one that is idle looks what he has left."""
        self.queue.done(key)
        self.serve()

    def settle(self) -> None:
        """Let happen what happens now, without time passing."""
        while self.lab.env.peek() <= self.lab.env.now:
            self.lab.env.step()

    def keys(self) -> list[str]:
        self.settle()
        return [key for _, key in self.handed]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_keys_come_first_in_first_out(bench: Bench) -> None:
    for key in "abc":
        bench.queue.add(key)
    for _ in range(3):
        bench.hire()
    assert bench.keys() == ["a", "b", "c"]


def test_a_key_waits_once_however_often_it_is_added(bench: Bench) -> None:
    for key in "aba":
        bench.queue.add(key)
    assert len(bench.queue) == 2
    for _ in range(3):
        bench.hire()
    assert bench.keys() == ["a", "b"]


def test_a_key_in_work_is_not_handed_out_again_before_it_is_done(bench: Bench) -> None:
    bench.queue.add("a")
    bench.hire()
    bench.hire()
    bench.queue.add("a")
    assert bench.keys() == ["a"]
    bench.done("a")
    assert bench.keys() == ["a", "a"]


def test_a_key_that_was_not_added_meanwhile_stays_away_after_done(bench: Bench) -> None:
    bench.queue.add("a")
    bench.hire()
    bench.done("a")
    bench.hire()
    assert bench.keys() == ["a"]


def test_waiting_workers_are_served_in_turn_and_none_is_forgotten(bench: Bench) -> None:
    for _ in range(3):
        bench.hire()
    for key in "abc":
        bench.queue.add(key)
    assert sorted(bench.keys()) == ["a", "b", "c"]
    assert bench.idle == 0


def test_a_delayed_key_comes_when_it_is_due(bench: Bench) -> None:
    bench.hire()
    bench.queue.add_after("a", 2.5)
    bench.lab.advance(2.4)
    assert bench.keys() == []
    bench.lab.advance(0.2)
    assert bench.handed == [(2.5, "a")]


@pytest.mark.parametrize("delays", [(5, 2), (2, 5)])
def test_of_several_delays_the_shortest_counts_and_the_key_comes_once(bench: Bench, delays: tuple[int, int]) -> None:
    for seconds in delays:
        bench.queue.add_after("a", seconds)
    bench.hire()
    bench.lab.advance(3)
    assert bench.handed == [(2.0, "a")]
    bench.done("a")
    bench.hire()
    bench.lab.advance(10)
    assert len(bench.handed) == 1


def test_a_delay_of_nothing_is_an_add(bench: Bench) -> None:
    bench.hire()
    bench.queue.add_after("a", 0)
    assert bench.keys() == ["a"]


def test_failures_back_off_exponentially_up_to_a_limit(bench: Bench) -> None:
    waits = []
    for _ in range(20):
        asked = bench.process.now()
        bench.queue.add_backing_off("a")
        bench.hire()
        bench.lab.advance(BACKOFF_MAX + 1)
        waits.append(bench.handed[-1][0] - asked)
        bench.done("a")
    assert waits[:4] == pytest.approx([BACKOFF_FIRST, 2 * BACKOFF_FIRST, 4 * BACKOFF_FIRST, 8 * BACKOFF_FIRST])
    assert waits == sorted(waits)
    assert waits[-1] == BACKOFF_MAX


def test_success_forgets_the_failures_of_that_key_only(bench: Bench) -> None:
    for _ in range(8):
        for key in "ab":
            bench.queue.add_backing_off(key)
        bench.lab.advance(10)
    bench.queue.succeeded("a")
    for _ in range(2):
        bench.hire()
    bench.done("a")
    bench.done("b")
    asked = bench.process.now()
    for key in "ab":
        bench.queue.add_backing_off(key)
        bench.hire()
    bench.lab.advance(10)
    assert [(round(at - asked, 3), key) for at, key in bench.handed[2:]] == [(0.005, "a"), (1.28, "b")]


KEYS = st.sampled_from("abcd")


class QueueModel(RuleBasedStateMachine):
    """The queue against four plain facts: what is ready in which order, what is in work, what was added while in work, what
    is due when."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.ready: list[str] = []
        self.busy: list[str] = []
        self.again: list[str] = []
        self.due: dict[str, int] = {}
        self.handed: list[str] = []
        self.idle = 0

    def added(self, key: str) -> None:
        if key in self.busy:
            if key not in self.again:
                self.again.append(key)
        elif key not in self.ready:
            self.ready.append(key)
        self.serve()

    def serve(self) -> None:
        while self.idle and self.ready:
            self.idle -= 1
            key = self.ready.pop(0)
            self.busy.append(key)
            self.handed.append(key)

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.bench.queue.add(key)
        self.bench.settle()
        self.added(key)

    @rule(key=KEYS, seconds=st.integers(1, 5))
    def add_after(self, key: str, seconds: int) -> None:
        self.bench.queue.add_after(key, seconds)
        due = int(self.bench.process.now()) + seconds
        self.due[key] = min(self.due.get(key, due), due)

    @rule()
    def hire(self) -> None:
        self.bench.hire()
        self.idle += 1
        self.serve()

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def done(self, data: Any) -> None:
        key = data.draw(st.sampled_from(sorted(self.busy)))
        self.bench.done(key)
        self.bench.settle()
        self.busy.remove(key)
        if key in self.again:
            self.again.remove(key)
            self.added(key)

    @precondition(lambda self: len(set(self.due.values())) == len(self.due))
    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        """Only while no two keys are due at once: their order is nobody's business."""
        now = int(self.bench.process.now())
        self.bench.lab.advance(seconds)
        self.bench.settle()
        for key, due in sorted(self.due.items(), key=lambda item: item[1]):
            if due <= now + seconds:
                del self.due[key]
                self.added(key)

    @invariant()
    def hands_out_what_the_model_hands_out(self) -> None:
        assert self.bench.keys() == self.handed

    @invariant()
    def never_the_same_key_twice_at_a_time(self) -> None:
        assert len(self.busy) == len(set(self.busy))
        assert len(self.bench.queue) == len(self.ready)


QueueModel.TestCase.settings = settings(max_examples=80, stateful_step_count=30)
TestQueueModel = QueueModel.TestCase
