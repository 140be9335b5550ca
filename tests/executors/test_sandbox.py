"""Running commands: nothing outlives the call, nothing is unbounded, nothing of the agent's environment comes along."""

from __future__ import annotations

import asyncio
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools_kit import MODES, QUICK, command, needs, workspace

from foreman.executors.sandbox import Confinement, Limits, Place, find, run, scrubbed
from foreman.executors.sandbox.confinement import profile
from foreman.executors.sandbox.tail import Tail


@pytest.fixture
def space(tmp_path):
    with_fd = workspace(tmp_path)
    yield with_fd
    with_fd.close()


def shell(space, text, mode="neither", limits=QUICK):
    return command(space, needs(mode).command(["/bin/bash", "-c", text], space.place), limits)


def alive(mark: str) -> list[str]:
    """Processes of this machine with the mark in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


@given(st.lists(st.binary(max_size=50)), st.integers(1, 60))
def test_the_tail_is_the_tail(chunks, limit):
    kept = Tail(limit)
    for chunk in chunks:
        kept.feed(chunk)
    data = b"".join(chunks)
    if len(data) <= limit:
        assert kept.text() == data.decode(errors="replace")
    else:
        assert kept.text().startswith("[")
        assert data[-limit:].decode(errors="replace").lstrip("�").endswith(kept.text().partition(":]\n")[2].lstrip("�"))


@pytest.mark.parametrize("mode", MODES)
def test_output_and_exit_code(space, mode):
    outcome = shell(space, "echo out; echo err >&2; exit 3", mode)
    assert (outcome.code, outcome.stdout, outcome.stderr, outcome.ended) == (3, "out\n", "err\n", "")


@pytest.mark.parametrize("mode", MODES)
def test_a_grandchild_that_holds_the_pipe_does_not_hold_the_call(space, mode):
    mark = f"7{os.getpid()}1"
    begun = time.monotonic()
    outcome = shell(space, f"sleep {mark} & (setsid sleep {mark} &) ; echo done", mode, replace(QUICK, seconds=60))
    assert outcome.stdout == "done\n"
    assert time.monotonic() - begun < 40
    assert alive(mark) == []


@pytest.mark.parametrize("mode", MODES)
def test_past_its_time_everything_it_started_is_gone(space, mode):
    mark = f"7{os.getpid()}2"
    outcome = shell(space, f"trap '' TERM; setsid nohup sleep {mark} & sleep {mark}", mode, replace(QUICK, seconds=1))
    assert (outcome.code, outcome.ended) == (None, "time")
    assert alive(mark) == []


def test_cancelling_the_call_ends_the_command(space):
    mark = f"7{os.getpid()}3"

    async def go():
        env = scrubbed(space.place.scratch, os.environ)
        script = f"touch begun; sleep {mark}"
        task = asyncio.create_task(run(["/bin/bash", "-c", script], env, space.fd, replace(QUICK, seconds=90)))
        while not os.path.exists(os.path.join(space.root, "begun")):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert alive(mark) == []


@pytest.mark.parametrize("mode", MODES)
def test_output_without_end_is_ended_and_its_tail_kept(space, mode):
    outcome = shell(space, "echo first; yes", mode, replace(QUICK, seconds=60, output=1000))
    assert outcome.ended == "output"
    assert "bytes left out" in outcome.stdout.partition("\n")[0]
    assert outcome.stdout.endswith("y\ny\n")
    assert len(outcome.stdout) < 1200


@pytest.mark.parametrize("mode", MODES)
def test_memory_is_bounded(space, mode):
    eater = "x=$(head -c 400000000 /dev/zero | tr '\\0' x); echo ${#x}"
    outcome = shell(space, eater, mode, replace(QUICK, seconds=60, memory=100 << 20))
    assert outcome.ended == "memory"


@pytest.mark.parametrize("mode", MODES)
def test_files_are_bounded(space, mode):
    outcome = shell(space, "head -c 5000000 /dev/zero >big; echo $?", mode, replace(QUICK, file=1_000_000))
    assert os.path.getsize(os.path.join(space.root, "big")) <= 1_000_000
    assert outcome.stdout != "0\n"


@pytest.mark.parametrize("mode", MODES)
def test_descriptors_of_the_agent_are_closed(space, mode):
    secret = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        outcome = shell(space, "for f in /proc/self/fd/*; do readlink $f; done | grep -v -e pipe: -e /proc", mode)
    finally:
        os.close(secret)
    assert set(outcome.stdout.split()) <= {"/dev/null"}


def test_a_command_that_cannot_be_started_says_so(space):
    outcome = command(space, ["/no/such/program"])
    assert outcome.code == 127
    assert "/no/such/program" in outcome.stderr


def test_environment_is_made_of_nothing():
    given_ = {"PATH": "/bin", "GITHUB_TOKEN": "s", "AWS_SECRET_ACCESS_KEY": "s", "SSH_AUTH_SOCK": "s", "HOME": "/root"}
    env = scrubbed("/scratch", given_ | {"HTTPS_PROXY": "http://u:s@p", "LD_PRELOAD": "s"})
    assert "s" not in env.values()
    assert env["HOME"] == "/scratch/home"
    assert env["PATH"] == "/bin"
    assert not [name for name in env if "TOKEN" in name or "PROXY" in name or "SECRET" in name or name == "LD_PRELOAD"]


def test_it_says_what_confines_and_what_does_not():
    place = Place("/w", "/s")
    wrapped = Confinement(bubblewrap="/usr/bin/bwrap", readable=("/tools",))
    assert "Confined by bubblewrap" in wrapped.describe()
    assert "no network" in wrapped.describe()
    assert "network is on" in wrapped.with_network(True).describe()
    argv = wrapped.command(["/bin/true"], place)
    assert "--unshare-all" in argv
    assert "--share-net" not in argv
    assert argv[argv.index("/tools") - 1] == "--ro-bind-try"
    assert "No bubblewrap here" in Confinement(landlock=7).describe()
    assert Confinement().describe().startswith("NOT CONFINED")
    assert not Confinement().hides_files


def test_the_profile_for_macos():
    text = profile(Place('/w "x"', "/s"), ("/tools",), network=False)
    assert "(deny network*)" in text
    assert "(deny file-write*)" in text
    assert r'(subpath "/w \"x\"")' in text
    assert "(deny network*)" not in profile(Place("/w", "/s"), (), network=True)


def test_the_profile_for_macos_is_whole():
    """It cannot be run here: its brackets match, what is the workspace's own comes after what is denied (the last rule that
    fits decides), and the doors by which others act for a command are shut."""
    text = profile(Place("/private/tmp/w", "/private/tmp/s"), (), network=False)
    lines = text.splitlines()
    assert lines[0] == "(version 1)"
    for line in lines:
        bare = re.sub(r'#?"(\\.|[^"\\])*"', "", line)
        assert bare.count("(") == bare.count(")"), line
    for verb in ("read", "write"):
        [denied] = [i for i, line in enumerate(lines) if line.startswith(f"(deny file-{verb}*")]
        [own] = [i for i, line in enumerate(lines) if line.startswith(f"(allow file-{verb}* ")]
        assert denied < own
        assert '(subpath "/private/tmp/w")' in lines[own]
    for each in ("/Users", "/private/tmp", "/private/var/folders", "/Library/Keychains"):
        assert f'(subpath "{each}")' in text
    for each in ("appleevent-send", "lsopen", "job-creation", "mach-lookup", "signal", "process-info*"):
        assert f"(deny {each}" in text


@pytest.mark.parametrize(("code", "confined"), [(0, True), (65, False)])
def test_on_a_mac_the_profile_is_tried_before_it_is_trusted(tmp_path, monkeypatch, code, confined):
    seatbelt = tmp_path / "sandbox-exec"
    seatbelt.write_text(f'#!/bin/sh\n[ "$1" = -p ] || exit 1\nexit {code}\n')
    seatbelt.chmod(0o755)
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find()
    assert found.seatbelt == (str(seatbelt) if confined else "")
    assert found.hides_files is confined
    assert ("sandbox-exec" in found.describe()) is confined


def test_limits_count_what_runs_already():
    assert Limits(processes=5).rlimits()["NPROC"] > 5
