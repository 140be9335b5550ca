"""What the strategies promise, on planted bugs of a known depth: pct finds them as often as its theory says, a small jitter
does not, and delay-bounded finds what needs k late messages at k, having rightly shown that fewer are not enough."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice, product
from math import ceil, log

import pytest
from planted import LATE_START, LATENCY, TORN, TORN_TWICE, Planted

from sim.draw import distribution
from sim.hunt.schedules import Swerving
from sim.hunt.strategies.bounded import DelayBounded
from sim.hunt.strategies.pct import DEPTH, Pct
from sim.hunt.strategies.strategy import schedule_of
from sim.hunt.trial import Probe, Trial
from sim.schedule import Drawn, menu

BUGS = (LATE_START, TORN, TORN_TWICE)
SURE = log(100)
"""So many times the expected number of schedules misses a bug once in a hundred."""
JITTER = distribution({"uniform": ["1ms", "1400us"]})
TINY = Planted(2, {"a": 1, "b": 2, "c": 1}, lambda order: order[0] == "c1")
"""Whoever begins before the last host must be late."""
TINIER = Planted(3, dict.fromkeys("abcd", 1), lambda order: order[0] == "d1")


def bound(bug: Planted) -> float:
    """The least share of pct's schedules that find it: 1 / (n k^(d-1)), n hosts, k messages, depth d."""
    return 1 / (len(bug.hosts) * bug.ground().messages ** (bug.depth - 1))


def enough(bug: Planted) -> int:
    return ceil(SURE / bound(bug))


def probes(bug: Planted, depth: int, seed: int = 0) -> Iterator[Probe]:
    """pct's probes of that depth."""
    strategy = Pct(bug.ground(seed))
    while True:
        probe = strategy.probe()
        if len(probe.swerves) == depth - 1:
            yield probe


@pytest.mark.parametrize("bug", BUGS, ids=["depth-1", "depth-2", "depth-3"])
def test_pct_finds_a_bug_at_least_as_often_as_its_theory_says(bug: Planted) -> None:
    tried = islice(probes(bug, bug.depth), enough(bug))
    found = [bug.found(schedule_of(each)) for each in tried]
    assert any(found)
    assert sum(found) / len(found) >= bound(bug)


@pytest.mark.parametrize("bug", BUGS[1:], ids=["depth-2", "depth-3"])
def test_fewer_changes_of_priority_do_not_find_it(bug: Planted) -> None:
    for depth in range(1, bug.depth):
        assert not any(bug.found(schedule_of(each)) for each in islice(probes(bug, depth), 200))


def test_pct_tries_every_depth_in_turn() -> None:
    strategy = Pct(LATE_START.ground())
    depths = [len(strategy.probe().swerves) + 1 for _ in range(2 * DEPTH)]
    assert sorted(depths) == sorted([*range(1, DEPTH + 1)] * 2)


def test_usual_latencies_do_not_find_the_deepest_one_in_as_many_schedules() -> None:
    orders = [TORN_TWICE.order(Drawn(seed), JITTER) for seed in range(enough(TORN_TWICE))]
    assert len({*map(tuple, orders)}) > 5
    assert not any(map(TORN_TWICE.wrong, orders))


# delay-bounded


def bounded(bug: Planted, most: int) -> tuple[DelayBounded, Probe | None]:
    """Hunt until the bug is found, or until the bound `most` is proved."""
    strategy = DelayBounded(bug.ground())
    while strategy.proved < most and (probe := strategy.probe()) is not None:
        schedule = schedule_of(probe)
        assert isinstance(schedule, Swerving)
        if len(probe.swerves) > most:
            break
        if bug.found(schedule):
            return strategy, probe
        strategy.learn(Trial(probe, "ok", None, schedule.drawn, {}, {}, frozenset(), 0))
    return strategy, None


def brute(bug: Planted, late: int) -> set[tuple[str, ...]]:
    """The orders of all schedules with exactly so many late messages, each late in any way."""
    choices = range(len(menu(distribution(LATENCY))))
    messages = range(1, bug.ground().messages + 1)
    swerves = (
        zip(at, how, strict=True) for at in combinations(messages, late) for how in product(choices, repeat=late)
    )
    return {tuple(bug.order(Swerving(dict(each)))) for each in swerves}


@pytest.mark.parametrize(("bug", "needed"), [(TINY, 2), (TINIER, 3)])
def test_a_bug_that_needs_one_late_message_more_than_the_bound_is_found_right_after_it(
    bug: Planted, needed: int
) -> None:
    wrong = [any(bug.wrong([*order]) for order in brute(bug, late)) for late in range(needed + 1)]
    assert wrong == [False] * needed + [True]
    strategy, probe = bounded(bug, needed + 1)
    assert probe is not None
    assert strategy.proved == needed - 1
    assert len(probe.swerves) == needed
    claim = f"no violation in any schedule in which at most {needed - 1} messages are late (seed 0)"
    assert list(strategy.covered()) == [claim]


@pytest.mark.parametrize("late", [0, 1, 2])
def test_what_is_claimed_of_a_bound_is_true_of_every_order_within_it(late: int) -> None:
    reached = set().union(*(brute(TINY, fewer) for fewer in range(late + 1)))
    seen: set[tuple[str, ...]] = set()
    nothing = TINY._replace(wrong=lambda order: bool(seen.add(tuple(order))))
    strategy, found = bounded(nothing, late)
    assert found is None
    assert strategy.proved == late
    assert seen == reached
    for order in reached:
        bug = TINY._replace(wrong=lambda landed, order=order: landed == list(order))
        assert bounded(bug, late)[1] is not None
