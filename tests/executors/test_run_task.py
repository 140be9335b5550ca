"""`foreman run-task`, as a user runs it, against the scripted endpoint."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess

import pytest
import yaml
from cli_kit import cli, command, one_line, started
from scripted_endpoint import KEY, Say, SlowHeaders, call, error, serving

LIMIT = 100
TASK = {
    "apiVersion": "foreman.llmkube.dev/v1alpha1", "kind": "AgenticTask", "metadata": {"name": "t"},
    "spec": {"kind": "freeform", "payload": {"prompt": "say hello"}},
}  # fmt: skip
AGENT = {
    "apiVersion": "foreman.llmkube.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "smith"},
    "spec": {"role": "coder", "tools": ["submit_result"], "systemPrompt": "Be good.", "model": "m"},
}  # fmt: skip


def submits(verdict="GO", **extra):
    return Say(
        "I am done \x1b[31m", [call("submit_result", {"verdict": verdict, "summary": f"it is {verdict}", **extra})]
    )


@pytest.fixture
def place(tmp_path):
    def write(task=TASK, agent=AGENT):
        for name, data in (("task", task), ("agent", agent)):
            (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(data))
        return [
            "run-task", "-f", str(tmp_path / "task.yaml"), "--agent", str(tmp_path / "agent.yaml"),
            "--transcript-dir", str(tmp_path / "transcripts"), "--workspace-dir", str(tmp_path / "workspaces"),
        ]  # fmt: skip

    write.folder = tmp_path
    return write


def run(words, *script, key="") -> tuple[subprocess.CompletedProcess[str], list]:
    async def main():
        async with serving(*script, key=key) as server:
            return await command(*words, "--base-url", server.base_url), server.asked

    return asyncio.run(asyncio.wait_for(main(), LIMIT))


@pytest.mark.parametrize(
    ("script", "code", "verdict", "reason"),
    [
        ([submits("GO")], 0, "GO", None),
        ([submits("NO-GO")], 1, "NO-GO", None),
        ([submits("ERROR")], 3, "INCOMPLETE", "ModelReportedError"),
        ([Say("hm")], 3, "INCOMPLETE", "ModelMisunderstood"),
        ([error(400, "m does not support tools")], 3, "INCOMPLETE", "ModelMisunderstood"),
        ([error(500, "broken")], 3, "INCOMPLETE", "InferenceServiceUnavailable"),
    ],
)
def test_the_exit_code_is_the_verdicts(place, script, code, verdict, reason):
    done, _ = run([*place(), "--json"], *script)
    assert done.returncode == code, done
    result = json.loads(done.stdout)
    assert (result["schemaVersion"], result["verdict"], result.get("failureReason")) == ("foreman.v1", verdict, reason)
    assert (place.folder / "transcripts/default/t/attempt-1/transcript.json").exists()
    assert result["extra"]["transcriptRef"].endswith("attempt-1/transcript.json")


def test_turns_are_shown_without_what_would_steer_the_terminal(place):
    done, asked = run([*place(), "--no-stream", "--model", "other"], Say("hm"), submits())
    assert done.returncode == 0
    assert done.stderr == ""
    for each in ("default/t", "turn 1", "turn 2", "told", "submit_result", "GO  it is GO", "transcript"):
        assert each in done.stdout
    assert "\x1b" not in done.stdout
    assert [(each["model"], each["stream"]) for each in asked] == [("other", False)] * 2


def test_a_key_that_is_refused_is_named_not_shown(place, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    done, _ = run([*place(), "--api-key-env", "MY_KEY"], submits(), key="another")
    assert done.returncode == 3
    assert "refused the key of $MY_KEY" in done.stdout
    assert "AuthUnavailable" in done.stdout
    assert KEY not in done.stdout + done.stderr
    assert all(KEY not in path.read_text() for path in place.folder.rglob("*") if path.is_file())


def test_an_endpoint_that_is_down_is_a_result(place):
    done = cli(*place(), "--base-url", "http://127.0.0.1:9/v1")
    assert done.returncode == 3
    assert "cannot be reached" in done.stdout
    assert "InferenceServiceUnavailable" in done.stdout


def test_an_agent_whose_tools_are_not_here_is_a_result(place):
    agent = {**AGENT, "spec": {**AGENT["spec"], "tools": ["frobnicate"]}}
    done = cli(*place(agent=agent), "--base-url", "http://127.0.0.1:9/v1")
    assert done.returncode == 3
    assert "frobnicate" in done.stdout


def test_an_interruption_ends_it_and_keeps_the_transcript(place):
    async def main():
        async with serving(Say("hm"), SlowHeaders()) as server:
            process = await started(*place(), "--base-url", server.base_url)
            while len(server.asked) < 2:
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
            return process.returncode, err.decode()

    code, err = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert code == 130
    assert "cancelled in turn 2" in err
    messages = json.loads((place.folder / "transcripts/default/t/attempt-1/transcript.json").read_text())["messages"]
    assert "hm" in [each["content"] for each in messages]


@pytest.mark.parametrize(
    ("task", "agent", "words", "said"),
    [
        (TASK, AGENT, [], "agent smith does not say where its model is"),
        (TASK, AGENT, ["--base-url", "localhost"], "--base-url: 'localhost' is no address"),
        (TASK, AGENT, ["--base-url", "http://x", "--attempt", "0"], "--attempt: 0 is too few"),
        (AGENT, AGENT, [], "kind: is Agent, expected AgenticTask"),
        (TASK, TASK, [], "kind: is AgenticTask, expected Agent"),
        (
            {**TASK, "spec": {**TASK["spec"], "agentRef": {"name": "other"}}},
            AGENT,
            [],
            "is other, but the Agent given is smith",
        ),
        (TASK, {**AGENT, "spec": {**AGENT["spec"], "role": "king"}}, [], "role"),
        (TASK, {**AGENT, "spec": {**AGENT["spec"], "tols": []}}, [], "spec.tols: unknown field"),
        ({**TASK, "metadata": {}}, AGENT, [], "metadata.name: Required value"),
    ],
)
def test_bad_input_is_one_line(place, task, agent, words, said):
    assert said.lower() in one_line(cli(*place(task, agent), *words)).lower()


def test_a_file_that_is_not_there_is_one_line(place):
    words = place()
    (place.folder / "agent.yaml").unlink()
    assert "cannot read" in one_line(cli(*words))
