"""`foreman explain` as a user meets it: in a scenario, in a trace, on a cluster; and what it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from cli_kit import cli, command, one_line
from kube_scripted import Script, serving, status
from kubeconfigs import kubeconfig
from lab import Lab
from real_server import free_port
from support import new_node, new_task

from foreman.api import FleetNodePhase, Phase
from foreman.audit import Auditor
from foreman.cli import explain
from foreman.cli.refusal import BadInput

STRIKES = ("--scenario", "three-strikes")


def said(done):
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


def test_a_scenario_is_looked_into_at_a_virtual_time():
    told = said(cli("explain", "task", "long", *STRIKES, "--at", "250s", "--json"))
    assert (told["phase"], told["attempt"], told["holder"]) == ("Running", 2, "laptop-0/1")
    assert (told["strikes"], told["strikes_left"]) == ({"laptop-0": 1}, 2)
    assert [each["how"][:12] for each in told["attempts"]] == ["ClaimExpired", ""]
    assert told["outlook"][0].endswith("(strike 2 of 3)")


def test_the_end_is_looked_at_without_a_time():
    told = said(cli("explain", "task", "default/long", *STRIKES, "--json"))
    assert (told["phase"], told["verdict"]) == ("Failed", "INCOMPLETE")
    assert len(told["attempts"]) == 3


def test_a_time_after_the_end_is_the_end():
    over = ("--scenario", "million", "--set", "workload.count=50", "--set", "until=5s", "--json")
    late, end = (said(cli("explain", "node", "node-000", *over, *at)) for at in (["--at", "9h"], []))
    assert late == end


def test_a_pipe_gets_plain_lines_that_answer_first():
    lines = cli("explain", "task", "long", *STRIKES, "--at", "150s").stdout.splitlines()
    assert "\x1b" not in "".join(lines)
    assert lines[0] == "default/long  freeform"
    assert lines[1].startswith("phase   Pending for 2")
    assert "NodesNotReady: 0/1 nodes fit: 1 not ready" in lines[2]
    assert any(line.split()[:3] == ["laptop-0", "no", "not"] for line in lines)


def test_a_node_in_a_scenario():
    told = said(cli("explain", "node", "laptop-0", *STRIKES, "--at", "20s", "--json"))
    assert (told["phase"], told["instance"], told["offer"]["slots_used"]) == ("Ready", "laptop-0/1", 1)
    assert [each["task"] for each in told["tasks"]] == ["default/long"]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    assert cli("sim", "run", "zombie-agent", "--seed", "3", "--quiet", "--trace", str(path)).returncode == 0
    return path


@pytest.mark.parametrize("at", [[], ["--at", "40s"], ["--at", "2h"]])
def test_a_trace_gives_the_account_that_its_run_gives(trace: Path, at: list[str]):
    from_trace = said(cli("explain", "task", "task-0", "--trace", str(trace), "--json", *at))
    from_run = said(cli("explain", "task", "task-0", "--scenario", "zombie-agent", "--seed", "3", "--json", *at))
    if at != ["--at", "40s"]:
        # A trace ends with its last event, a run when its time is up: later than that nothing happens.
        assert from_trace.pop("at") <= from_run.pop("at")
    assert from_trace == from_run


def test_a_trace_that_this_version_does_not_repeat_is_refused(trace: Path):
    lines = trace.read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if "holder=" in line)
    lines[place] = lines[place].replace("holder=", "holder=x")
    trace.write_text("".join(lines))
    assert f"{trace}:{place + 1}: this version" in one_line(cli("explain", "task", "task-0", "--trace", str(trace)))
    lines[0] = lines[0].replace('"version":"', '"version":"9.')
    trace.write_text("".join(lines))
    assert "explain it with that version" in one_line(cli("explain", "task", "task-0", "--trace", str(trace)))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["task", "nope", *STRIKES], "there is default/long"),
        (["task", "a/b/c", *STRIKES], "expected NAME or NAMESPACE/NAME"),
        (["task", "a/b", "-n", "c"], "give one"),
        (["task", "default/long", *STRIKES, "--at", "soon"], "not a duration"),
        (["task", "x", "--at", "30s"], "--at goes with"),
        (["task", "x", "--trace", "gone.jsonl"], "cannot read gone.jsonl"),
        (["task", "x", "--trace", "gone.jsonl", "--scenario", "cascade"], "exclude each other"),
        (["task", "x", "--trace", "gone.jsonl", "--seed", "1"], "of one run"),
        (["task", "x", "--scenario", "cascad"], "cascade"),
        (["task", "x", "--policy", "best"], "best-fit"),
        (["node", "gpu-9", *STRIKES], "there is laptop-0"),
        (["task", "x", "--kubeconfig", "/no/such/file"], "no kubeconfig at /no/such/file"),
    ],
)
def test_bad_input_gets_one_line(words: list[str], says: str):
    assert says in one_line(cli("explain", *words))


def test_a_file_that_is_no_trace_is_refused(tmp_path: Path):
    old = tmp_path / "old.jsonl"
    old.write_text('{"t": 1, "actor": "x", "what": "get"}\n')
    assert "old.jsonl:1: does not name its scenario" in one_line(cli("explain", "task", "a/b", "--trace", str(old)))


def test_a_server_that_is_not_there(tmp_path: Path):
    config = kubeconfig(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert "does not answer: GET " in one_line(cli("explain", "task", "x", "--kubeconfig", config))


@pytest.mark.parametrize(
    ("code", "message", "says"),
    [
        (
            403,
            'User "me" cannot list resource "agentictasks" in API group',
            'permission: User "me" cannot list resource',
        ),
        (401, "Unauthorized", "does not accept our credentials"),
        (404, "the server could not find the requested resource", "foreman crds | kubectl apply -f -"),
    ],
)
def test_what_the_server_refuses_is_one_line(tmp_path: Path, code: int, message: str, says: str):
    async def story() -> None:
        async with serving(Script(status(code, message))) as url:
            config = kubeconfig(tmp_path, url)
            assert says in one_line(await command("explain", "node", "x", "--kubeconfig", config))
            assert says in one_line(await command("dispatch", "--kind", "verify", "--kubeconfig", config))
            assert says in one_line(await command("dispatch", "--attach", "x", "--kubeconfig", config))

    asyncio.run(story())


# on a cluster, simulated and in this process


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab()
    process = made.process()
    monkeypatch.setattr(
        explain, "on_cluster", lambda config, context, work: made.run(work(made.client(process), process))
    )
    node = made.server.create("test", new_node("gpu"))
    made.server.patch_status("test", node, {"phase": FleetNodePhase.READY, "last_heartbeat_time": 1}, None)
    made.server.create("test", new_task("t", requiredCapability={"accelerator": "cuda"}))
    return made


def test_a_live_task(lab: Lab, capsys: pytest.CaptureFixture[str]):
    explain.task("t", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["why"]["nodes"] == [
        {"node": "gpu", "fits": False, "reasons": ["other accelerator (unknown, not cuda)"]}
    ]
    assert (told["phase"], told["place"]) == ("", {"position": 1, "of": 1, "ahead_alike": 0})


def test_a_live_node(lab: Lab, capsys: pytest.CaptureFixture[str]):
    explain.node("gpu")
    told = capsys.readouterr().out
    assert "by the node's own clock" in told
    assert "default/t     no    other accelerator" in told


def test_a_task_that_is_gone_is_told_from_its_record(lab: Lab, capsys: pytest.CaptureFixture[str]):
    process = lab.process()
    task = lab.server.get("test", "AgenticTask", "t", "default")
    ended = lab.server.patch_status("test", task, {"phase": Phase.FAILED, "finished_at": 5}, None)
    lab.run(Auditor(lab.client(process), process).record(ended))
    lab.server.delete("test", ended)
    explain.task("t", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["phase"], told["news"][-1]["who"]) == ("Failed", "audit record")


def test_a_name_of_another_namespace_is_pointed_out(lab: Lab):
    with pytest.raises(BadInput, match="there is one in default"):
        explain.task("t", namespace="other")
