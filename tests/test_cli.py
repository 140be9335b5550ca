"""The command line as a user meets it: exit codes, one-line errors, JSON, traces, stories, ^C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import foreman

COMMAND = [sys.executable, "-m", "foreman.cli"]
KEYS = {
    *("scenario", "seed", "digest", "verdict", "violations", "tasks", "verdicts", "conflicts", "attempts"),
    *("api_calls", "events", "executions", "wait_seconds", "makespan_seconds", "virtual_seconds", "wall_seconds"),
    *("tasks_per_second", "utilisation"),
}


def cli(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=cwd, timeout=120)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("foreman: ")
    return done.stderr


def test_version() -> None:
    assert cli("--version").stdout == f"foreman {foreman.__version__}\n"


def test_json_is_one_object_with_the_promised_keys() -> None:
    done = cli("sim", "run", "claim-race", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result.keys() >= KEYS
    assert set(result["tasks"]) >= {"total", "succeeded", "failed", "pending", "running"}
    assert set(result["executions"]) == {"started", "landed", "discarded"}
    assert set(result["wait_seconds"]) == {"p50", "p95", "max"}


def test_json_differs_between_equal_runs_in_wall_time_only() -> None:
    one, two = (json.loads(cli("sim", "run", "zombie-agent", "--json").stdout) for _ in range(2))
    assert {key for key in one if one[key] != two[key]} <= {"wall_seconds", "tasks_per_second"}


def test_the_summary_names_what_matters_and_how_to_replay_it() -> None:
    done = cli("sim", "run", "zombie-agent", "--seed", "5", "--set", "linger=1m")
    assert done.returncode == 0
    assert done.stderr == "", "no progress bar where nobody looks"
    for word in ("zombie-agent", "1 discarded", "fenced-result", "digest"):
        assert word in done.stdout
    assert "foreman sim run zombie-agent --seed 5 --set linger=1m\n" in done.stdout


def test_quiet_says_nothing_when_all_is_well() -> None:
    done = cli("sim", "run", "m2-stub-task", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["claim-race", "--set", "mutations=[unconditional-writes]"], 3),
        (["missing-dependency", "--set", "mutations=[silent-waits]"], 4),
        (["m2-stub-task", "--set", "expect={tasks.succeeded: 2}"], 5),
    ],
)
def test_the_exit_code_tells_what_is_wrong(words: list[str], code: int) -> None:
    done = cli("sim", "run", *words)
    assert done.returncode == code
    assert "violated:" in done.stdout or "expected tasks.succeeded = 2, got 1" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sim", "run", "no-such-scenario"], "no-such-scenario"),
        (["sim", "run", "claim-rase"], "claim-race"),
        (["sim", "run", "claim-race", "--seed", "abc"], "--seed"),
        (["sim", "run", "claim-race", "--until", "soon"], "until"),
        (["sim", "run", "claim-race", "--set", "workload.cuont=3"], "count"),
        (["sim", "run", "claim-race", "--set", "workload.count"], "="),
        (["sim", "run", "claim-race", "--set", "policy=best-fitt"], "best-fit"),
        (["sim", "run", "claim-race", "--set", "workload.count=1000000000"], "memory"),
        (["sim", "run", "claim-race", "--trace", "/no/such/folder/out.jsonl"], "/no/such/folder/out.jsonl"),
        (["sim", "rnu"], "run"),
        (["sim", "story", "zombie-agent", "task-9"], "task-9"),
        (["sim", "story", "gone.jsonl", "task-0"], "gone.jsonl"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(words: list[str], says: str) -> None:
    if says == "memory":
        assert "tasks need about" in one_line(cli(*words))
    else:
        assert says in one_line(cli(*words))


def test_a_trace_tells_the_same_story_as_the_run(tmp_path: Path) -> None:
    trace = tmp_path / "out.jsonl"
    assert cli("sim", "run", "zombie-agent", "--quiet", "--trace", str(trace)).returncode == 0
    rows = [json.loads(line) for line in trace.read_text().splitlines()]
    assert {"t", "actor", "what"} <= rows[0].keys()
    from_trace = cli("sim", "story", str(trace), "task-0", "--json").stdout
    from_run = cli("sim", "story", "zombie-agent", "task-0", "--json").stdout
    about = [json.loads(line) for line in from_trace.splitlines() if json.loads(line).get("key")]
    assert about == [json.loads(line) for line in from_run.splitlines() if json.loads(line).get("key")]
    assert any(row["what"] == "get" and "attempt=2" in row.get("detail", "") for row in about)


def test_a_file_that_is_no_trace_is_refused_with_its_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"t": 1, "actor": "x", "what": "get"}\nnot json\n')
    assert "bad.jsonl:2" in one_line(cli("sim", "story", str(bad), "task-0"))


def test_interrupt_ends_with_a_partial_summary(tmp_path: Path) -> None:
    trace = tmp_path / "out.jsonl"
    process = subprocess.Popen(
        [*COMMAND, "sim", "run", "million", "--set", "fleet.node.count=50", "--trace", str(trace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not (trace.exists() and trace.stat().st_size):
        time.sleep(0.05)  # until it is in the middle of its work
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in out
    assert "Traceback" not in err


def test_list_and_schema_and_crds() -> None:
    listed = cli("sim", "list").stdout
    assert "claim-race" in listed
    assert json.loads(cli("sim", "schema").stdout)["properties"]["fleet"]
    assert cli("crds").stdout.count("kind: CustomResourceDefinition") == 5


def test_crds_are_written_as_files_on_demand(tmp_path: Path) -> None:
    assert cli("crds", "--output", str(tmp_path / "out")).returncode == 0
    assert len(list((tmp_path / "out").glob("*.yaml"))) == 5
