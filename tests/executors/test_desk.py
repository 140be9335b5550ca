"""What a desk is laid out with, and what keeps it from being laid out: a reason of the taxonomy each time."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest
from support import new_task
from test_mcp import gone, program
from test_native import agent
from tools_kit import REPO, bare, gitting

from foreman.executors import Execution
from foreman.executors.desk import Workshop
from foreman.executors.gate.local import LocalGate
from foreman.executors.gate.request import request_of
from foreman.executors.git import Git, Identity, Remote
from foreman.executors.hosts import host_of
from foreman.executors.precondition import Precondition
from foreman.executors.rails.work import WorkRails
from foreman.executors.sandbox import Confinement
from foreman.kube.runtime import AsyncioRuntime

NOWHERE = Confinement()


def laid_out(tmp_path, use=None, *, tools=("read_file",), task=None, smith=None, **shop):
    """What `use` returns of the desk once it is prepared; or the reason and the text why it is not."""
    given = {"confinement": NOWHERE, "environ": {"PATH": os.environ["PATH"]}, "git": gitting(tmp_path), **shop}
    made = Workshop(root=str(tmp_path / "shop"), **given)
    work = task or new_task("t", agentRef={"name": "smith"}, kind="freeform", payload={"prompt": "Think."})

    async def go():
        desk = made.desk(Execution(work, 1, AsyncioRuntime().event()), smith or agent(tools=[*tools, "submit_result"]))
        try:
            await desk.prepare()
            return await use(desk) if use else sorted(desk.tools)
        except Precondition as missing:
            return missing.reason.value, str(missing)
        finally:
            await desk.close()

    return asyncio.run(asyncio.wait_for(go(), 60))


def test_the_tools_of_a_server_are_there_and_its_program_ends_with_the_run(tmp_path):
    server = replace(program(tmp_path), strict=False)
    tools = laid_out(tmp_path, tools=("read_file", "mcp__notes__add"), servers=(server,))
    assert tools == ["mcp__notes__add", "read_file"]
    assert gone(tmp_path)


def test_a_task_without_mcp_has_none(tmp_path):
    task = new_task("t", agentRef={"name": "smith"}, kind="freeform", payload={"prompt": "x"}, mcpEnabled=False)
    servers = (program(tmp_path),)
    assert laid_out(tmp_path, tools=("read_file", "mcp__notes__add"), servers=servers, task=task) == ["read_file"]
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("import sys; sys.exit('no licence')", "no licence"), (None, "not on this machine")],
)
def test_a_server_that_is_not_to_be_had_is_a_verdict(tmp_path, text, said):
    servers = (program(tmp_path, text),) if text else ()
    reason, told = laid_out(tmp_path, tools=("mcp__notes__add",), servers=servers)
    assert (reason, said in told, "Agent smith" in told) == ("ToolFailed", True, True)


def web(url="http://127.0.0.1:1/mcp"):
    header = {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "web"}}}
    server = {"name": "web", "transport": "http", "url": url, "headers": [header]}
    return {"enabled": True, "callTimeout": 2, "servers": [server]}


def test_the_secret_of_a_header_is_read_from_the_cluster_and_named_where_there_is_none(tmp_path):
    asked = []

    async def secret(namespace, selector):
        asked.append((namespace, selector.name, selector.key))
        return "tok-secret"

    reason, told = laid_out(tmp_path, smith=agent(mcp=web()), secret=secret)
    assert asked == [("default", "keys", "web")]
    assert (reason, "tok-secret" in told) == ("ToolFailed", False)
    reason, told = laid_out(tmp_path, smith=agent(mcp=web()))
    assert (reason, "its header Authorization" in told) == ("AuthUnavailable", True)


def test_bash_is_refused_where_nothing_confines_it(tmp_path):
    reason, told = laid_out(tmp_path, tools=("read_file", "bash"), sandbox=True)
    assert (reason, "--require-sandbox" in told) == ("ConstraintViolated", True)
    assert laid_out(tmp_path, tools=("read_file", "bash")) == ["bash", "read_file"]
    assert laid_out(tmp_path, tools=("read_file",), sandbox=True) == ["read_file"]
    shut = replace(NOWHERE, landlock=4)
    assert laid_out(tmp_path, tools=("read_file", "bash"), sandbox=True, confinement=shut) == ["bash", "read_file"]


def test_nor_do_a_gates_commands_run_there(tmp_path):
    bare(tmp_path)
    task = new_task("t", kind="issue-fix", payload={"repo": REPO, "issue": 7}, agentRef={"name": "smith"},
                    gateProfile={"language": "generic", "commands": {"test": "touch ran"}})  # fmt: skip
    gate = LocalGate(gitting(tmp_path), str(tmp_path / "gates"), NOWHERE, os.environ, sandbox=True)
    report = asyncio.run(gate.run(request_of(task, 1)))
    assert (report.verdict, "--require-sandbox" in report.summary) == ("GATE-ERROR", True)

    async def checked(desk):
        (tmp_path / "shop/default/t/new.py").write_text("x = 1\n")
        from foreman.executors.loop import Submission

        rails = desk.rails
        assert isinstance(rails, WorkRails)
        return await rails.check(Submission("GO", "mended")), [each.detail for each in rails.advisories]

    said, remarks = laid_out(tmp_path, checked, task=task, sandbox=True)
    assert said == ""
    assert any("nothing on this node can confine them" in each for each in remarks)


def test_commits_say_who_they_are_by(tmp_path):
    remote = bare(tmp_path)
    who = Identity("Ada", "ada@example.com", committer="Bot")
    git = Git(Remote(str(tmp_path / "{repo}.git")), {"PATH": os.environ["PATH"]}, 60, who)
    task = new_task("t", kind="issue-fix", payload={"repo": REPO, "issue": 7}, agentRef={"name": "smith"})

    async def published(desk):
        (tmp_path / "shop/default/t/new.py").write_text("x = 1\n")
        return await desk.publish("Add x")

    made = laid_out(tmp_path, published, task=task, git=git)
    from tools_kit import git as ask

    said = ask(remote, "log", "-1", "--format=%an <%ae> %cn <%ce>", made.commit_sha)
    assert said == "Ada <ada@example.com> Bot <ada@example.com>"


@pytest.mark.parametrize(
    ("remote", "api", "host"),
    [
        ("https://github.com/{repo}.git", "", "https://api.github.com"),
        ("git@github.com:{repo}.git", "", "https://api.github.com"),
        ("ssh://git@github.com/{repo}.git", "", "https://api.github.com"),
        ("https://git.corp/{repo}.git", "https://git.corp/api/v3", "https://git.corp/api/v3"),
        ("https://git.corp/{repo}.git", "", None),
        ("https://github.com.evil.example/{repo}.git", "", None),
        ("file:///srv/{repo}.git", "", None),
        ("/srv/github.com/{repo}.git", "", None),
    ],
)
def test_the_code_host_of_a_remote(remote, api, host):
    found = host_of(remote, None, api)
    assert (found.api if found else None) == host
