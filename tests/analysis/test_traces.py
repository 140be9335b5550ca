"""A trace file is the run as tables: both formats tell the same, and the tables tell what the run was."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from cli_kit import cli

from sim.analysis import Run, load
from sim.analysis.tables import COLUMNS, TABLES, TYPES
from sim.load import load as scenario
from sim.load import parse
from sim.recording import Batch, Recording
from sim.replay import look_at_trace
from sim.result import result_of
from sim.story import from_trace
from sim.trace import END, MACHINE, MOVED, NODE, STATES, Row, Trace
from sim.tracefile import read_trace, recording, writing
from sim.world import World

STORM = """
fleet: {cuda: {count: 3, accelerator: cuda, ramGB: 64, slots: 2}, mac: {count: 2, accelerator: metal}}
workload:
  count: 60
  arrivals: {poisson: 4/s}
  shape: {tree: {branching: 3, depth: 3}}
  mix: {train: {weight: 3, requires: {accelerator: cuda}, priority: 5}, lint: {weight: 2}}
executor: {duration: {lognormal: {median: 3s, p95: 9s}}, verdicts: {GO: 90, NO-GO: 10}}
operators: {replicas: 2}
faults: [{at: 8s, fault: crash, host: cuda-*, for: 2m}, {at: 9s, fault: loss, host: mac-*, probability: 0.2, for: 1m}]
"""
SCENARIOS = {"storm": STORM, "claim-race": "", "zombie-agent": "", "workload-escalation": ""}


def written(path: Path, name: str = "storm") -> World:
    run = parse(SCENARIOS[name], "storm.yaml") if SCENARIOS[name] else scenario(name)
    with recording(path, f"foreman sim run {name} --seed 0") as trace:
        world = World(run, trace=trace).run()
        trace.end(result_of(world))
    return world


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(scope="module", params=SCENARIOS)
def both(request: pytest.FixtureRequest, folder: Path) -> tuple[World, Run, Run]:
    paths = [folder / f"{request.param}{suffix}" for suffix in (".jsonl", ".parquet")]
    worlds = [written(path, request.param) for path in paths]
    return worlds[0], load(paths[0]), load(paths[1])


def test_both_formats_hold_the_same_tables(both: tuple[World, Run, Run]) -> None:
    _, lines, parquet = both
    assert {*parquet} == {*TABLES}
    for name in TABLES:
        pd.testing.assert_frame_equal(lines[name], parquet[name])
    assert (lines.scenario, lines.seed, lines.replay) == (parquet.scenario, parquet.seed, parquet.replay)
    assert lines.result == parquet.result


def test_the_result_of_the_run_travels_with_it(both: tuple[World, Run, Run]) -> None:
    world, run, _ = both
    assert run.result == {
        name: value for name, value in json.loads(json.dumps(result_of(world))).items() if name not in MACHINE
    }
    assert run.end == world.now() / 1e6


def test_tasks_are_those_of_the_run(both: tuple[World, Run, Run]) -> None:
    world, _, run = both
    tasks = run.tasks
    assert tasks["task"].is_unique
    assert len(tasks) == world.stats.created
    phases = tasks["phase"].value_counts().to_dict()
    assert phases.get("Succeeded", 0) == world.stats.phases["Succeeded"]
    assert phases.get("Failed", 0) == world.stats.phases["Failed"]
    waits = sorted(tasks["wait"].dropna())
    assert [round(each * 1e6) for each in waits] == sorted(world.stats.waits)


def test_attempts_are_the_assignments(both: tuple[World, Run, Run]) -> None:
    world, _, run = both
    attempts = run.attempts
    assert len(attempts) == world.stats.attempts == run.tasks["attempts"].sum()
    assert not attempts.duplicated(["task", "attempt"]).any()
    begun = attempts[attempts["claimed"].notna()]
    assert (begun["assigned"] <= begun["claimed"]).all()
    ends = begun["ended"].fillna(run.end)
    assert round((ends - begun["claimed"]).sum() * 1e6) == world.stats.busy_until(world.now())


def test_calls_are_those_the_server_answered(both: tuple[World, Run, Run]) -> None:
    world, _, run = both
    calls = run.api_calls
    assert int((calls["outcome"] == "Conflict").sum()) == run.result["conflicts"]  # type: ignore[index]
    assert calls["seq"].is_monotonic_increasing
    assert int((run.executions["event"] == "started").sum()) == world.executions


def test_nodes_never_hold_more_than_they_run_and_end_empty(both: tuple[World, Run, Run]) -> None:
    _, _, run = both
    nodes = run.nodes
    assert (nodes["running"] <= nodes["holding"]).all()
    assert (nodes["running"] >= 0).all()
    unfinished = set(run.attempts.loc[run.attempts["ended"].isna(), "node"].dropna())
    last = nodes.groupby("node").last()
    assert set(last[last["holding"] > 0].index) == unfinished


def test_transitions_chain(both: tuple[World, Run, Run]) -> None:
    _, _, run = both
    for _, moves in run.transitions.groupby("task"):
        assert pd.isna(moves["was"].iloc[0])
        assert moves["was"].iloc[1:].tolist() == moves["phase"].iloc[:-1].tolist()


def test_classes_faults_and_causes_are_told(folder: Path) -> None:
    written(folder / "told.parquet")
    run = load(folder / "told.parquet")
    assert set(run.tasks["class"]) == {"train", "lint"}
    assert set(run.tasks.loc[run.tasks["class"] == "train", "accelerator"]) == {"cuda"}
    assert run.tasks["depends_on"].notna().any()
    struck = run.faults[~run.faults["over"]]
    assert struck["fault"].tolist() == ["crash"] * 3 + ["loss"] * 2
    lost = run.attempts[run.attempts["outcome_phase"] == "Pending"]
    assert len(lost) > 0
    assert lost["reason"].notna().all()


def test_violations_are_in_the_trace(tmp_path: Path) -> None:
    run = scenario("claim-race", ["mutations=[unconditional-writes]"])
    with recording(tmp_path / "bad.parquet") as trace:
        world = World(run, trace=trace).run()
    loaded = load(tmp_path / "bad.parquet")
    assert loaded.result is None
    told = zip(loaded.violations["invariant"], loaded.violations["message"], strict=True)
    assert [*told] == [(each.invariant, each.message) for each in world.checkers.violations]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_parquet_file_gives_the_log_back_row_by_row(folder: Path, name: str) -> None:
    lines, parquet = folder / f"log-{name}.jsonl", folder / f"log-{name}.parquet"
    written(lines, name)
    written(parquet, name)
    kept = [row for row in read_trace(lines) if row["what"] not in STATES or row["what"] == END]
    assert [*read_trace(parquet)] == kept


def test_story_and_the_middle_of_a_run_come_from_either(folder: Path) -> None:
    paths = [folder / "either.jsonl", folder / "either.parquet"]
    for path in paths:
        written(path, "zombie-agent")
    stories = [from_trace(path, "task-0") for path in paths]
    assert stories[0] == stories[1]
    assert [look_at_trace(path, "default/task-0", 20_000_000).history for path in paths] != [[], []]


def test_a_row_group_holds_one_table_and_says_so(folder: Path) -> None:
    written(folder / "groups.parquet")
    file = pq.ParquetFile(folder / "groups.parquet")
    for number in range(file.num_row_groups):
        statistics = file.metadata.row_group(number).column(0).statistics
        assert statistics.min == statistics.max
        assert statistics.min in TABLES
    tasks = pd.read_parquet(folder / "groups.parquet", filters=[("table", "==", "tasks")], columns=["task", "wait"])
    assert len(tasks) == 60


def test_memory_is_bounded_by_flushing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sim.recording
    from sim.analysis import parquet

    written(folder / "whole.parquet")
    monkeypatch.setattr(parquet, "GROUP", 100)
    monkeypatch.setattr(parquet, "BATCH", 37)
    monkeypatch.setattr(sim.recording, "BATCH", 10)
    written(folder / "pieces.parquet")
    assert pq.ParquetFile(folder / "pieces.parquet").num_row_groups > 20
    whole, pieces = load(folder / "whole.parquet"), load(folder / "pieces.parquet")
    for name in TABLES:
        pd.testing.assert_frame_equal(whole[name], pieces[name])
    assert [*read_trace(folder / "pieces.parquet")] == [*read_trace(folder / "whole.parquet")]


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_file_written_in_bulk_says_what_was_told_row_by_row(folder: Path, name: str, suffix: str) -> None:
    bulk, rowwise = folder / f"bulk-{name}{suffix}", folder / f"rowwise-{name}{suffix}"
    world = written(bulk, name)
    told: list[Row] = []
    with writing(rowwise) as writer:

        def put(row: Row) -> None:
            told.append(row)
            writer.put(row)

        trace = Trace(put, f"foreman sim run {name} --seed 0")
        again = World(world.scenario, trace=trace).run()
        trace.end(result_of(again))
    for each in (bulk, rowwise):
        found = [*read_trace(each)]
        rows = [row for row in told if row["what"] not in (MOVED, NODE)] if suffix == ".parquet" else told
        assert found == rows
    one, other = load(bulk), load(rowwise)
    for table in TABLES:
        pd.testing.assert_frame_equal(one[table], other[table])


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_equal_runs_write_the_same_bytes(folder: Path, suffix: str) -> None:
    files = [folder / f"{name}{suffix}" for name in ("first", "second")]
    for each in files:
        written(each)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_no_more_of_a_run_is_held_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    import sim.recording

    class Largest:
        def __init__(self) -> None:
            self.batches: list[Batch] = []

        def put(self, row: Row) -> None: ...

        def take(self, batch: Batch) -> None:
            self.batches.append(batch)

    monkeypatch.setattr(sim.recording, "BATCH", 50)
    writer = Largest()
    World(parse(STORM, "storm.yaml"), trace=Recording(writer)).run()
    assert len(writer.batches) > 5
    assert {len(batch.calls[0]) for batch in writer.batches} == {50}


def test_a_json_trace_that_was_cut_short_says_where(folder: Path, tmp_path: Path) -> None:
    written(folder / "cut.jsonl")
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes((folder / "cut.jsonl").read_bytes()[:50_001])
    with pytest.raises(ValueError, match=r"cut\.jsonl:\d+: not a line of a trace") as told:
        load(cut)
    assert "\n" not in str(told.value)


def test_a_trace_changes_nothing(folder: Path) -> None:
    world = written(folder / "same.parquet")
    assert world.digest.hexdigest() == World(parse(STORM, "storm.yaml")).run().digest.hexdigest()


def test_every_column_is_documented_and_used() -> None:
    used = {column for table in TABLES.values() for column in table.columns}
    assert used == {*COLUMNS}
    assert all(column.type in TYPES and column.about for column in COLUMNS.values())
    fields = {name for name, column in COLUMNS.items() if column.type == "float"}
    assert all(COLUMNS[name].unit == "s" for name in fields)


# what is refused


def refused(path: Path) -> str:
    with pytest.raises(ValueError) as error:
        load(path)
    message = str(error.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_a_truncated_parquet_file_is_refused(folder: Path, tmp_path: Path) -> None:
    written(folder / "cut.parquet")
    whole = (folder / "cut.parquet").read_bytes()
    for size in (0, 3, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.parquet").write_bytes(whole[:size])
        assert "cut short" in refused(tmp_path / "cut.parquet")


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "foreign.parquet")
    assert "not a trace" in refused(tmp_path / "foreign.parquet")
    (tmp_path / "foreign.jsonl").write_text('{"a": 1}\n')
    assert "not a line of a trace" in refused(tmp_path / "foreign.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    assert "not a line of a trace" in refused(tmp_path / "binary.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    assert "does not say which run" in refused(tmp_path / "empty.jsonl")
    (tmp_path / "trace.csv").write_text("a,b\n")
    assert "ends in .jsonl or .parquet" in refused(tmp_path / "trace.csv")


def test_another_format_is_refused_with_the_version_that_wrote_it(folder: Path, tmp_path: Path) -> None:
    written(folder / "new.jsonl")
    header, *rest = (folder / "new.jsonl").read_text().splitlines()
    told = json.loads(header) | {"format": 99, "version": "9.9"}
    (tmp_path / "next.jsonl").write_text("\n".join([json.dumps(told), *rest]))
    assert "written by Foreman 9.9 in format 99" in refused(tmp_path / "next.jsonl")
    del told["format"]
    (tmp_path / "old.jsonl").write_text("\n".join([json.dumps(told), *rest]))
    assert "in format 0" in refused(tmp_path / "old.jsonl")


def test_the_columns_are_told_by_a_command() -> None:
    told = cli("sim", "tables").stdout
    assert all(f"**{name}**" in told for name in TABLES)
    assert all(f"| {name} | {' | '.join(column)} |" in told for name, column in COLUMNS.items())


def test_a_parquet_file_that_is_damaged_behind_its_footer_is_refused(folder: Path, tmp_path: Path) -> None:
    written(folder / "rot.parquet")
    content = bytearray((folder / "rot.parquet").read_bytes())
    content[200 : len(content) // 4] = b"Z" * (len(content) // 4 - 200)
    (tmp_path / "rot.parquet").write_bytes(content)
    run = load(tmp_path / "rot.parquet")
    with pytest.raises(ValueError, match=r"rot\.parquet: damaged: ") as told:
        [run[name] for name in TABLES]
    assert "\n" not in str(told.value)
