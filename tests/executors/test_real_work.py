"""`foreman run-task` with all that surrounds the loop: the check before the push, a pull request, servers of tools."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from cli_kit import command
from scripted_endpoint import Say, call, serving
from test_github import hub
from test_mcp import PROGRAM, program
from test_mend import LIMIT, RIGHT, SCRIPT, WRONG, git, remote, words

__all__ = ["remote"]


class Hub:
    """What a code host would say: one issue, and the pull requests that were opened."""

    def __init__(self, status=201):
        self.status = status
        self.open = []
        self.asked = []

    async def __call__(self, request):
        self.asked.append((request.method, request.path))
        if request.path.endswith("/issues/1"):
            return web.json_response(
                {"number": 1, "title": "Sums", "body": "2 + 2 is 0", "state": "open", "labels": []}
            )
        if request.method == "GET":
            return web.json_response(self.open)
        made = {"number": 5, "html_url": "http://hub/pull/5", **await request.json()}
        if self.status >= 300:
            return web.json_response({"message": "no"}, status=self.status)
        if request.method == "POST":
            self.open.append(made)
        return web.json_response(made, status=self.status)


@pytest.fixture
def mend(tmp_path, remote, monkeypatch):
    def run(*script, payload=None, agent=None, hub_status=201, more=(), **spec):
        given = words(tmp_path, remote, 0, "coder")
        task = yaml.safe_load((tmp_path / "task0.yaml").read_text())
        task["spec"] |= spec
        task["spec"]["payload"] |= payload or {}
        (tmp_path / "task0.yaml").write_text(yaml.safe_dump(task))
        if agent is not None:
            place = given.index("--agent") + 1
            smith = yaml.safe_load(Path(given[place]).read_text())
            smith["spec"] |= agent
            (tmp_path / "agent.yaml").write_text(yaml.safe_dump(smith))
            given[place] = str(tmp_path / "agent.yaml")
        told = Hub(hub_status)

        async def main():
            async with serving(*script) as server, hub(told) as api:
                monkeypatch.setenv("FOREMAN_CODE_HOST_API", api)
                return await command(*given, "--base-url", server.base_url, *more), server.asked

        done, asked = asyncio.run(asyncio.wait_for(main(), LIMIT))
        return json.loads(done.stdout), asked, told

    return run


EDIT, GO = SCRIPT[2], SCRIPT[-1]
WORSE = Say(calls=[call("str_replace", {"path": "calc.py", "old_string": WRONG, "new_string": "return a * b"})])
BETTER = Say(calls=[call("str_replace", {"path": "calc.py", "old_string": "return a * b", "new_string": RIGHT})])
PROFILE = {"language": "generic", "commands": {"test": "python3 -c 'from calc import add; assert add(2, 3) == 5'"}}


def test_a_go_that_fails_its_checks_is_told_and_mended_before_anything_is_pushed(mend, remote):
    result, asked, _ = mend(WORSE, GO, BETTER, GO, gateProfile=PROFILE)
    assert (result["verdict"], result["extra"]["turnCount"]) == ("GO", 4)
    told = [each["content"] for each in asked[2]["messages"] if each["role"] == "user"][-1]
    assert "not accepted" in told
    assert "AssertionError" in told
    assert RIGHT in git("show", "foreman/issue-1:calc.py", cwd=remote)


def test_a_go_that_never_passes_is_incomplete_and_its_work_is_kept(mend, remote):
    result, _, _ = mend(WORSE, GO, GO, GO, GO, gateProfile=PROFILE, payload={"openPullRequest": True})
    assert (result["verdict"], result["failureReason"]) == ("INCOMPLETE", "GateFailed")
    assert result["extra"]["modelExtra"]["outcome"] == "CODER-GATE-FAILED"
    assert git("log", "-1", "--format=%s", "foreman/issue-1", cwd=remote).startswith("WIP: ")
    assert "pullRequest" not in result["extra"]


def test_a_pushed_go_has_its_pull_request_in_the_result(mend):
    result, _, told = mend(EDIT, GO, payload={"openPullRequest": True, "baseBranch": "main"})
    assert result["extra"]["pullRequestURL"] == "http://hub/pull/5"
    [made] = told.open
    assert (made["head"], made["base"], made["title"]) == ("foreman/issue-1", "main", "Add, not subtract")
    assert "Closes #1." in made["body"]


def test_a_host_that_refuses_costs_the_pull_request_only(mend):
    result, _, _ = mend(EDIT, GO, payload={"openPullRequest": True}, hub_status=422)
    assert result["verdict"] == "GO"
    assert "GitHub answered 422" in result["extra"]["pullRequestError"]


def test_a_model_uses_a_tool_of_a_server_on_this_machine(mend, tmp_path):
    server = program(tmp_path, PROGRAM)
    config = {"mcpServers": {"notes": {"command": server.command, "args": list(server.args), "env": dict(server.env)}}}
    (tmp_path / "mcp.json").write_text(json.dumps(config))
    tools = {"tools": ["str_replace", "submit_result", "mcp__notes__add"]}
    script = (Say(calls=[call("mcp__notes__add", {"a": 2, "b": 3})]), EDIT, GO)
    result, asked, _ = mend(*script, agent=tools, more=("--mcp-config", str(tmp_path / "mcp.json")))
    assert result["verdict"] == "GO"
    offered = [each["function"]["name"] for each in asked[0]["tools"]]
    assert offered == ["str_replace", "mcp__notes__add", "submit_result"]
    assert [each["content"] for each in asked[1]["messages"] if each["role"] == "tool"] == ["5"]


def test_a_server_that_fails_is_a_verdict_before_the_model_is_asked(mend, tmp_path):
    config = {"mcpServers": {"notes": {"command": "sh", "args": ["-c", "echo no licence >&2; exit 1"]}}}
    (tmp_path / "mcp.json").write_text(json.dumps(config))
    tools = {"tools": ["str_replace", "submit_result", "mcp__notes__add"]}
    result, asked, _ = mend(EDIT, GO, agent=tools, more=("--mcp-config", str(tmp_path / "mcp.json")))
    assert (result["verdict"], result["failureReason"], asked) == ("INCOMPLETE", "ToolFailed", [])
    assert re.search("MCP server notes: .*no licence", result["summary"])
