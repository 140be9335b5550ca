"""Single faults: each plan strikes what it is for, what is pruned would have found nothing more, and the oracle sees what no
invariant of the way does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sim.ending import ABSENT
from sim.fault import Fault
from sim.hunt import search
from sim.hunt.case import case_of
from sim.hunt.plans import DOUBLE, MOMENT, NOTHING, OVERTAKEN, REFUSED, REPLICA, UNREAD, Planned
from sim.hunt.record import recorded, replay, save
from sim.hunt.schedules import Swerving
from sim.hunt.search import Budget, Hunt, Runner
from sim.hunt.shrink import Shrink
from sim.hunt.strategies import STRATEGIES, SingleFault
from sim.hunt.trial import Probe, Trial, attempt
from sim.hunt.walk import POSSIBLE, Walk
from sim.load import check
from sim.trace import Trace
from sim.world import World

CLAIM = {
    "name": "claim",
    "fleet": {"node": {"count": 2}},
    "operators": {"replicas": 3},
    "workload": {"count": 2, "arrivals": {"every": "3s"}},
    "executor": {"duration": "20s"},
    "checks": {"linearizable": True},
}
MUTATIONS = ("", "unconditional-writes", "stale-dispatch", "doubted-reports")


def hunt_of(*mutations: str) -> Hunt:
    return Hunt(check(CLAIM | {"mutations": list(filter(None, mutations))}), SingleFault.name, Budget(100_000, None))


def probes_of(plans: Iterable[Planned]) -> list[Probe]:
    return [Probe(SingleFault.name, number, 0, (each.fault,), place=each.place) for number, each in enumerate(plans)]


def tried(hunt: Hunt, plans: Iterable[Planned]) -> list[Trial]:
    return list(Runner(hunt.scenario).run(probes_of(plans)))


def kept(hunt: Hunt, fault: str = "") -> list[Planned]:
    return [each for each in hunt.strategy.ground.plans if not each.why_not and fault in ("", each.sort)]


@pytest.fixture(scope="module", params=MUTATIONS)
def ground(request: pytest.FixtureRequest) -> tuple[Hunt, list[Trial]]:
    hunt = hunt_of(request.param)
    return hunt, tried(hunt, kept(hunt))


def broken(trials: Iterable[Trial]) -> set[str]:
    return {each.broken.invariant for each in trials if each.broken is not None}


@pytest.mark.skipif(not POSSIBLE, reason="without os.fork every trial runs from its start")
def test_a_copy_of_the_run_comes_to_what_the_run_from_its_start_comes_to() -> None:
    hunt = hunt_of()
    probes = probes_of(kept(hunt))
    assert list(Runner(hunt.scenario).run(probes)) == [attempt(hunt.scenario, each, Swerving({})) for each in probes]


def test_every_plan_strikes_once(ground: tuple[Hunt, list[Trial]]) -> None:
    missed = [trial.probe.faults[0] for trial in ground[1] if sum(trial.fired.values()) != 1]
    assert missed == []


@pytest.mark.parametrize("why", [NOTHING, REFUSED, MOMENT, REPLICA, UNREAD, DOUBLE])
def test_what_is_pruned_finds_nothing_that_what_is_tried_does_not(ground: tuple[Hunt, list[Trial]], why: str) -> None:
    hunt, trials = ground
    pruned = [each for each in hunt.strategy.ground.plans if each.why_not == why]
    assert pruned or hunt.scenario.mutations, "the scenario is there to have one of each"
    assert broken(tried(hunt, pruned)) <= broken(trials)


def test_some_mutations_are_there_to_be_found(ground: tuple[Hunt, list[Trial]]) -> None:
    hunt, trials = ground
    assert bool(broken(trials)) == bool(hunt.scenario.mutations)


def test_a_refused_write_that_is_lost_is_lost_whatever_becomes_of_its_answer() -> None:
    hunt = hunt_of()
    same = [each for each in hunt.strategy.ground.plans if each.why_not == REFUSED]
    lost = {each.place: each for each in kept(hunt, "lose-request")}
    assert same
    for one, other in zip(tried(hunt, same), tried(hunt, [lost[each.place] for each in same]), strict=True):
        assert (one.path, one.states, one.verdict) == (other.path, other.states, other.verdict)


def test_a_late_request_that_is_refused_is_a_lost_one() -> None:
    hunt = hunt_of()
    late = tried(hunt, kept(hunt, "delay-request"))
    lost = {each.probe.place: each for each in tried(hunt, kept(hunt, "lose-request"))}
    refused = [each for each in late if not each.landed]
    assert refused
    assert any(each.landed for each in late)
    for each in refused:
        assert (each.path, each.states) == (lost[each.probe.place].path, lost[each.probe.place].states)
    assert hunt.run().strategy.complete  # type: ignore[attr-defined]
    assert f"{len(refused)} {OVERTAKEN}" in next(iter(hunt.strategy.covered()))


def test_doubled_events_change_nothing_one_by_one() -> None:
    hunt = hunt_of()
    doubles = [each for each in hunt.strategy.ground.plans if each.why_not == DOUBLE]
    nothing = Fault.model_validate({"fault": "crash", "on": {"actor": "nobody"}})
    calm = attempt(hunt.scenario, Probe(SingleFault.name, 1, 0, (nothing,)), Swerving({}))
    assert doubles
    assert {each.path for each in tried(hunt, doubles)} == {calm.path}


def test_who_is_asked_for_too_long_has_given_up() -> None:
    on = {"verb": "patch_status", "kind": "AgenticTask", "actor": "node-*", "nth": 1}
    trace = Trace()
    World(check(CLAIM | {"faults": [{"fault": "delay-request", "by": "12s", "on": on}]}), trace=trace).run()
    (struck,) = [each for each in trace if each["what"] == "fault"]
    late = next(each for each in trace if each["t"] == struck["t"] + 12_000_000 and each["what"] == "patch_status")
    between = [each for each in trace if struck["t"] < each["t"] < late["t"] and each["actor"] == late["actor"]]
    assert any(each["t"] >= struck["t"] + 10_000_000 for each in between), (
        "it asked again before the first was answered"
    )


def test_only_the_end_tells_that_a_result_was_lost(tmp_path: Path) -> None:
    hunt = hunt_of("doubted-reports").run()
    assert hunt.verdict == "liveness"
    assert hunt.found is not None
    found = case_of(hunt.scenario, hunt.found)
    assert found is not None
    case = Shrink(found, Budget(60, None)).run()
    assert case.size() <= found.size()
    scenario = recorded(case, "lost-result")
    again = replay(save(scenario, tmp_path)[0])
    assert again.identical
    assert again.violates
    assert {each["invariant"] for each in again.result["violations"]} == {"differential"}
    assert "without faults Succeeded" in case.violation.message
    healthy = World(scenario.model_copy(update={"mutations": ()})).run()
    assert healthy.checkers.violations == []
    assert healthy.checkers.checks["differential"]


def test_a_scenario_that_announces_what_differs_is_held_to_the_rest() -> None:
    cut = {"at": "5s", "fault": "delete-task", "host": "task-0"}
    told = CLAIM | {"faults": [cut], "checks": {"differential": True}, "linger": "1m"}
    (violation,) = World(check(told)).run().checkers.violations
    assert (violation.invariant, violation.task) == ("differential", "default/task-0")
    assert ABSENT in violation.message
    assert World(check(told | {"expect": {"differs": ["task-0"]}})).run().checkers.violations == []


def test_several_processes_find_what_one_does() -> None:
    one, two = (Hunt(check(CLAIM), SingleFault.name, Budget(80, None), jobs).run().coverage for jobs in (1, 2))
    assert (one.paths, one.states, one.checked) == (two.paths, two.states, two.checked)


@pytest.mark.skipif(not POSSIBLE, reason="without os.fork there is no walk")
def test_no_process_has_to_begin_its_walk_again(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Walk] = []

    class Counted(Walk):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            begun.append(self)

    monkeypatch.setattr(search, "Walk", Counted)
    hunt = hunt_of()
    hunt.chunk = 1
    assert hunt.run().coverage.schedules > 100
    assert len(begun) <= 2, "one more for the lost requests that are not the late ones"


def test_the_strategy_is_one_of_all() -> None:
    assert SingleFault.name in STRATEGIES
