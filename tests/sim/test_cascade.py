"""The reclaim cascade is metastable: the same load, with and without a spike long past, ends in two different states."""

from __future__ import annotations

from sim.load import load
from sim.world import World

CASCADE = "zoo/hermes-49064-reclaim-cascade"


def run(*sets: str) -> World:
    return World(load(CASCADE, ["expect={}", "until=30m", *sets])).run()


def running(w: World) -> int:
    return sum(map(len, w.checkers.live.values()))


def test_without_the_spike_workers_that_cannot_be_stopped_do_no_harm() -> None:
    calm = run("faults=[]")
    assert (calm.stats.phases["Succeeded"], calm.checkers.violations) == (20, [])


def test_long_after_the_spike_nothing_gets_done_and_the_duplicates_grow() -> None:
    spiked, later = run("until=15m"), run()
    assert spiked.stats.phases["Succeeded"] == later.stats.phases["Succeeded"] == 0
    assert running(later) > 1.5 * running(spiked) > 50


def test_workers_that_stop_get_over_the_spike_in_minutes() -> None:
    mended = run("mutations=[]")
    assert (mended.stats.phases["Succeeded"], mended.checkers.violations) == (20, [])
    assert mended.stats.makespan() < 7 * 60_000_000
