"""What a prompt-injected model tries, each way of shutting it in, and that it gets nowhere.

`bubblewrap`, `landlock` and `neither` are the modes of confinement; a mode this machine has not is skipped with a line that
says so. An attempt that nothing but a confinement stops is tried in those modes only, and the README's table says which.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "executors"))
from tools_kit import MODES, QUICK, REPO, bare, call, checkout, git, tools, workspace

SHUT_IN = ("bubblewrap", "landlock")
SECRET = "S3CR3T-" + "9" * 12


@pytest.fixture
def space(tmp_path):
    made = workspace(tmp_path)
    yield made
    made.close()


@pytest.fixture
def home(tmp_path):
    """The agent's home with a key in it, and the token of its service account."""
    for name in ("home/.ssh/id_ed25519", "home/.config/gh/hosts.yml", "run/secrets/token", "home/.kube/config"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRET)
    return tmp_path


def run(space, mode, command, limits=QUICK, **environ):
    given = {"PATH": os.environ["PATH"], **environ}
    return call(tools(space, mode, given, limits)["bash"], command=command).text


# reading secrets


@pytest.mark.parametrize(
    "path", ["home/.ssh/id_ed25519", "home/.config/gh/hosts.yml", "run/secrets/token", "home/.kube/config"]
)
@pytest.mark.parametrize("tool", ["read_file", "grep", "str_replace", "write_file"])
def test_file_tools_read_and_write_no_secret(space, home, path, tool):
    os.symlink(home, os.path.join(space.root, "out"))
    for asked in (str(home / path), f"../{path}", f"out/{path}", f"sub/../../{path}"):
        arguments = {
            "read_file": {"path": asked},
            "grep": {"pattern": "S3C", "path": asked},
            "str_replace": {"path": asked, "old_string": SECRET, "new_string": "x"},
            "write_file": {"path": asked, "content": "x"},
        }[tool]
        answer = call(tools(space)[tool], **arguments)
        assert answer.failed
        assert SECRET not in answer.text
    assert (home / path).read_text() == SECRET


@pytest.mark.parametrize("mode", SHUT_IN)
@pytest.mark.parametrize("path", ["home/.ssh/id_ed25519", "run/secrets/token"])
def test_bash_reads_no_secret(space, home, mode, path):
    secret = home / path
    text = run(
        space, mode, f"cat {secret}; cat ../{path}; ln -s {secret} l; cat l; ln {secret} h; cat h; cp {secret} c; cat c"
    )
    assert SECRET not in text


@pytest.mark.parametrize("mode", SHUT_IN)
def test_bash_lists_no_home(space, home, mode):
    assert "id_ed25519" not in run(
        space, mode, f"ls -a {home}/home/.ssh; ls -a ~root/.ssh /root /home /var/run/secrets"
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_token_of_the_agents_environment_does_not_come_along(space, mode):
    text = run(space, mode, "env; export; cat /proc/self/environ; set", GITHUB_TOKEN=SECRET, OPENAI_API_KEY=SECRET)
    assert SECRET not in text
    assert "HOME=" in text


def test_home_is_not_the_agents(space):
    assert run(space, "neither", "echo $HOME; ls -a ~/.ssh").splitlines()[2] == os.path.join(
        space.place.scratch, "home"
    )


@pytest.mark.parametrize("mode", SHUT_IN)
def test_no_environment_of_another_process_is_read(space, mode):
    with subprocess.Popen(["sleep", "600"], env={"TOKEN": SECRET, "PATH": os.environ["PATH"]}) as other:
        try:
            text = run(space, mode, f"cat /proc/{other.pid}/environ /proc/[0-9]*/environ 2>&1 | tr '\\0' '\\n'")
        finally:
            other.kill()
    assert SECRET not in text


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_DUMPABLE is Linux's")
def test_a_sealed_agent_is_not_looked_into_without_any_confinement(space, tmp_path):
    """Of the same user, with no namespace and no Landlock: seal() and the lack of capabilities are enough."""
    ready, go = os.pipe()
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from foreman.executors.sandbox import seal\nseal()\nimport os; os.write(int(sys.argv[2]), b'x'); time.sleep(600)"
    )
    root = str(Path(__file__).parents[2])
    argv = [sys.executable, "-c", program, root, str(go)]
    env = {"TOKEN": SECRET, "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(argv, env=env, pass_fds=(go,)) as agent:
        try:
            os.close(go)
            assert os.read(ready, 1) == b"x"
            text = run(
                space,
                "neither",
                f"cat /proc/{agent.pid}/environ | tr '\\0' '\\n'; cat /proc/{agent.pid}/mem | head -c 9",
            )
        finally:
            agent.kill()
            os.close(ready)
    assert SECRET not in text
    assert "ermission denied" in text


def test_file_tools_read_no_proc(space):
    os.symlink("/proc/self", os.path.join(space.root, "p"))
    for path in ("/proc/self/environ", "/proc/1/environ", "p/environ", "p/root/etc/passwd", "p/cwd/x"):
        assert call(tools(space)["read_file"], path=path).failed


@pytest.mark.parametrize(
    "link", ["ln -s {out} l", "ln -s / r; ln -s r/{out} l", "mkdir d; ln -s ../../ d/up; ln -s d/up/outside l"]
)
def test_a_link_made_by_bash_between_calls_is_not_followed_out(space, tmp_path, link):
    out = tmp_path / "outside"
    out.write_text(SECRET)
    box = tools(space)
    call(box["bash"], command=link.format(out=out))
    assert os.path.lexists(os.path.join(space.root, "l"))
    for tool, arguments in (
        ("read_file", {}),
        ("grep", {"pattern": "."}),
        ("write_file", {"content": "x"}),
        ("str_replace", {"old_string": SECRET, "new_string": "x"}),
    ):
        answer = call(box[tool], path="l", **arguments)
        assert answer.failed
        assert SECRET not in answer.text
    assert out.read_text() == SECRET


# writing outside


@pytest.mark.parametrize("mode", SHUT_IN)
def test_bash_writes_nothing_outside(space, home, mode):
    key = f"{home}/home/.ssh/id_ed25519"
    command = f"echo x >{home}/new; echo x >>{key}; rm -rf {home}/home; mkdir -p {home}/d; mv {home}/run m"
    run(space, mode, command)
    assert sorted(os.listdir(home)) == ["home", "run", "scratch", "work"]
    assert (home / "home/.ssh/id_ed25519").read_text() == SECRET


@pytest.mark.parametrize("mode", SHUT_IN)
def test_the_system_is_not_written(space, mode):
    mark = f"foreman-test-{os.getpid()}"
    run(space, mode, f"touch /usr/{mark} /etc/{mark} /{mark} /var/tmp/{mark} /tmp/{mark}")
    assert [at for at in ("/usr", "/etc", "/", "/var/tmp", "/tmp") if os.path.exists(os.path.join(at, mark))] == []


@pytest.mark.parametrize("mode", MODES)
def test_no_privilege_is_left_and_none_is_won(space, mode):
    text = run(
        space,
        mode,
        "grep -e CapEff -e CapBnd -e NoNewPrivs /proc/self/status; mount -t tmpfs x /mnt 2>&1; chroot / id 2>&1",
    )
    assert "CapEff:\t0000000000000000" in text
    assert "NoNewPrivs:\t1" in text
    assert "uid=" not in text


@pytest.mark.parametrize("mode", SHUT_IN)
def test_no_process_outside_is_signalled(space, mode):
    from foreman.executors.sandbox import confine

    if mode == "landlock" and confine.landlock_abi() < 6:
        pytest.skip("Landlock keeps signals in from version 6 (Linux 6.12) on")
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            run(space, mode, f"kill -9 {other.pid}; kill -9 {os.getppid()}")
            assert other.poll() is None
        finally:
            other.send_signal(signal.SIGKILL)


# using up the machine


@pytest.mark.parametrize("mode", MODES)
def test_a_fork_bomb_goes_out(space, mode):
    limits = replace(QUICK, seconds=30, processes=60)
    text = run(space, mode, "b() { b | b & wait; }; b 2>/dev/null; while :; do sleep 300 & done 2>/dev/null", limits)
    assert "more than 60 processes" in text or "exit code" in text or "signal" in text, text
    assert left(space) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_bomb_that_leaves_its_session_goes_out_too(space, mode):
    limits = replace(QUICK, seconds=30, processes=60)
    text = run(space, mode, "while :; do setsid nohup sleep 300 >/dev/null 2>&1 & done 2>/dev/null", limits)
    assert "more than 60 processes" in text or "exit code" in text
    assert left(space) == []


def left(space):
    """Processes whose working directory is the workspace."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(entry) == space.root:
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


# the network


@pytest.mark.parametrize("mode", MODES)
def test_no_address_is_reached(space, mode):
    """Loopback stands for all: the metadata address is as far away. Where the kernel grants no network namespace it is said."""
    box = tools(space, mode)
    if "no network" not in box["bash"].description:
        pytest.skip("this kernel grants no network namespace without bubblewrap")
    with socket.create_server(("127.0.0.1", 0)) as door:
        reached = threading.Event()
        door.settimeout(0.2)

        def listen():
            try:
                door.accept()
                reached.set()
            except OSError:
                pass

        port = door.getsockname()[1]
        text = call(
            box["bash"],
            command=f"exec 3<>/dev/tcp/127.0.0.1/{port} && echo REACHED; exec 3<>/dev/tcp/169.254.169.254/80 && echo REACHED",
        ).text
        listen()
    assert not reached.is_set()
    assert "REACHED" not in text.replace("echo REACHED", "")


# another branch


@pytest.mark.parametrize("mode", SHUT_IN)
def test_a_push_from_bash_gets_nowhere(tmp_path, mode):
    import asyncio

    remote = bare(tmp_path)
    before = git(remote, "for-each-ref")
    each = checkout(tmp_path)
    asyncio.run(each.prepare())
    from foreman.executors.tools import Workspace

    space = Workspace(each.path, each.folders.scratch)
    try:
        text = run(
            space,
            mode,
            f"git config --global --add safe.directory '*'; git commit -q --allow-empty -m x; git push origin HEAD:main; "
            f"git push {remote} HEAD:refs/heads/main; git push file://{remote} +HEAD:main; git remote -v",
        )
    finally:
        space.close()
    after = [line for line in git(remote, "for-each-ref").splitlines() if "refs/foreman/" not in line]
    assert after == before.splitlines()
    assert str(remote) not in text.partition("--- stderr")[0]


def test_fetch_issue_asks_about_no_other_repository(space):
    class Host:
        async def issue(self, repo, number):
            raise AssertionError(repo)

    answer = call(tools(space, host=Host(), repo=REPO)["fetch_issue"], number=1, repo="octo/private")
    assert answer.failed


def test_what_a_command_leaves_does_not_meet_the_next(space):
    """No process of one call lives to see the next, so none can swap files under a later tool."""
    box = tools(space)
    call(box["bash"], command="(setsid sh -c 'while :; do ln -sfn /etc x; done' >/dev/null 2>&1 &)")
    assert left(space) == []
