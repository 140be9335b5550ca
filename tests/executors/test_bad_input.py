"""`foreman run-task` with what goes wrong around it: names, files, terminals, disks, kills. One line or a verdict, and the
transcript is kept."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import subprocess

import pytest
from cli_kit import COMMAND, cli, command, one_line, started
from scripted_endpoint import KEY, Say, SlowHeaders, call, error, serving
from test_desk import laid_out
from test_mend import remote
from test_run_task import AGENT, LIMIT, TASK, place, run, submits
from tools_kit import bare, gitting

from foreman.executors.address import base_url
from foreman.executors.git import Git, Remote
from foreman.executors.loop.calls import content
from foreman.executors.precondition import Precondition
from foreman.executors.tools.protocol import Answer

__all__ = ["place", "remote"]


def changed(data, **spec):
    return {**data, "spec": {**data["spec"], **spec}}


def named(data, name):
    return {**data, "metadata": {"name": name}}


@pytest.mark.parametrize("name", ["../../elsewhere", "/etc", ".", "..", "a/b", "A", "-a", "x" * 300])
def test_a_name_that_leads_out_of_the_workspaces_is_refused(place, name):
    kept = place.folder / "elsewhere"
    kept.mkdir()
    said = one_line(cli(*place(task=named(TASK, name)), "--base-url", "http://127.0.0.1:9/v1"))
    assert "metadata.name:" in said
    assert "is not a valid name" in said
    assert len(said) < 300
    assert kept.exists()
    assert "is not a valid name" in one_line(
        cli(*place(agent=named(AGENT, name)), "--base-url", "http://127.0.0.1:9/v1")
    )


def test_a_document_without_kind_says_that_kind_is_missing(place):
    task = {key: value for key, value in TASK.items() if key != "kind"}
    assert "kind: Required value" in one_line(cli(*place(task=task), "--base-url", "http://127.0.0.1:9/v1"))


def test_a_closed_stdin_holds_no_task(place):
    line = shlex.join([*COMMAND, *place(), "-f", "-", "--base-url", "http://127.0.0.1:9/v1"])
    done = subprocess.run(f"exec {line} <&-", shell=True, capture_output=True, text=True, timeout=60)
    assert "stdin: is closed" in one_line(done)


def test_an_agent_without_a_model_is_told_how_to_name_one(place):
    agent = {**AGENT, "spec": {key: value for key, value in AGENT["spec"].items() if key != "model"}}
    said = one_line(cli(*place(agent=agent), "--base-url", "http://127.0.0.1:9/v1"))
    assert "names no model: set spec.model, or give --model" in said
    done, asked = run([*place(agent=agent), "--model", "mine"], submits())
    assert done.returncode == 0
    assert asked[0]["model"] == "mine"


@pytest.mark.parametrize(
    "url", [f"http://me:{KEY}@127.0.0.1:9/v1", f"http://{KEY}@127.0.0.1:9", f"ftp://me:{KEY}@x/v1"]
)
def test_a_password_in_an_address_is_refused_and_not_repeated(place, url):
    said = one_line(cli(*place(), "--base-url", url))
    assert "has a user or password in it" in said
    assert KEY not in said
    with pytest.raises(Precondition) as refused:
        base_url(url, "Agent a: spec.providerConfig.baseURL")
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("payload", [{}, {"prompt": " \n"}])
@pytest.mark.parametrize("kind", ["freeform", "issue-fix"])
def test_a_task_that_asks_for_nothing_is_not_run(place, kind, payload):
    done, asked = run([*place(task=changed(TASK, kind=kind, payload=payload)), "--json"], submits())
    result = json.loads(done.stdout)
    assert (done.returncode, result["verdict"], result["failureReason"]) == (3, "INCOMPLETE", "ConstraintViolated")
    assert "payload.prompt" in result["summary"]
    assert asked == []


def test_the_tasks_own_timeout_ends_it_with_a_verdict(place):
    done, _ = run([*place(task=changed(TASK, timeoutSeconds=1)), "--json"], SlowHeaders())
    result = json.loads(done.stdout)
    assert (done.returncode, result["verdict"], result["failureReason"]) == (3, "INCOMPLETE", "Timeout")
    assert "spec.timeoutSeconds: 1s are over" in result["summary"]


def test_half_a_surrogate_pair_ends_nothing(place):
    agent = changed(AGENT, tools=["write_file", "read_file", "submit_result"])
    half = [
        Say("bad \ud800 text", [call("write_file", '{"path": "a", "content": "\\ud800"}')]),
        Say("", [call("read_file", {"path": "\udfff"})]),
        Say("", [call("nothing\udfff", {})]),
    ]
    done, asked = run(place(agent=agent), *half, submits("GO"))
    assert done.returncode == 0, done
    told = [each["content"] for each in asked[-1]["messages"] if each["role"] == "tool"]
    assert "half of a surrogate pair" in told[0]
    assert content(Answer("n\udcff.txt: a name that is no UTF-8")).encode()
    whole = Say("", [call("write_file", '{"path": "a", "content": "\\ud83d\\ude00"}')])
    _, asked = run(place(agent=agent), whole, submits("GO"))
    assert "made a: 4 bytes" in asked[-1]["messages"][-1]["content"]


def test_what_a_server_says_is_told_without_its_wrapping_and_a_long_wait_is_named(place):
    done, _ = run(place(), error(404, "The model `m` does not exist"))
    assert "HTTP 404: The model `m` does not exist\n" in done.stdout
    done, _ = run(place(), error(429, "slow down", Retry_After="3600"))
    assert "it asks to wait 3600s: longer than a run waits" in done.stdout


def test_a_key_that_is_missing_is_looked_for_where_it_should_be(place, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    done, _ = run([*place(), "--api-key-env", "MY_KEY"], submits(), key=KEY)
    assert "and $MY_KEY holds none" in done.stdout
    assert "AuthUnavailable" in done.stdout


def test_a_place_for_transcripts_that_cannot_be_written_is_refused_before_the_work(place):
    (place.folder / "file").write_text("")
    words = [*place(), "--base-url", "http://127.0.0.1:9/v1", "--transcript-dir", str(place.folder / "file")]
    assert "--transcript-dir: cannot write to" in one_line(cli(*words))


@pytest.mark.parametrize("as_json", [False, True])
def test_who_no_longer_listens_does_not_end_the_work(place, as_json):
    async def main():
        async with serving(Say("hm"), submits()) as server:
            reading, writing = os.pipe()
            words = [*place(), *(["--json"] if as_json else []), "--base-url", server.base_url]
            process = await asyncio.create_subprocess_exec(
                *COMMAND, *words, stdout=writing, stderr=asyncio.subprocess.PIPE
            )
            os.close(writing)
            os.close(reading)
            _, err = await process.communicate()
            return process.returncode, err.decode(), len(server.asked)

    code, err, asked = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert asked == 2
    assert (place.folder / "transcripts/default/t/attempt-1/transcript.json").exists()
    assert "Traceback" not in err
    if as_json:
        assert code == 4
        assert "the result cannot be printed" in err
    else:
        assert (code, err) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_is_an_interruption(place, number):
    async def main():
        async with serving(SlowHeaders()) as server:
            process = await started(*place(), "--base-url", server.base_url)
            while not server.asked:
                await asyncio.sleep(0.01)
            process.send_signal(number)
            await process.communicate()
            return process.returncode

    assert asyncio.run(asyncio.wait_for(main(), LIMIT)) == 130
    assert (place.folder / "transcripts/default/t/attempt-1/transcript.json").exists()
    assert not list((place.folder / "workspaces/default").iterdir())


def test_what_was_said_before_a_kill_in_the_middle_of_a_tool_is_kept_also_when_it_is_run_again(place):
    if not os.path.exists("/bin/sleep"):
        pytest.skip("no sleep")
    agent = changed(AGENT, tools=["bash", "submit_result"], bashTimeoutSeconds=100)
    folder = place.folder / "transcripts/default/t/attempt-1"

    async def main():
        busy = Say("I wait", [call("bash", {"command": "sleep 99"})])
        async with serving(busy, submits()) as server:
            process = await started(*place(agent=agent), "--base-url", server.base_url)
            while b"I wait" not in await process.stdout.readline():
                pass
            while not (folder / "journal.jsonl").exists():
                await asyncio.sleep(0.01)
            process.kill()
            await process.communicate()
            return await command(*place(agent=agent), "--base-url", server.base_url)

    done = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert done.returncode == 0
    assert "I wait" in (folder / "journal-1.jsonl").read_text()
    assert json.loads((folder / "transcript.json").read_text())["messages"]
    assert not (folder / "journal.jsonl").exists()


def test_without_git_the_verdict_says_so(tmp_path):
    from support import new_task

    task = new_task("t", agentRef={"name": "s"}, kind="issue-fix", payload={"prompt": "x", "repo": "octo/app"})
    nothing = Git(Remote(f"file://{tmp_path}/none.git"), {"PATH": str(tmp_path)})
    assert laid_out(tmp_path, task=task, git=nothing) == ("InfrastructureError", "git is not in PATH: install it")


def test_a_workspace_that_cannot_be_made_is_the_machines_fault_not_the_clones(tmp_path):
    from support import new_task

    bare(tmp_path)
    (tmp_path / "shop").write_text("a file where the folder should be")
    task = new_task("t", agentRef={"name": "s"}, kind="issue-fix", payload={"prompt": "x", "repo": "octo/app"})
    reason, said = laid_out(tmp_path, task=task, git=gitting(tmp_path))
    assert reason == "InfrastructureError"
    assert "cannot make a clean workspace" in said
