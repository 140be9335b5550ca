"""What a run measures, against lives of tasks told by hand."""

from __future__ import annotations

from typing import Any

import pytest
from court import ROLES, Court
from support import run

from foreman.api import ANNOTATION_AUDITED, Phase
from sim.host import SECOND
from sim.stats import Stats


class Measured(Court):
    """A court that keeps statistics instead of judging."""

    def __init__(self, audit: bool = False) -> None:
        super().__init__(slots=9)
        self.stats = Stats(lambda: self.time, audit, lambda actor: ROLES.get(actor, "user"))
        self.settled: list[str] = []
        self.stats.on_settled = lambda task: self.settled.append(task.metadata.name)
        self.server.observers.append(self.stats.committed)

    def mark(self, name: str = "a") -> None:
        changes = {"metadata": {"annotations": {ANNOTATION_AUDITED: "true"}}}
        self.server.patch("op", self.task(name), changes, None)

    def remove(self, name: str = "a") -> None:
        self.server.delete("user", self.task(name))

    def phases(self) -> dict[str, int]:
        return {str(phase): count for phase, count in self.stats.phases.items() if count}


@pytest.fixture
def court() -> Measured:
    return Measured()


def test_a_wait_lasts_from_the_creation_to_the_first_claim(court: Measured) -> None:
    court.pending()
    court.wait(3)
    court.assign()
    court.wait(4)
    court.claim()
    court.wait(100)
    court.release("n1/1", handbacks=1)
    court.assign()
    court.claim()
    assert list(court.stats.waits) == [7 * SECOND]
    assert court.stats.attempts == 2


def test_percentiles_are_those_of_the_nearest_rank(court: Measured) -> None:
    assert court.stats.wait_percentiles() == {"p50": 0.0, "p95": 0.0, "max": 0.0}
    for number in range(40):
        court.stats.waits.append((40 - number) * SECOND)
    assert court.stats.wait_percentiles() == {"p50": 20.0, "p95": 38.0, "max": 40.0}
    court.stats.waits = type(court.stats.waits)("q", [5 * SECOND])
    assert court.stats.wait_percentiles() == {"p50": 5.0, "p95": 5.0, "max": 5.0}


def test_busy_time_counts_every_claim_whatever_came_of_it(court: Measured) -> None:
    court.running("a")
    court.wait(10)
    court.running("b")
    court.wait(10)
    court.execute("a")
    court.finish("a")
    court.wait(10)
    court.release("n1/1", "b", handbacks=1)
    court.wait(10)
    court.running("c")
    court.wait(10)
    assert court.stats.busy == 40 * SECOND
    assert court.stats.busy_until(court.time) == 50 * SECOND


def test_verifying_is_busy_too_and_one_claim(court: Measured) -> None:
    court.running()
    court.wait(5)
    court.write("n1/1", phase=Phase.VERIFYING)
    court.wait(5)
    court.execute()
    court.finish()
    assert (court.stats.busy, len(court.stats.waits)) == (10 * SECOND, 1)


def test_the_makespan_goes_from_the_first_creation_to_the_last_end(court: Measured) -> None:
    assert court.stats.makespan() == 0
    court.wait(5)
    court.running("a")
    court.wait(10)
    court.running("b")
    assert court.stats.makespan() == 0, "nothing has ended"
    for name in "ab":
        court.execute(name)
        court.finish(name)
        court.wait(10)
    assert court.stats.makespan() == 20 * SECOND


def test_every_task_is_counted_in_one_phase(court: Measured) -> None:
    for name in "abcd":
        court.pending(name)
    court.assign("b")
    court.assign("c")
    court.claim("c")
    court.assign("d")
    court.claim("d")
    court.execute("d")
    court.finish("d")
    assert court.phases() == {"Pending": 1, "Scheduled": 1, "Running": 1, "Succeeded": 1}
    assert court.stats.verdicts == {"GO": 1}
    assert (court.stats.created, court.stats.settled, court.stats.landed) == (4, 1, 1)


def test_an_end_by_the_operator_is_no_result_that_landed(court: Measured) -> None:
    court.running()
    court.write("op", phase=Phase.FAILED, verdict="INCOMPLETE", finished_at=1)
    assert (court.stats.settled, court.stats.landed) == (1, 0)


def test_a_task_deleted_before_its_end_counts_as_deleted_and_holds_nothing(court: Measured) -> None:
    court.running("a")
    court.wait(5)
    court.remove("a")
    court.wait(5)
    assert (court.stats.deleted, court.stats.busy_until(court.time)) == (1, 5 * SECOND)
    assert court.phases() == {}
    assert court.settled == ["a"]


def test_a_finished_task_that_is_deleted_stays_in_the_count(court: Measured) -> None:
    court.running()
    court.execute()
    court.finish()
    court.remove()
    assert (court.stats.settled, court.stats.deleted, court.phases()) == (1, 0, {"Succeeded": 1})
    assert court.settled == ["a"]


def test_with_records_a_task_is_done_with_once_its_record_is_kept() -> None:
    court = Measured(audit=True)
    court.running()
    court.execute()
    court.finish()
    assert court.settled == []
    court.mark()
    assert court.settled == ["a"]
    court.mark()
    court.remove()
    assert court.settled == ["a"]


def test_with_records_a_finished_task_deleted_before_its_record_is_waited_for_no_longer() -> None:
    court = Measured(audit=True)
    court.running()
    court.execute()
    court.finish()
    court.remove()
    assert (court.settled, court.stats.settled, court.stats.deleted) == (["a"], 1, 0)


SMALL = """
fleet: {cpu: {count: 2}}
workload: {count: 6}
executor: {duration: 30s}
"""


def test_a_run_accounts_for_every_task_and_every_second() -> None:
    w = run(SMALL)
    stats = w.stats
    assert (stats.created, stats.settled, stats.attempts, len(stats.waits)) == (6, 6, 6, 6)
    assert {str(phase): count for phase, count in stats.phases.items() if count} == {"Succeeded": 6}
    assert stats.busy == pytest.approx(6 * 30 * SECOND, rel=0.01)
    assert stats.busy == stats.busy_until(w.now())
    assert stats.makespan() >= 90 * SECOND
    percentiles: dict[str, Any] = stats.wait_percentiles()
    assert percentiles["p50"] <= percentiles["p95"] <= percentiles["max"]
