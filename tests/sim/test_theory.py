"""The validation against theory: its arithmetic, each family on small runs, and for each a product that turns it red."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cli_kit import cli, one_line

from foreman.agent.agent import AgentParts
from foreman.agent.registrar import Registrar
from foreman.decide.queueing import Rank
from foreman.liveness import Liveness
from foreman.operator import OperatorParts
from foreman.scheduler import Scheduler
from sim.draw import Exponential
from sim.mutations import Product, mutated
from sim.student import interval, quantile
from sim.theory import (
    birthday,
    choices,
    formulas,
    general_service,
    heartbeats,
    many_servers,
    optimism,
    priorities,
    single_server,
    station,
    validation,
)
from sim.theory.row import Expected, Family, Row, judge

FEW = 4
"""Replications here: enough for an interval, far too few for a narrow one."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(station, "WARM_UP", 100)
    for module in (single_server, many_servers, general_service, priorities):
        monkeypatch.setattr(module, "TASKS", 1000)
    monkeypatch.setattr(many_servers, "BUSY_TASKS", 2000)
    monkeypatch.setattr(many_servers, "BUSY_WARM_UP", 500)
    monkeypatch.setattr(choices, "TASKS", 200)
    monkeypatch.setattr(choices, "WARM_UP", 150)
    monkeypatch.setattr(birthday, "TRIALS", 10)
    monkeypatch.setattr(optimism, "LANDED", 600)
    monkeypatch.setattr(heartbeats, "LOSSY_HOURS", 3)


def judged(family: Family, product: Product | None = None, few: int = FEW) -> dict[str, bool | None]:
    """Which rows hold, however wide their intervals are."""
    lenient = {name: each._replace(precision=100.0) for name, each in family.theory.items()}
    samples = [family.measure(validation.seed_of(family.name, number), product) for number in range(few)]
    return {row.name: row.ok for row in judge(replace(family, theory=lenient), samples, 1)}


def family(name: str) -> Family:
    (found,) = (each for each in validation.FAMILIES.values() if each.name.startswith(name))
    return found


# arithmetic


@pytest.mark.parametrize(
    ("confidence", "freedom", "t"),
    [(0.95, 1, 12.7062), (0.95, 2, 4.3027), (0.99, 9, 3.2498), (0.99, 10, 3.1693), (0.9, 30, 1.6973)],
)
def test_quantiles_of_student_are_those_of_the_tables(confidence: float, freedom: int, t: float) -> None:
    assert quantile(confidence, freedom) == pytest.approx(t, abs=1e-4)


def test_an_interval_is_the_mean_and_t_standard_errors() -> None:
    mean, low, high = interval([1.0, 2.0, 3.0], 0.95)
    assert (mean, (high - low) / 2) == pytest.approx((2.0, 4.3027 / 3**0.5), abs=1e-3)


@pytest.mark.parametrize(
    ("servers", "load", "waits", "wait"),
    [
        (1, 0.8, 0.8, 4.0),
        (2, 0.8, 0.71111, 1.77778),
        (10, 0.8, 0.40918, 0.20459),
        (10, 0.95, 0.82559, 1.65117),
        (100, 0.95, 0.50646, 0.10129),
    ],
)
def test_erlang_c(servers: int, load: float, waits: float, wait: float) -> None:
    assert formulas.erlang_c(servers, load) == pytest.approx(waits, abs=1e-5)
    assert formulas.mmc_wait(servers, load) == pytest.approx(wait, abs=1e-5)


def test_other_closed_forms() -> None:
    assert formulas.cobham((0.3, 0.5)) == pytest.approx([1.1429, 5.7143], abs=1e-4)
    assert formulas.pollaczek_khinchine(0.8, 1.0) == pytest.approx(4.0)
    assert [formulas.joining_shortest(0.9, d) for d in (1, 2, 5)] == pytest.approx([10, 2.614, 1.633], abs=1e-3)
    assert formulas.birthday(10, 50) == pytest.approx((0.6183, 0.8536), abs=1e-4)
    assert formulas.birthday(23, 365) == pytest.approx((0.5073, 0.6800), abs=1e-4)
    assert formulas.conflicts(0.09, True) > formulas.conflicts(0.09, False) == 0.09


@pytest.mark.parametrize(
    ("values", "expected", "ok"),
    [
        ([1.0, 1.1, 0.9, 1.0], Expected(1.0, precision=0.5), True),
        ([1.0, 1.1, 0.9, 1.0], Expected(1.0, precision=0.01), False),
        ([1.0, 1.1, 0.9, 1.0], Expected(1.5, precision=0.5), False),
        ([1.0, 1.1, 0.9, 1.0], Expected(1.5, slack=0.3, precision=0.5), True),
    ],
)
def test_a_row_is_ok_when_theory_is_in_an_interval_that_is_narrow(
    values: list[float], expected: Expected, ok: bool
) -> None:
    made = Family("f", "", "", "", {"q": expected}, lambda seed, product: {}, 4)
    (row,) = judge(made, [{"q": value} for value in values], 1)
    assert row.ok is ok
    assert ok or row.note


# the product against theory, and products that theory finds out


def test_one_slot_serves_as_lindley_says_to_the_microsecond() -> None:
    """Nothing but queueing is left: the product adds no time of its own between two services, nor takes any away."""
    meter = station.served(station.station(1, 1, 0.8, 300), 7, None)
    visits = sorted(meter.visits())
    free_at = visits[0].began
    for visit in visits:
        assert visit.began == max(visit.arrived, free_at)
        free_at = visit.ended


def test_a_queue_with_one_server() -> None:
    assert judged(family("M/M/1,")) == {"Wq": True, "P(wait)": True}


def test_draws_that_are_not_exponential_turn_the_queue_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Exponential, "_unclamped", lambda self, stream: lambda: self.exponential * 5 // 4)
    assert False in judged(family("M/M/1,")).values()


class FirstNode(Scheduler):
    """Everything goes to the first node; the others idle."""

    def _choose(self, group: Any, task: Any) -> str | None:
        chosen = super()._choose(group, task)
        return chosen if chosen == "server-0" else None


@pytest.mark.parametrize("name", ["M/M/2", "M/M/10, load 0.8"])
def test_many_servers(name: str) -> None:
    assert set(judged(family(name)).values()) == {True}


def test_a_busy_station_is_warmed_up_for_longer() -> None:
    meter = station.served(station.station(1, 1, 0.5, 200), 1, None)
    assert len(meter.visits()) == 200
    assert meter.visits(150) == meter.visits()[150:]
    assert family("M/M/10, load 0.95").measure.func is many_servers.measure_busy


def test_a_scheduler_that_does_not_use_all_its_servers_is_red() -> None:
    # An unstable queue has no end: fewer services of it do as well.
    made = replace(family("M/M/2"), measure=lambda seed, product: many_servers.measure(2, 1, 0.4, seed, product))
    theory = {"P(wait)": Expected(formulas.erlang_c(2, 0.4)), "Wq": Expected(formulas.mmc_wait(2, 0.4))}
    made = replace(made, theory=theory)
    assert judged(made) == {"P(wait)": True, "Wq": True}
    assert judged(made, Product(operator=OperatorParts(scheduler=FirstNode))) == {"P(wait)": False, "Wq": False}


@pytest.mark.parametrize("name", ["M/D/1", "M/two-point/1"])
def test_services_of_other_distributions(name: str) -> None:
    assert set(judged(family(name)).values()) == {True}
    other = family("M/D/1") if name != "M/D/1" else family("M/two-point/1")
    assert judged(replace(family(name), measure=other.measure), few=8)["Wq"] is False


class Unordered(Scheduler):
    rank = staticmethod(lambda task: Rank(0, 0, task.metadata.creation_timestamp, task.key))


def test_priorities_and_what_a_scheduler_without_them_cannot_hide() -> None:
    assert set(judged(family("priority")).values()) == {True}
    found = judged(family("priority"), Product(operator=OperatorParts(scheduler=Unordered)), few=8)
    assert found["W urgent"] is False
    assert found["conserved"] is True


def test_the_power_of_choices() -> None:
    assert set(judged(family("power of d")).values()) == {True}


def test_one_choice_is_not_two() -> None:
    assert judged(family("power of d"), choices.choosing(1))["sojourn, d = 2"] is False


def test_the_claim_birthday_and_everybody_taking_the_first() -> None:
    assert judged(family("claim birthday")) == {"P(conflict)": True, "losers": True}
    assert birthday.losers(10, 50, 1, Product()) == 9
    assert birthday.losers(10, 50, 1, mutated(("unconditional-writes",))) == 0


def test_conflicts_and_writes_that_nobody_refuses() -> None:
    assert set(judged(family("OCC")).values()) == {True}
    assert optimism.fraction(30, True, 1, mutated(("unconditional-writes",))) == 0


class Impatient(Liveness):
    timeout = 60.0


class Drifting(Registrar):
    """Counts the interval from the end of the last request: one that waits for its answer delays the next."""

    async def beat_for_ever(self) -> None:
        while not self.draining:
            await self.runtime.sleep(self.interval)
            await self._tick()


def test_detection_of_crashes() -> None:
    assert set(judged(family("heartbeat")).values()) == {True}
    assert False in judged(family("heartbeat"), Product(operator=OperatorParts(liveness=Impatient))).values()


def test_false_expiry_and_a_heartbeat_that_drifts() -> None:
    assert set(judged(family("false expiry")).values()) == {True}
    assert False in judged(family("false expiry"), Product(agent=AgentParts(registrar=Drifting))).values()


class Postdating:
    """A client whose reports are dated late."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def patch_status(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        late = {"finished_at": changes["finished_at"] + 3} if changes.get("finished_at") else {}
        return await self.inner.patch_status(obj, {**changes, **late}, if_version=if_version)


def test_littles_law_and_books_that_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(family("Little"), few=3) == {"L / (lambda W)": True}
    assert judged(family("Little"), Product(wrap=Postdating), few=3) == {"L / (lambda W)": False}


@pytest.mark.parametrize("scenario", ["happy-path", "claim-race", "zombie-agent"])
def test_littles_law_holds_on_any_run_that_ends_empty(scenario: str) -> None:
    from sim.load import load
    from sim.world import World

    world = World(load(scenario), check=False)
    meter = station.Meter(world)
    world.run()
    assert meter.imbalance() < 1e-9
    meter.area = meter.area * 101 // 100
    assert meter.imbalance() > 1e-3


# the command


def test_the_table_is_the_same_in_one_process_and_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [family("heartbeat").name, family("dominant").name]
    monkeypatch.setitem(validation.FAMILIES, names[0], replace(family("heartbeat"), replications=3))
    seen: list[int] = []
    one = validation.validate(names, 1, lambda done, total, name: seen.append(done))
    assert (seen, one) == ([1, 2, 3], validation.validate(names, 2))
    assert [row.name for row in one] == ["crash to NotReady", names[1]]


def test_the_list_names_every_family_and_runs_nothing() -> None:
    told = json.loads(cli("sim", "validate", "--list", "--json").stdout)
    assert [each["family"] for each in told] == list(validation.FAMILIES)


def test_a_green_table_exits_with_0() -> None:
    done = cli("sim", "validate", "--only", "detection", "--only", "fairness", "--jobs", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 rows ok" in done.stdout
    assert "Foreman has no quotas" in done.stdout


def test_a_red_row_exits_with_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from typer import Exit

    from foreman.cli.validate import validate

    red = Row("f", "q", "", "1.0", 2.0, 1.9, 2.1, False, "away")
    monkeypatch.setattr(validation, "validate", lambda names, jobs, progress: [red])
    with pytest.raises(Exit) as ended:
        validate(None, 1, False, False)
    assert ended.value.exit_code == 1
    assert "NOT OK" in capsys.readouterr().out


def test_an_unknown_family_is_refused_in_one_line() -> None:
    assert "no such family" in one_line(cli("sim", "validate", "--only", "M/M/7"))
