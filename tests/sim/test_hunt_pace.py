"""What keeps a schedule of a hunt cheap: nothing is made twice that could be made once, and no run outlives its trial."""

from __future__ import annotations

import gc
import weakref

import pytest

from foreman.api import AgenticTask
from sim.hunt import trial
from sim.hunt.search import Budget, Hunt
from sim.load import check
from sim.machines import machine_of
from sim.once import once
from sim.schedule import Drawn, menu
from sim.stream import Stream
from sim.workload import arrivals
from sim.world import World

CLAIM = {"fleet": {"node": {"count": 2}}, "workload": {"count": 1}, "executor": {"duration": "2s"}}


def test_a_world_is_gone_when_the_next_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds: list[weakref.ref[World]] = []
    alive: list[int] = []

    class Counted(World):
        def __init__(self, *args: object, **more: object) -> None:
            alive.append(sum(each() is not None for each in worlds))
            worlds.append(weakref.ref(self))
            super().__init__(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(trial, "World", Counted)
    Hunt(check(CLAIM), "random", Budget(20, None)).run()
    assert alive == [0] * 20
    assert gc.isenabled()


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_more_probes_are_drawn_than_the_budget_has_room_for(jobs: int) -> None:
    hunt = Hunt(check(CLAIM), "random", Budget(7, None), jobs).run()
    assert (hunt.coverage.schedules, hunt.strategy.number) == (7, 7)


def test_what_follows_from_the_scenario_alone_is_made_once() -> None:
    scenario = check(CLAIM)
    (one,), (two,) = (list(arrivals(scenario, seed, Drawn(seed))) for seed in (1, 2))
    assert one.task.spec is two.task.spec
    assert machine_of(scenario.fleet["node"]) is machine_of(scenario.fleet["node"])
    assert menu(scenario.network.latency) is menu(scenario.network.latency)


def test_two_that_are_equal_but_not_the_same_do_not_share() -> None:
    made: list[object] = []
    build = once(lambda of: made.append(of) or len(made))
    one, two = {"a": 1}, {"a": 1}
    assert [build(one), build(two), build(one), build(two)] == [1, 2, 1, 2]


def test_a_mix_is_drawn_as_the_seed_has_it() -> None:
    mixed = {"count": 40, "mix": {"heavy": {"priority": 1}, "never": {"weight": 0}, "light": {"weight": 3}}}
    scenario = check(CLAIM | {"workload": mixed})

    def priorities(seed: int) -> list[int]:
        return [
            each.task.spec.priority
            for each in arrivals(scenario, seed, Drawn(seed))
            if isinstance(each.task, AgenticTask)
        ]

    assert priorities(1) == priorities(1) != priorities(2)
    assert set(priorities(1)) == {0, 1}


def test_a_stream_draws_the_same_whenever_it_is_first_drawn_from() -> None:
    early, late = Stream(3, "x"), Stream(3, "x")
    drawn = [early.bits(32) for _ in range(3)]
    assert [late.bits(32) for _ in range(3)] == drawn
    with pytest.raises(AttributeError):
        late.byts  # noqa: B018
