"""The reconcile loop: one key at a time, and what each answer of a cluster leads to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab

from foreman.cluster import ClusterError, Conflict, Forbidden, Invalid, NotFound, Unavailable
from foreman.controller import Controller

Answer = float | None | ClusterError


class Shop:
    """A controller whose reconciles take `seconds` and end as `answers` says, the last answer for ever."""

    def __init__(self, answers: list[Answer], seconds: float = 0.0, workers: int = 4) -> None:
        self.lab = Lab()
        self.process = self.lab.process()
        self.answers = answers
        self.seconds = seconds
        self.starts: list[tuple[float, str]] = []
        self.at_work: defaultdict[str, int] = defaultdict(int)
        self.most = 0
        self.busiest = 0
        reconcile: Callable[[str], Awaitable[float | None]] = self._reconcile
        self.controller = Controller("test", self.process, reconcile, workers)
        self.controller.start()

    async def _reconcile(self, key: str) -> float | None:
        self.starts.append((self.process.now(), key))
        self.at_work[key] += 1
        self.most = max(self.most, self.at_work[key])
        self.busiest = max(self.busiest, sum(self.at_work.values()))
        await self.process.sleep(self.seconds)
        self.at_work[key] -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ClusterError):
            raise answer
        return answer

    def times(self) -> list[float]:
        return [round(at, 6) for at, _ in self.starts]


def test_a_key_is_reconciled_once_per_add() -> None:
    shop = Shop([None])
    shop.controller.queue.add("a")
    shop.lab.advance(1000)
    assert shop.starts == [(0.0, "a")]


def test_a_key_that_changes_while_it_is_reconciled_is_reconciled_again_afterwards() -> None:
    shop = Shop([None], seconds=1)
    shop.controller.queue.add("a")
    shop.lab.advance(0.5)
    shop.controller.queue.add("a")
    shop.controller.queue.add("a")
    shop.lab.advance(10)
    assert shop.times() == [0.0, 1.0]


@given(adds=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=40), workers=st.integers(1, 5))
def test_never_the_same_key_twice_at_a_time_and_never_more_than_the_workers(
    adds: list[tuple[str, int]], workers: int
) -> None:
    shop = Shop([None], seconds=1.5, workers=workers)
    added: dict[str, float] = {}
    for key, pause in adds:
        shop.controller.queue.add(key)
        added[key] = shop.lab.now()
        shop.lab.advance(pause)
    shop.lab.advance(500)
    assert shop.most <= 1
    assert shop.busiest <= workers
    for key, at in added.items():
        assert max(start for start, each in shop.starts if each == key) >= at, "the last add is not lost"


def test_different_keys_are_reconciled_side_by_side() -> None:
    shop = Shop([None], seconds=1, workers=3)
    for key in "abcd":
        shop.controller.queue.add(key)
    shop.lab.advance(10)
    assert shop.times() == [0.0, 0.0, 0.0, 1.0]


def test_a_requeue_is_honoured() -> None:
    shop = Shop([10.0, 2.5, None])
    shop.controller.queue.add("a")
    shop.lab.advance(100)
    assert shop.times() == [0.0, 10.0, 12.5]


@pytest.mark.parametrize("error", [Conflict("stale"), Unavailable("?"), Invalid("no"), Forbidden("no")])
def test_a_refusal_backs_off_and_tries_again(error: ClusterError) -> None:
    shop = Shop([error, error, error, None])
    shop.controller.queue.add("a")
    shop.lab.advance(1000)
    assert shop.times() == [0.0, 0.005, 0.015, 0.035]
    assert shop.controller.errors == {type(error).__name__: 3}


def test_success_forgets_the_back_off() -> None:
    shop = Shop([Conflict("stale"), Conflict("stale"), 10.0, Conflict("stale"), None])
    shop.controller.queue.add("a")
    shop.lab.advance(1000)
    assert shop.times() == [0.0, 0.005, 0.015, 10.015, 10.02]


def test_what_is_gone_is_forgotten() -> None:
    shop = Shop([Conflict("stale"), Conflict("stale"), NotFound("gone"), Conflict("stale"), None])
    shop.controller.queue.add("a")
    shop.lab.advance(1000)
    assert len(shop.starts) == 3, "nothing more to do"
    shop.controller.queue.add("a")
    shop.lab.advance(1000)
    assert shop.times()[-1] - shop.times()[-2] == pytest.approx(0.005), "a namesake starts without a past"


def test_the_failure_of_one_key_does_not_slow_another() -> None:
    shop = Shop([Conflict("stale")] * 8 + [None], workers=1)
    shop.controller.queue.add("a")
    shop.lab.advance(0.1)
    shop.controller.queue.add("b")
    shop.lab.advance(0.0001)
    assert shop.starts[-1] == (pytest.approx(0.1), "b")


def test_an_error_that_is_no_answer_of_a_cluster_ends_the_process() -> None:
    lab = Lab()
    process = lab.process()

    async def broken(key: str) -> float | None:
        raise KeyError(key)

    controller = Controller("test", process, broken)
    controller.start()
    controller.queue.add("a")
    lab.advance(1)
    assert [(task, type(error)) for _, task, error in lab.hosts["client"].exits] == [("test", KeyError)]
    assert not process.alive
