"""Warm-up, and what is measured after it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support import run

from foreman.api import Phase
from sim.sweep.steady import BATCH, Steady, mser, stranding

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


def test_a_slot_is_stranded_while_it_is_free_and_something_waits() -> None:
    assert stranding([(0, 10)], [(0, 4)], slots=2, begin=0, end=10) == 4
    assert stranding([(0, 10)], [(0, 4)], slots=1, begin=0, end=10) == 0
    assert stranding([], [(2, 5), (4, 20)], slots=3, begin=0, end=10) == 3 * 8
    assert stranding([], [], slots=3, begin=0, end=10) == 0


_SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted).map(tuple), max_size=8)


@given(_SPANS, _SPANS, st.integers(1, 9), st.integers(0, 15))
def test_stranding_is_what_counting_moment_by_moment_gives(held: list, waited: list, slots: int, begin: int) -> None:
    def at(spans: list, moment: int) -> int:
        return sum(since <= moment < until for since, until in spans)

    counted = sum(max(slots - at(held, t), 0) for t in range(begin, 30) if at(waited, t))
    assert stranding(held, waited, slots, begin, 30) == counted


MIXED = """
fleet:
  {plain}: {{}}
  large: {{accelerator: cuda, ramGB: 64}}
  small: {{accelerator: cuda, ramGB: 8}}
executor: {{duration: 10s}}
tasks:
  any: {{at: 5s, spec: {{kind: freeform, payload: {{prompt: x}}}}}}
  train: {{at: 8s, spec: {{kind: freeform, payload: {{prompt: x}}, requiredCapability: {{accelerator: cuda, minRAMGB: 32}}}}}}
"""


def scarce(plain: str) -> dict[str, float]:
    """First-fit goes by name."""
    from sim.load import parse
    from sim.sweep.cell import Cell, run

    row = run(Cell(parse(MIXED.format(plain=plain), "mixed"), {}, 1))
    assert row["verdict"] == "ok", row["error"]
    return {
        name: round(row[f"{name}.cuda"] * 2 * row["makespan_seconds"]) for name in ("utilisation", "others", "stranded")
    }


def test_who_took_the_gpus_and_which_were_free_while_somebody_waited_for_one() -> None:
    """In slot-seconds of two GPUs. A task that any slot would do for takes the large GPU for ten seconds, and for seven of them
    the small one is free and of no use to the task that waits; with a plain machine before it in line nobody waits."""
    assert scarce("a") == {"utilisation": 10, "others": 0, "stranded": 0}
    assert scarce("z") == {"utilisation": 20, "others": 10, "stranded": 7}
