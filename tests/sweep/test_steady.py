"""Warm-up, and what is measured after it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support import run

from foreman.api import Phase
from sim.sweep.steady import BATCH, Steady, mser

QUEUE = """
fleet: {gpu: {count: 1}}
workload: {count: 4}
executor: {duration: 10s}
"""


def measured(cut: int) -> tuple[dict[str, float], int]:
    from sim.load import parse
    from sim.world import World

    world = World(parse(QUEUE, "queue"))
    steady = Steady(world.now)
    world.server.observers.append(steady.committed)
    world.run()
    assert world.stats.phases[Phase.SUCCEEDED] == 4
    return steady.told(cut, world.stats.last_ended, world.slots), world.stats.last_ended


def test_without_a_cut_it_agrees_with_the_result() -> None:
    from sim.result import result_of

    whole, _ = measured(0)
    result = result_of(run(QUEUE))
    for name in ("p50", "p95", "max"):
        assert whole[f"wait_seconds.{name}"] == result["wait_seconds"][name]
    assert whole["wait_seconds.mean"] > 0
    assert 0.9 < whole["utilisation"] <= 1


def test_tasks_before_the_cut_do_not_count() -> None:
    after, end = measured(10_000_000)
    assert after["wait_seconds.max"] == 0, "all tasks came at the beginning"
    assert after["warm_up_seconds"] == 10
    idle, _ = measured(end)
    assert idle["utilisation"] == 0


def test_a_transient_is_cut_and_a_steady_series_is_not() -> None:
    steady = [10.0, 12.0, 9.0, 11.0, 8.0] * 40
    transient = [200.0 - 5 * n for n in range(38)]
    assert mser(steady) == 0
    assert 30 <= mser(transient + steady) <= 45


@given(st.lists(st.floats(0, 1e6), max_size=300))
def test_at_most_half_is_cut_in_whole_batches(series: list[float]) -> None:
    cut = mser(series)
    assert cut % BATCH == 0
    assert cut <= len(series) / 2 + BATCH
