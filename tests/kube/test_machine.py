"""Who this process is, and what its machine has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from kube_live import unique

from foreman.agent.identity import same_machine
from foreman.kube import machine

HOLD = "import sys; from foreman.kube import machine; print(machine.agent_instance(sys.argv[1]), flush=True); sys.stdin.read()"


def another(node: str) -> subprocess.Popen[str]:
    """Another agent process on this machine, which lives until its input ends."""
    command = [sys.executable, "-c", HOLD, node]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture(autouse=True)
def locks(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "LOCKS", tmp_path)


def test_a_restarted_agent_is_known_as_the_same_machine():
    node = unique("machine")
    first = another(node)
    before = said(first)
    first.communicate()
    second = another(node)
    after = said(second)
    second.communicate()
    assert same_machine(before, after)
    assert before != after


def test_a_second_agent_beside_a_living_one_is_not_taken_for_its_successor():
    node = unique("machine")
    first = another(node)
    one = said(first)
    second = another(node)
    two = said(second)
    for process in (first, second):
        process.communicate()
    assert not same_machine(one, two)


def test_agents_of_two_nodes_on_one_machine_do_not_mind_each_other():
    one, two = machine.agent_instance(unique("machine")), machine.agent_instance(unique("machine"))
    assert same_machine(one, two)


def test_where_nothing_can_be_written_an_agent_is_taken_to_be_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "LOCKS", tmp_path / "missing")
    node = unique("machine")
    assert same_machine(machine.agent_instance(node), machine.agent_instance(node))


def test_an_instance_has_one_slash_and_the_pid():
    instance = machine.agent_instance(unique("machine"))
    assert instance.count("/") == 1
    assert f"/{os.getpid()}-" in instance


def test_operators_are_told_apart():
    assert len({machine.operator_identity() for _ in range(100)}) == 100


def test_draws_are_below_their_bound():
    assert {machine.draw(3) for _ in range(200)} == {0, 1, 2}


def test_reading_files_and_commands(tmp_path):
    (tmp_path / "f").write_text("text")
    assert machine.read(str(tmp_path / "f")) == "text"
    assert machine.read("echo a b") == "a b\n"
    for source in (str(tmp_path / "none"), "no-such-command-here", "false"):
        with pytest.raises(OSError):
            machine.read(source)
