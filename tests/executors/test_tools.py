"""Each tool as the model meets it: answers, never exceptions, and each says how to go on."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace

import pytest
from tools_kit import MODES, QUICK, REPO, call, needs, tools, workspace

from foreman.api.task import FailureReason
from foreman.executors.gate.presets import resolved
from foreman.executors.gate.request import GateReport, GateRequest
from foreman.executors.gate.verdict import Seen
from foreman.executors.hosts import HostError, Issue
from foreman.executors.sandbox import Place
from foreman.executors.tools import TOOLS, UnknownTool, toolbox
from foreman.executors.tools.replace import replace as replaced
from foreman.executors.tools.shell import leaves
from foreman.executors.tools.workspace import Refused


@pytest.fixture
def space(tmp_path):
    made = workspace(tmp_path)
    yield made
    made.close()


def put(space, name, text):
    path = os.path.join(space.root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())


def get(space, name):
    with open(os.path.join(space.root, name), "rb") as file:
        return file.read().decode()


def test_the_whitelist_is_the_toolbox(space):
    given = {"confinement": needs("neither"), "environ": {}}
    assert list(toolbox(space, ["grep", "submit_result", "read_file"], **given)) == ["grep", "read_file"]
    assert tuple(toolbox(space, TOOLS, **given)) == TOOLS
    with pytest.raises(UnknownTool, match="no tool 'sudo'; there are read_file, "):
        toolbox(space, ["sudo"], **given)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "path is missing"),
        ({"path": 3}, "path must be a string, not int 3"),
        ({"path": None}, "path must be a string, not null"),
        ({"path": ["a"]}, "path must be a string, not list ['a']"),
        ({"path": "a", "limit": "5"}, "limit must be an integer of at least 1, not str '5'"),
        ({"path": "a", "limit": 0}, "limit must be an integer of at least 1, not int 0"),
        ({"path": "a", "limit": True}, "limit must be an integer of at least 1, not bool True"),
        ({"file": "a"}, "there is no argument 'file'; it takes path, offset, limit"),
        ([], "the arguments must be an object with path, offset, limit, not list []"),
    ],
)
def test_wrong_arguments_are_answered_with_what_was_expected(space, arguments, said):
    answer = asyncio.run(tools(space)["read_file"].call(arguments))
    assert (answer.failed, answer.text) == (True, f"read_file: {said}")


def test_read_file(space):
    put(space, "a.txt", "one\ntwo\nthree\n")
    read = tools(space)["read_file"]
    assert call(read, path="a.txt").text == "one\ntwo\nthree\n"
    assert call(read, path="a.txt", offset=2, limit=1).text == (
        "two\n\n[lines 2-2 of a file of 14 bytes; go on: offset=3]"
    )
    assert "has 3 lines only" in call(read, path="a.txt", offset=9).text
    assert call(read, path="none").text == "read_file: none: no such file or directory"


def test_a_10_mb_file_is_read_a_piece_at_a_time(space):
    put(space, "big", "0123456789abcde\n" * 655_360)
    answer = call(tools(space)["read_file"], path="big")
    assert len(answer.text) < 17_000
    assert "10485760 bytes; go on: offset=1025]" in answer.text
    assert "16 KiB" not in answer.text


def test_one_minified_line_does_not_end_a_run(space):
    put(space, "min.js", "x" * 10_000_000 + "\nend\n")
    answer = call(tools(space)["read_file"], path="min.js")
    assert answer.text.endswith("[the line is longer: cut]\nend\n")
    assert len(answer.text) < 3000


def test_binary_files_are_not_shown(space):
    put(space, "b", b"\x7fELF\0\0")
    box = tools(space)
    assert "binary file of 6 bytes" in call(box["read_file"], path="b").text
    assert call(box["str_replace"], path="b", old_string="E", new_string="F").failed
    assert call(box["grep"], pattern="ELF").text == "no match"


def test_write_file(space):
    write = tools(space)["write_file"]
    assert call(write, path="d/a", content="x").text == "made d/a: 1 bytes"
    assert call(write, path="d/a", content="yz").text == "replaced d/a: 2 bytes"
    assert get(space, "d/a") == "yz"
    assert call(write, path="b", content="x" * 10_000_001).failed
    assert not os.path.exists(os.path.join(space.root, "b"))


def test_str_replace(space):
    put(space, "a", "x = 1\ny = 1\n")
    edit = tools(space)["str_replace"]
    assert call(edit, path="a", old_string="x = 1", new_string="x = 2").text == "a: 1 replaced"
    assert get(space, "a") == "x = 2\ny = 1\n"
    assert "does not exist; to make it use write_file" in call(edit, path="n", old_string="a", new_string="b").text


def test_a_file_of_another_encoding_survives_an_edit(space):
    put(space, "latin", b"caf\xe9 = 1\n")
    assert not call(tools(space)["str_replace"], path="latin", old_string="= 1", new_string="= 2").failed
    with open(os.path.join(space.root, "latin"), "rb") as file:
        assert file.read() == b"caf\xe9 = 2\n"


@pytest.mark.parametrize(
    ("text", "old", "new", "count", "after"),
    [
        ("a b a", "a", "c", 2, "c b c"),
        ("\tif x:\n\t\treturn 1\n", "if x:\n    return 1", "if y:\n    return 2", 1, None),
        ("    if x:\n        go()\n", "if x:\n    go()", "if y:\n    go()\n    on()", 1, None),
        ("one  \r\ntwo\r\n", "one\ntwo", "three", 1, "three\r\n"),
        ("a\n    b = 1", "b  =  1", "b = 2", 1, "a\n    b = 2"),
    ],
)
def test_near_misses(text, old, new, count, after):
    """Only white space may be misremembered, and what replaces it gets the file's own."""
    changed, how = replaced(text, old, new, count)
    if after is not None:
        assert changed == after
    assert changed != text
    assert bool(how) == (old not in text)
    assert new.split() == changed.split()[: len(new.split())] or after is not None


@pytest.mark.parametrize(
    ("text", "old", "new", "count", "said"),
    [
        ("a", "a", "a", 1, "nothing would change"),
        ("a", "", "b", 1, "use write_file"),
        ("a a", "a", "b", 1, "occurs 2 times, expected 1"),
        ("a", "a", "b", 3, "occurs 1 times, expected 3"),
        ("def foo(x):\n  return 1\n", "def foo(y):", "b", 1, "lines 1-2; copy from it letter for letter:\ndef foo(x):"),
        ("x", "something else entirely", "b", 1, "read the file again"),
        ("  a\n  b\n a\n b\n", "a\nb", "c", 1, "does not occur"),
    ],
)
def test_what_cannot_be_replaced_says_why(text, old, new, count, said):
    with pytest.raises(Refused) as refused:
        replaced(text, old, new, count)
    assert said in str(refused.value)


def test_grep(space):
    put(space, "a.py", "import os\nx = 1\n")
    put(space, "sub/b.txt", "import re\n")
    put(space, ".git/c", "import no\n")
    os.symlink("/etc", os.path.join(space.root, "etc"))
    grep = tools(space)["grep"]
    assert call(grep, pattern=r"^import \w+").text == "a.py:1:import os\nsub/b.txt:1:import re\n"
    assert call(grep, pattern="import", include="*.txt").text == "sub/b.txt:1:import re\n"
    assert call(grep, pattern="import", path="sub").text == "b.txt:1:import re\n"
    assert call(grep, pattern="x", path="a.py").text == "a.py:2:x = 1\n"
    assert call(grep, pattern="root:").text == "no match"
    assert call(grep, pattern="root:", path="etc").failed
    assert call(grep, pattern="(").text.startswith("grep: pattern is no regular expression")


def test_grep_is_bounded(space, monkeypatch):
    put(space, "many", ("m" * 1000 + "\n") * 300)
    put(space, "evil", "a" * 40 + "!\n")
    grep = tools(space)["grep"]
    lines = call(grep, pattern="mm").text.splitlines()
    assert len(lines) == 201
    assert "more than 200 matches" in lines[-1]
    assert max(map(len, lines)) < 600
    monkeypatch.setattr("foreman.executors.tools.search.SECONDS", 1.0)
    assert "was ended" in call(grep, pattern="(a+)+$", path="evil").text


@pytest.mark.parametrize("mode", MODES)
def test_bash(space, mode):
    bash = tools(space, mode)["bash"]
    assert needs(mode).describe() in bash.description
    answer = call(bash, command="echo $((6*7)) >n; cat n; pwd; echo oh >&2; false")
    assert answer.text == f"exit code 1\n--- stdout\n42\n{space.root}\n--- stderr\noh"
    assert not answer.failed
    assert call(bash, command="kill -9 $$").text in ("ended by signal 9", "exit code 137")


def test_bash_says_when_and_why_it_was_ended(space):
    bash = tools(space, limits=replace(QUICK, seconds=0.5))["bash"]
    assert call(bash, command="echo before; sleep 60").text.startswith("It was ended after 0.5 s")


def test_huge_output_keeps_the_tail(space):
    text = call(tools(space)["bash"], command="seq 1 100000").text
    assert text.endswith("99999\n100000")
    assert "bytes left out" in text
    assert len(text) < 17_000


@pytest.mark.parametrize(
    ("command", "out"),
    [
        ("cd /etc && ls", "/etc"),
        ("cd ..", ".."),
        ("cd sub && cd ../..", "../.."),
        ("true; cd '/'", "/"),
        ("if true; then cd /tmp; fi", "/tmp"),
        ("(cd ../x)", "../x"),
        ("pushd /", "/"),
        ("cd sub && cd ..", ""),
        ("cd /w/sub", ""),
        ("cd /s/tmp", ""),
        ("cd $HOME", ""),
        ("echo cd /etc", ""),
        ("echo 'abcd /etc'", ""),
        ("make -C x", ""),
    ],
)
def test_cd_out_is_refused(command, out):
    assert leaves(command, Place("/w", "/s")) == out


class Host:
    async def issue(self, repo, number):
        if number == 404:
            raise HostError("issue octo/app#404: not found", FailureReason.INFRASTRUCTURE_ERROR)
        return Issue(number, "Wrong answer", "é" * 10_000, "open", ("bug",))


def test_fetch_issue(space):
    fetch = tools(space, host=Host(), repo=REPO)["fetch_issue"]
    text = call(fetch, number=7).text
    assert text.startswith("octo/app#7 (open): Wrong answer\nlabels: bug\n\né")
    assert "[3616 bytes left out]" in text
    assert call(fetch, number=7, repo="Octo/App").failed is False
    assert call(fetch, number=1, repo="octo/private").text == (
        "fetch_issue: only issues of octo/app can be read, not of octo/private"
    )
    assert call(fetch, number=404).text == "fetch_issue: issue octo/app#404: not found"
    assert "no code host" in call(tools(space)["fetch_issue"], number=1).text


class OneGate:
    async def run(self, request, cancelled=None):
        self.asked = request
        return GateReport(Seen.FAILED, "test FAILED", "log\n" * 20_000)


def test_run_gate_job(space):
    gate = OneGate()
    request = GateRequest("default", "t", "u", REPO, "foreman/t", "", resolved(None))
    box = tools(space, gate=gate, request=request)
    said = json.loads(call(box["run_gate_job"], branch="foreman/other").text)
    assert gate.asked == replace(request, branch="foreman/other")
    assert (said["verdict"], said["summary"]) == ("GATE-FAIL", "test FAILED")
    assert len(said["logTail"].encode()) <= 32 * 1024
    assert said["logTail"].endswith("log\n")
    assert call(box["run_gate_job"], repo="octo/other").failed
    assert "no gate" in call(tools(space)["run_gate_job"]).text
