"""End to end: `foreman run-task` mends a bug in a repository: clone, edit, commit, push, and the gate passes on the branch."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from cli_kit import command
from scripted_endpoint import Say, call, serving

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 200
WRONG, RIGHT = "return a - b", "return a + b"
TEST = """import unittest
from calc import add


class T(unittest.TestCase):
    def test(self):
        self.assertEqual(add(2, 2), 4)
"""


def git(*words, cwd):
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, *words], cwd=cwd, env=env, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def remote(tmp_path):
    """A bare repository with a bug in it."""
    seed = tmp_path / "seed"
    seed.mkdir()
    (seed / "calc.py").write_text(f"def add(a, b):\n    {WRONG}\n")
    (seed / "test_calc.py").write_text(TEST)
    git("init", "-q", cwd=seed)
    git("add", ".", cwd=seed)
    git("commit", "-qm", "A calculator", cwd=seed)
    git("clone", "-q", "--bare", str(seed), str(tmp_path / "remote.git"), cwd=tmp_path)
    return tmp_path / "remote.git"


def words(tmp_path, remote, number, agent):
    tasks = list(yaml.safe_load_all((ROOT / "deploy/agents/example-task.yaml").read_text()))
    (tmp_path / f"task{number}.yaml").write_text(yaml.safe_dump(tasks[number]))
    return [
        "run-task", "-f", str(tmp_path / f"task{number}.yaml"), "--agent", str(ROOT / f"deploy/agents/{agent}.yaml"),
        "--git-remote-url", f"file://{remote}", "--transcript-dir", str(tmp_path / "transcripts"),
        "--workspace-dir", str(tmp_path / "workspaces"), "--json",
    ]  # fmt: skip


def mend(tmp_path, remote, *script):
    async def main():
        async with serving(*script) as server:
            return await command(*words(tmp_path, remote, 0, "coder"), "--base-url", server.base_url), server.asked

    return asyncio.run(asyncio.wait_for(main(), LIMIT))


SCRIPT = (
    Say(calls=[call("grep", {"pattern": "def add"})]),
    Say(calls=[call("read_file", {"path": "calc.py"})]),
    Say(calls=[call("str_replace", {"path": "calc.py", "old_string": WRONG, "new_string": RIGHT})]),
    Say(calls=[call("bash", {"command": "python3 -m unittest 2>&1 | tail -1"})]),
    Say(calls=[call("submit_result", {"verdict": "GO", "summary": "mended", "commit_message": "Add, not subtract"})]),
)


def check(tmp_path, remote):
    return asyncio.run(asyncio.wait_for(command(*words(tmp_path, remote, 1, "gate")), LIMIT))


def test_a_bug_is_mended_pushed_and_passes_the_gate(tmp_path, remote):
    assert check(tmp_path, remote).returncode == 1

    done, asked = mend(tmp_path, remote, *SCRIPT)
    assert done.returncode == 0, done
    result = json.loads(done.stdout)
    assert (result["verdict"], result["extra"]["branch"]) == ("GO", "foreman/issue-1")
    assert RIGHT in git("show", "foreman/issue-1:calc.py", cwd=remote)
    assert WRONG in git("show", "main:calc.py", cwd=remote)
    assert git("rev-parse", "foreman/issue-1", cwd=remote).strip() == result["extra"]["commitSHA"]
    assert git("log", "-1", "--format=%s", "foreman/issue-1", cwd=remote).strip() == "Add, not subtract"
    said = [message["content"] for message in asked[-1]["messages"] if message["role"] == "tool"]
    assert "OK" in said[-1]

    done = check(tmp_path, remote)
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["verdict"] == "GATE-PASS"


def test_a_go_without_a_change_is_a_no_go_and_pushes_nothing(tmp_path, remote):
    done, _ = mend(tmp_path, remote, SCRIPT[-1])
    assert done.returncode == 1, done
    assert json.loads(done.stdout)["extra"]["outcome"] == "NO-CHANGES"
    assert "foreman/issue-1" not in git("branch", cwd=remote)


def test_a_repository_that_is_not_there_is_a_result(tmp_path, remote):
    done, asked = mend(tmp_path, tmp_path / "nowhere.git", *SCRIPT)
    assert done.returncode == 3, done
    assert json.loads(done.stdout)["failureReason"] == "CloneFailed"
    assert asked == []


def test_a_workspace_that_an_earlier_attempt_left_is_made_anew(tmp_path, remote):
    left = tmp_path / "workspaces/default/mend-1"
    left.mkdir(parents=True)
    (left / "calc.py").write_text("rubbish")
    left.chmod(0o500)
    done, _ = mend(tmp_path, remote, *SCRIPT)
    assert done.returncode == 0, done
