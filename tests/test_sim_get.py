"""`foreman sim get`: the cluster of a run at a virtual time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from cli_kit import cli, one_line


def lines(*words: str) -> list[str]:
    done = cli("sim", "get", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def cells(*words: str) -> list[list[str]]:
    return [line.split() for line in lines(*words)]


def test_a_table_has_the_columns_of_kubectl_and_ages_of_that_time() -> None:
    assert cells("zombie-agent", "at", "--at", "20s") == [
        ["NAME", "PHASE", "KIND", "NODE", "VERDICT", "AGE"],
        ["task-0", "Running", "freeform", "node-0", "15s"],
    ]


def test_without_a_time_it_is_the_end() -> None:
    assert cells("zombie-agent", "at", "task-0")[1][:5] == ["task-0", "Succeeded", "freeform", "node-1", "GO"]


@pytest.mark.parametrize("kind", ["fn", "FN", "FleetNode", "fleetnodes", "fleetnodes.foreman.llmkube.dev"])
def test_kinds_are_called_as_in_kubectl(kind: str) -> None:
    assert lines("zombie-agent", kind, "-o", "name", "--at", "20s")[0] == "fleetnode.foreman.llmkube.dev/node-0"


def test_a_document_carries_the_version_it_had_then() -> None:
    early, late = (
        yaml.safe_load("\n".join(lines("zombie-agent", "at/task-0", "-o", "yaml", "--at", at))) for at in ("20s", "5m")
    )
    assert early["status"]["phase"] == "Running"
    assert int(early["metadata"]["resourceVersion"]) < int(late["metadata"]["resourceVersion"])
    assert json.loads("\n".join(lines("zombie-agent", "at", "-o", "json", "--at", "20s")))["items"] == [early]
    assert lines("zombie-agent", "at", "-o", "wide", "--at", "20s")[1].endswith(early["metadata"]["resourceVersion"])


def test_a_stretch_of_time_is_told_change_by_change() -> None:
    _, *rows = cells("zombie-agent", "at", "--between", "5s,6s")
    assert [row[1:5] for row in rows] == [
        ["ADDED", "user", "task-0", "freeform"],
        ["MODIFIED", "operator-0/1", "task-0", "Pending"],
        ["MODIFIED", "operator-0/1", "task-0", "Scheduled"],
        ["MODIFIED", "node-0/1", "task-0", "Running"],
    ]
    told = [json.loads(line) for line in lines("zombie-agent", "at", "--between", "5s,6s", "-o", "json")]
    assert [each["type"] for each in told] == [row[1] for row in rows]
    assert cells("zombie-agent", "at", "--between", f"0,{rows[1][0]}s")[1:] == rows[:1]


def test_a_trace_is_looked_into_as_the_run_is(tmp_path: Path) -> None:
    trace = str(tmp_path / "out.jsonl")
    cli("sim", "run", "zombie-agent", "--seed", "3", "--quiet", "--trace", trace)
    wanted = ("fn", "-o", "wide", "--at", "2m")
    assert lines(trace, *wanted) == lines("zombie-agent", *wanted, "--seed", "3")


def test_a_namespace_narrows_what_has_one() -> None:
    assert len(lines("zombie-agent", "at", "-n", "default")) == 2
    assert cells("zombie-agent", "at", "-A")[1][0] == "default"
    nowhere = cli("sim", "get", "zombie-agent", "at", "-n", "other")
    assert (nowhere.returncode, nowhere.stdout) == (0, "")
    assert "in namespace other" in nowhere.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fleetnoed"], "did you mean 'fleetnode'"),
        (["at", "task-0", "--at", "2s"], "it existed from 5.001s to the end"),
        (["at", "task-7"], "never existed"),
        (["at", "--at", "soon"], "--at: 'soon' is not a duration"),
        (["at", "--between", "40s"], "FROM,TO"),
        (["at", "--between", "40s,30s"], "not before"),
        (["at", "--at", "1s", "--between", "1s,2s"], "exclude"),
        (["at", "-n", "a", "-A"], "exclude"),
        (["at", "-o", "xml"], "table, wide, yaml, json, name"),
        (["at/task-0", "task-0"], "KIND/NAME"),
    ],
)
def test_bad_input_gets_one_line(words: list[str], says: str) -> None:
    assert says in one_line(cli("sim", "get", "zombie-agent", *words))


def test_a_trace_that_is_none_is_refused() -> None:
    assert "gone.jsonl" in one_line(cli("sim", "get", "gone.jsonl", "at"))
    assert "a trace is of one run" in one_line(cli("sim", "get", "gone.jsonl", "at", "--seed", "1"))


def test_after_the_end_of_the_run_it_says_so() -> None:
    done = cli("sim", "get", "zombie-agent", "at", "--at", "9h")
    assert "the run ended at" in done.stderr
    assert "Succeeded" in done.stdout
