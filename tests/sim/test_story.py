"""The story of an object: what its writers knew, what overtook them, and what of it is told at a glance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_kit import cli, one_line

from sim.causes import at_a_glance, explained
from sim.load import load
from sim.story import NoSuchTask, Subject, from_run

Row = dict[str, Any]


@pytest.fixture(scope="module")
def race() -> list[Row]:
    return explained(from_run(load("claim-race"), None, "task-03"))


def test_a_refused_write_names_what_overtook_it(race: list[Row]) -> None:
    refused = [row for row in race if row.get("outcome") == "Conflict"]
    written = {row["version"]: row for row in race if row.get("outcome") == "ok" and row["what"] == "patch_status"}
    assert refused
    first = refused[0]
    by = written[first["overtaken"]["version"]]
    assert (by["actor"], by["t"]) == (first["overtaken"]["actor"], first["overtaken"]["t"])
    assert by["t"] <= first["t"]
    assert int(first["read"]) < int(by["version"])


def test_a_write_says_how_its_version_was_known(race: list[Row]) -> None:
    claim = next(row for row in race if "Running=True/Claimed" in row.get("detail", ""))
    shown = [row for row in race if row["what"] == "event" and row["actor"] == claim["actor"]]
    known = next(row for row in shown if row["version"] == claim["read"])
    assert claim["basis"] == {"what": "event", "t": known["t"]}
    done = next(row for row in race if "phase=Succeeded" in row.get("detail", ""))
    assert done["basis"] in ({"what": "own write", "t": claim["t"]}, {"what": "event", "t": done["basis"]["t"]})


def test_what_is_shown_late_is_stale(race: list[Row]) -> None:
    stale = [row for row in race if "stale" in row]
    assert stale
    assert all(int(row["version"]) < int(row["stale"]["version"]) and row["t"] >= row["stale"]["t"] for row in stale)


def test_at_a_glance_caches_and_bystanders_are_left_out(race: list[Row]) -> None:
    told = at_a_glance(race)
    assert {"event", "list"}.isdisjoint(row["what"] for row in told)
    assert [row for row in told if row["what"].startswith("patch")] == [
        row for row in race if row["what"].startswith("patch")
    ]
    everywhere = explained(from_run(load("zombie-agent"), None, "fn/node-2"))
    assert [row["what"] for row in everywhere if row["what"] == "fault"] == ["fault", "fault"]
    # The partition hit node-0, which has nothing to do with node-2.
    assert not [row for row in at_a_glance(everywhere) if row["what"] == "fault"]


@pytest.mark.parametrize(
    ("asked", "subject"),
    [
        ("task-0", Subject("AgenticTask", "task-0", None)),
        ("default/task-0", Subject("AgenticTask", "task-0", "default")),
        ("fn/node-0", Subject("FleetNode", "node-0", None)),
        ("Lease/default/foreman", Subject("Lease", "foreman", "default")),
    ],
)
def test_an_object_is_named_with_its_kind_unless_it_is_a_task(asked: str, subject: Subject) -> None:
    assert Subject.of(asked) == subject


@pytest.mark.parametrize("asked", ["", "fn/", "a/b/c/d", "nodez/a/b"])
def test_what_names_no_object_is_refused(asked: str) -> None:
    with pytest.raises(ValueError, match=r"expected|unknown kind"):
        Subject.of(asked)


def test_an_object_that_never_was_is_refused() -> None:
    with pytest.raises(NoSuchTask, match="node-9"):
        from_run(load("zombie-agent"), None, "fn/node-9")
    assert "fn/node-9" in one_line(cli("sim", "story", "zombie-agent", "fn/node-9"))


def test_a_trace_tells_all_that_the_run_does(tmp_path: Path) -> None:
    trace = str(tmp_path / "out.jsonl")
    cli("sim", "run", "stale-cache", "--quiet", "--trace", trace)
    from_run_, from_trace_ = (
        cli("sim", "story", file, "task-000", "--all", "--json").stdout for file in ("stale-cache", trace)
    )
    assert from_run_ == from_trace_
    assert any(json.loads(line)["what"] in ("list", "event") for line in from_run_.splitlines())
