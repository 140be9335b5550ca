"""A sweep: every setting under the same seeds, kept as it goes, told with intervals."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from cli_kit import cli, one_line

from sim.load import load, shipped
from sim.sweep.axis import axis
from sim.sweep.cell import AUTO, Cell, Row, run
from sim.sweep.estimate import estimate, paired
from sim.sweep.grid import grid
from sim.sweep.picture import picture
from sim.sweep.sheet import BadSheet, Sheet, about, read
from sim.sweep.sweep import Outcome, Sweep
from sim.sweep.workers import Workers, processes

SMALL = """
name: small
fleet: {gpu: {count: 2}}
workload: {count: 6, arrivals: {poisson: 30/m}}
executor: {duration: {uniform: [1s, 9s]}}
"""
VARY = ("fleet.gpu.count=1,3", "policy=first-fit,best-fit")


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return str(path)


class Here:
    """An executor that runs at once, in this process, and counts."""

    def __init__(self) -> None:
        self.ran = 0

    def submit(self, job: Any, cell: Cell) -> Any:
        from concurrent.futures import Future

        self.ran += 1
        future: Future[Row] = Future()
        future.set_result(job(cell))
        return future


def swept(small: str, out: Path, seeds: int, vary: tuple[str, ...] = VARY, warm_up: int = 0) -> tuple[Sweep, Here]:
    axes = [axis(item) for item in vary]
    settings = grid(small, axes)
    made = Sweep(settings, seeds, Sheet(out, about(small, axes, settings, warm_up)), warm_up)
    here = Here()
    made.run(Workers(here, 1))  # type: ignore[arg-type]
    made.sheet.close(whole=True)
    return made, here


def test_every_setting_runs_under_the_same_seeds(small: str, tmp_path: Path) -> None:
    made, _ = swept(small, tmp_path / "a.parquet", seeds=3)
    told, rows = read(tmp_path / "a.parquet")
    assert told["axes"] == {"fleet.gpu.count": ["1", "3"], "policy": ["first-fit", "best-fit"]}
    cells = {(row["vary.fleet.gpu.count"], row["vary.policy"], row["seed"]) for row in rows}
    assert cells == {(n, p, s) for n in (1, 3) for p in ("first-fit", "best-fit") for s in range(3)}
    assert {row["verdict"] for row in rows} == {"ok"}
    outcome = Outcome(made.sheet.rows, told["axes"])
    assert outcome.settings == [(1, "first-fit"), (1, "best-fit"), (3, "first-fit"), (3, "best-fit")]
    assert (
        outcome.estimate((1, "first-fit"), "wait_seconds.mean").mean
        > outcome.estimate((3, "first-fit"), "wait_seconds.mean").mean
    )


def test_the_rows_are_those_of_single_runs(small: str, tmp_path: Path) -> None:
    from sim.result import result_of
    from sim.world import World

    made, _ = swept(small, tmp_path / "a.parquet", seeds=2)
    for row in made.sheet.rows:
        sets = [f"fleet.gpu.count={row['vary.fleet.gpu.count']}", f"policy={row['vary.policy']}"]
        result = result_of(World(load(small, sets), row["seed"]).run())
        assert row["makespan_seconds"] == result["makespan_seconds"]
        assert row["wait_seconds.p95"] == result["wait_seconds"]["p95"]
        assert row["utilisation"] == pytest.approx(result["utilisation"], abs=1e-4)


def test_it_goes_on_where_it_stood(small: str, tmp_path: Path) -> None:
    out = tmp_path / "a.parquet"
    _, first = swept(small, out, seeds=2)
    _, again = swept(small, out, seeds=2)
    _, more = swept(small, out, seeds=3)
    assert (first.ran, again.ran, more.ran) == (8, 0, 4)
    assert len(read(out)[1]) == 12


def test_the_journal_survives_a_killed_sweep(small: str, tmp_path: Path) -> None:
    out = tmp_path / "a.parquet"
    axes = [axis(item) for item in VARY]
    settings = grid(small, axes)
    killed = Sweep(settings, 2, Sheet(out, about(small, axes, settings, 0)))
    for cell in killed.cells[:5]:
        killed.sheet.add(run(cell))
    half = killed.sheet.journal.read_text() + '{"seed": 1, "ver'
    killed.sheet.journal.write_text(half)
    made, here = swept(small, out, seeds=2)
    assert here.ran == 3
    assert len(made.sheet.rows) == 8
    assert not made.sheet.journal.exists()


def test_the_file_of_another_sweep_is_not_written_over(small: str, tmp_path: Path) -> None:
    out = tmp_path / "a.parquet"
    swept(small, out, seeds=1)
    with pytest.raises(BadSheet, match="holds another sweep"):
        swept(small, out, seeds=1, vary=("fleet.gpu.count=1,2",))
    with pytest.raises(BadSheet, match="holds another sweep"):
        swept(small, out, seeds=1, warm_up=AUTO)
    assert len(read(out)[1]) == 4


def test_a_cell_that_crashes_is_told_and_the_rest_goes_on(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sim.sweep.cell

    whole = sim.sweep.cell.World

    def breaking(scenario: Any, seed: int) -> Any:
        if seed == 1 and scenario.policy == "best-fit":
            raise RuntimeError("out of luck")
        return whole(scenario, seed)

    monkeypatch.setattr(sim.sweep.cell, "World", breaking)
    made, _ = swept(small, tmp_path / "a.parquet", seeds=2)
    outcome = Outcome(made.sheet.rows, made.sheet.about["axes"])
    assert [(each.vary, each.seed, each.error) for each in outcome.failures] == [
        ((1, "best-fit"), 1, "RuntimeError: out of luck"),
        ((3, "best-fit"), 1, "RuntimeError: out of luck"),
    ]
    assert outcome.estimate((1, "best-fit"), "makespan_seconds").runs == 1
    monkeypatch.undo()
    made, here = swept(small, tmp_path / "a.parquet", seeds=2)
    assert here.ran == 2, "what crashed is run again"
    assert not Outcome(made.sheet.rows, made.sheet.about["axes"]).failures


def test_a_violation_is_a_failure_too(small: str) -> None:
    row = run(Cell(load("claim-race", ["mutations=[unconditional-writes]"]), {}, 0))
    assert row["verdict"] == "safety"
    assert "single-execution" in row["error"] or row["error"]


def test_differences_are_seed_by_seed() -> None:
    rows: list[Row] = [
        {"vary.p": p, "seed": s, "verdict": "ok", "error": "", "m": 100 * s + (0 if p == "a" else 1 + s / 100)}
        for s in range(5)
        for p in ("a", "b")
    ]
    (found,) = Outcome(rows, {"p": ["a", "b"]}).differences("p", ["m"])
    assert (found.base, found.other, found.by.certain) == ("a", "b", True)
    assert 1 < found.by.mean < 1.1
    ours, theirs = ([row["m"] for row in rows if row["vary.p"] == p] for p in ("a", "b"))
    assert estimate(theirs).low < estimate(ours).high, "unpaired, chance hides it"


def test_an_interval_is_student_s() -> None:
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.mean == 3
    assert found.half == pytest.approx(2.776445 * (2.5**0.5) / 5**0.5, rel=1e-5)
    assert estimate([7.0]).half == float("inf")
    assert paired({1: 1.0}, {2: 2.0}) is None


def test_every_shipped_scenario_travels_to_another_process() -> None:
    for name in shipped():
        scenario = load(name)
        assert pickle.loads(pickle.dumps(scenario)) == scenario


def test_processes_run_cells(small: str) -> None:
    cells = [Cell(each.scenario, each.vary, 0) for each in grid(small, [axis("fleet.gpu.count=1,2")])]
    with processes(1) as workers:
        rows = [row for _, row in workers.run(cells)]
    assert [row for row in sorted(rows, key=lambda row: row["vary.fleet.gpu.count"]) if row.pop("wall_seconds")] == [
        row for row in map(run, cells) if row.pop("wall_seconds")
    ]


def test_a_picture_has_a_panel_for_each_metric(small: str, tmp_path: Path) -> None:
    made, _ = swept(small, tmp_path / "a.parquet", seeds=2)
    outcome = Outcome(made.sheet.rows, made.sheet.about["axes"])
    drawn = picture(outcome, ["wait_seconds.mean", "utilisation"])
    assert [axes.get_title(loc="left") for axes in drawn.figure.axes] == ["wait_seconds.mean", "utilisation"]
    assert [len(axes.get_lines()) for axes in drawn.figure.axes] == [2, 2]
    drawn.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="cannot be told apart"):
        picture(Outcome(_many(), {"a": ["1"], "b": [str(n) for n in range(9)]}), ["m"])


def _many() -> list[Row]:
    return [{"vary.a": 1, "vary.b": n, "seed": 0, "verdict": "ok", "error": "", "m": n} for n in range(9)]


def test_the_command_as_a_user_gives_it(small: str, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    words = [
        "sim",
        "sweep",
        small,
        "--vary",
        "policy=first-fit,best-fit",
        "--seeds",
        "2",
        "--out",
        str(out),
        "--jobs",
        "1",
    ]
    done = cli(*words, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["cells"], told["of"], told["failures"]) == (4, 4, [])
    assert [each["policy"] for each in told["settings"]] == ["first-fit", "best-fit"]
    assert {each["metric"] for each in told["differences"]} >= {"utilisation", "conflicts"}
    text = cli(*words).stdout
    assert "first-fit" in text
    assert "±" in text
    assert "4 of them from before" in text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--vary", "fleet.gpu.cuont=1,2"], "--vary fleet.gpu.cuont=1"),
        (
            ["--vary", "fleet.gpuu.count=1,2"],
            "--vary fleet.gpuu.count: the fleet has no group 'gpuu', did you mean 'gpu'",
        ),
        (["--vary", "policy"], "expected path.to.field=VALUES"),
        (["--vary", "policy=first-fit", "--vary", "policy=best-fit"], "given twice"),
        (["--vary", "policy=first-fit", "--seeds", "0"], "--seeds"),
        (["--vary", "policy=first-fit", "--out", "x.csv"], "ends in .parquet"),
        (["--vary", "policy=first-fit", "--warm-up", "soon"], "--warm-up"),
        (["--vary", "policy=first-fit", "--dask", "tcp://127.0.0.1:1"], "no Dask scheduler"),
        (["--vary", "policy=first-fit", "--dask", "x", "--jobs", "2"], "leave one out"),
    ],
)
def test_bad_input_is_one_line(small: str, tmp_path: Path, words: list[str], why: str) -> None:
    extra = [] if "--out" in words else ["--out", str(tmp_path / "o.parquet")]
    done = cli("sim", "sweep", small, *words, *extra)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_foreign_file_is_refused(small: str, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.parquet"
    foreign.write_bytes(b"PAR1 is not enough")
    assert "not a Parquet file" in one_line(
        cli("sim", "sweep", small, "--vary", "policy=first-fit", "--out", str(foreign))
    )


def test_a_dask_cluster_runs_cells(small: str) -> None:
    distributed = pytest.importorskip("distributed")
    from sim.sweep.workers import dask

    cells = [Cell(each.scenario, each.vary, 0) for each in grid(small, [axis("fleet.gpu.count=1,2")])]
    quiet = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**quiet) as cluster, dask(cluster.scheduler_address) as workers:
        rows = [row for _, row in workers.run(cells)]
    assert {row["vary.fleet.gpu.count"] for row in rows} == {1, 2}
    assert {row["verdict"] for row in rows} == {"ok"}
