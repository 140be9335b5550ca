"""Reports as files: the same from a run as from its traces, self-contained, whole or not there, and refusals in one line."""

from __future__ import annotations

import json
import re
import tomllib
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from cli_kit import cli, one_line
from report_kit import BROKEN, HOSTILE, data_of, renamed, reported, scenario_of, traced

from sim.causes import at_a_glance, explained
from sim.report import page
from sim.story import from_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["claim-race", "scheduler-failover", "three-strikes", "cascade"])
def test_a_report_is_the_same_from_the_run_and_from_either_trace(tmp_path: Path, name: str) -> None:
    told = {}
    for suffix in (".jsonl", ".parquet"):
        trace = traced(tmp_path / f"run{suffix}", name)
        told[suffix, "run"] = trace.with_suffix(".html").read_bytes()
        done = cli("sim", "report", str(trace), "-o", str(tmp_path / "report.html"))
        assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'report.html'}\n")
        told[suffix, "trace"] = (tmp_path / "report.html").read_bytes()
    assert len({*told.values()}) == 1


@pytest.mark.parametrize("name", ["claim-race", "three-strikes"])
def test_every_story_has_the_lines_of_sim_story_but_for_the_faults(tmp_path: Path, name: str) -> None:
    data = data_of(reported(tmp_path / "report.html", name))
    first, texts = data["rows"]["first"], data["texts"]
    for number, task in enumerate(data["tasks"]["name"]):
        rows = [
            row for row in at_a_glance(explained(from_run(scenario_of(name), None, task))) if row["what"] != "fault"
        ]
        whats = data["rows"]["what"][first[number] : first[number + 1]]
        assert [texts[what] for what in whats] == [row["what"] for row in rows]


def test_the_page_is_all_there_is_and_may_fetch_nothing(tmp_path: Path) -> None:
    text = reported(tmp_path / "report.html", "claim-race").read_text(encoding="utf-8")
    bare = re.sub(r'id="data">[^<]*<', "<", text)
    assert not re.search(
        r"https?:|//[a-z]|<link|@import|url\(|\bsrc=|\bimport\b|fetch\(|XMLHttpRequest|WebSocket", bare
    )
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert policy
    assert script
    checksum = b64encode(sha256(script[1].encode()).digest()).decode()
    assert policy[1].startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{checksum}'" in policy[1]
    assert "unsafe" not in policy[1]


def test_a_name_cannot_leave_the_place_it_stands_in(tmp_path: Path) -> None:
    hostile = "name: '</title><script>alert(1)</script>'\nfleet: {node: {}}\nworkload: {count: 1}\n"
    path = reported(tmp_path / "report.html", hostile, change=renamed("task-0", HOSTILE))
    text = path.read_text(encoding="utf-8")
    assert data_of(path)["tasks"]["name"] == [f"default/{HOSTILE}"]
    assert "<img" not in text
    assert "alert(1)</" not in text
    assert text.count("</script>") == 2


def test_a_run_that_violates_writes_its_report_too(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    done = cli("sim", "run", "zombie-agent", "--set", BROKEN, "--json", "--report", str(path))
    result, data = json.loads(done.stdout), data_of(path)
    assert done.returncode == 3
    assert data["head"]["verdict"] == result["verdict"] == "safety"
    assert len(data["violations"]["t"]) == len(result["violations"]) > 0
    assert data["head"]["replay"] == f"foreman sim run zombie-agent --seed 0 --set '{BROKEN}'"


def test_report_trace_and_plot_are_written_by_one_run(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("out.jsonl", "out.png", "out.html")]
    done = cli("sim", "run", "happy-path", "-q", "--trace", files[0], "--plot", files[1], "--report", files[2])
    assert done.returncode == 0, done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.html", "out.jsonl", "out.png"]


def test_a_trace_without_its_end_says_what_it_cannot_tell(tmp_path: Path) -> None:
    trace = traced(tmp_path / "run.jsonl", "claim-race")
    lines = trace.read_text(encoding="utf-8").splitlines(keepends=True)
    trace.write_text("".join(lines[: len(lines) // 2]), encoding="utf-8")
    assert cli("sim", "report", str(trace)).returncode == 0
    head = data_of(tmp_path / "run.html")["head"]
    assert head["verdict"] == "unknown"
    assert head["figures"] == {}
    assert "before it wrote its result" in head["notes"][0]


def test_a_run_without_checks_says_that_no_violation_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert cli("sim", "run", "happy-path", "-q", "--no-check", "--report", str(path)).returncode == 0
    assert "--no-check" in data_of(path)["head"]["notes"][0]


def test_each_expectation_is_told_with_what_came_of_it(tmp_path: Path) -> None:
    data = data_of(reported(tmp_path / "report.html", "claim-race", "expect.conflicts=0"))
    told = {path: unmet for path, _, unmet in data["head"]["expect"]}
    assert told["tasks.succeeded"] == ""
    assert told["conflicts"].startswith("expected conflicts = 0, got ")
    assert data["head"]["verdict"] == "expectation"


def test_a_report_that_cannot_be_finished_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = reported(tmp_path / "report.html", "happy-path")
    before = path.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reported(path, "claim-race")
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "happy-path", "--report", "{}/out.pdf"], "ends in .html"),
        (["run", "happy-path", "--report", "{}/none/out.html"], "cannot write the report to"),
        (["run", "happy-path", "--report", "{}/folder.html"], "Is a directory"),
        (["run", "happy-path", "--differential", "--report", "{}/out.html"], "leave out --trace"),
        (["report", "happy-path", "-o", "{}/out.html"], "--report out.html"),
        (["report", "{}/none.jsonl"], "cannot read"),
        (["report", "{}/none.parquet"], "cannot read"),
        (["report", "{}/foreign.jsonl"], "foreign.jsonl:1"),
        (["report", "{}/foreign.parquet"], "no Parquet file, or cut short"),
    ],
)
def test_refusals_are_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "folder.html").mkdir()
    for name in ("foreign.jsonl", "foreign.parquet"):
        (tmp_path / name).write_text("a,b\n1,2\n", encoding="utf-8")
    assert said in one_line(cli("sim", *(word.format(tmp_path) for word in words)))


def test_the_parts_of_the_page_are_all_used_and_travel_with_the_package() -> None:
    folder = ROOT / "sim" / "report" / "page"
    parts = {"report.html", "report.css", *page.SCRIPTS}
    assert {each.name for each in folder.iterdir()} == parts
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    for target in ("wheel", "sdist"):
        assert "sim" in build["targets"][target]["only-include"]
        assert not {"exclude", "include"} & build["targets"][target].keys()
    assert not [each for each in build["targets"]["wheel"]["only-include"] if "readme" in each.lower()]
