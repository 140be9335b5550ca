"""Stands between the agent and one command: limits it, watches it, and leaves nothing of it behind.

A program of its own, run by path and importing nothing of foreman, so that it starts in milliseconds and shares no memory with
the agent. Descriptor 0 is the lifeline: the agent writes one line of JSON and keeps it open; when it closes, the agent has lost
interest or its life, and everything dies. Descriptor `report` takes one line of JSON at the end.

    {"argv", "env", "directory": fd, "report": fd, "keep": [fds], "rlimits": {"NOFILE": n}, "processes": n, "memory": bytes}

Every orphan of the command becomes a child of this process (a subreaper, Linux), so that a daemon which left its process group
and its session is found all the same, and "no child left" means nothing left.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

TICK = 0.1
FIRST_FEW = 64
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    spec = json.loads(_line(0))
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if not child:
        _begin(spec)
    code, killed = _watch(child, woken, spec)
    _kill_all(child)
    os.write(spec["report"], json.dumps({"code": code, "killed": killed}).encode())


def _line(fd: int) -> bytes:
    read = bytearray()
    while not read.endswith(b"\n"):
        chunk = os.read(fd, 65536)
        if not chunk:
            sys.exit(1)
        read += chunk
    return bytes(read)


def _begin(spec: dict[str, Any]) -> NoReturn:
    """Become the command. A command that cannot be started exits with 127 and says so on its stderr."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.fchdir(spec["directory"])
        os.umask(0o022)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for fd in spec["keep"]:
            os.set_inheritable(fd, True)
        _close_all_but({0, 1, 2, *spec["keep"]})
        for name, value in spec["rlimits"].items():
            _limit(name, value)
        os.execve(spec["argv"][0], spec["argv"], spec["env"])
    except OSError as error:
        os.write(2, f"cannot start {spec['argv'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _limit(name: str, value: int) -> None:
    which = getattr(resource, f"RLIMIT_{name}")
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _close_all_but(kept: set[int]) -> None:
    low = 0
    for fd in sorted(kept):
        if low < fd:  # An empty range at 0 closes everything (CPython passes -1 on).
            os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] % 2**31, 65536))


def _watch(child: int, woken: int, spec: dict[str, Any]) -> tuple[int | None, str]:
    """Until the command has ended (its exit code, negative for a signal) or must (why: 'abandoned', 'processes', 'memory')."""
    counted = 0.0
    while True:
        code = _reap(child)
        if code is not None:
            return code, ""
        ready, _, _ = select.select([0, woken], [], [], TICK)
        if 0 in ready:
            return None, "abandoned"
        if woken in ready:
            os.read(woken, 4096)
        # A fork bomb wakes this process with every death: it is counted more often then, but not without end.
        if time.monotonic() - counted >= TICK / 4:
            if over := _over(spec):
                return None, over
            counted = time.monotonic()


def _reap(child: int) -> int | None:
    """Bury the dead; the exit code of the command if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if not pid:
            return code
        if pid == child:
            code = os.waitstatus_to_exitcode(status)


def _over(spec: dict[str, Any]) -> str:
    family = _descendants(os.getpid(), spec["processes"] + 1)
    if len(family) > spec["processes"]:
        return "processes"
    return "memory" if spec["memory"] and sum(map(_resident, family)) > spec["memory"] else ""


def _descendants(root: int, limit: int = sys.maxsize) -> list[int]:
    found: list[int] = []
    todo = [root]
    while todo and len(found) < limit:
        pid = todo.pop()
        children = _children(pid)
        found += children
        todo += children
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                children += map(int, file.read().split())
    except OSError:
        pass
    return children


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def _kill_all(child: int) -> None:
    """Until nothing is left. Groups first, each in one stroke, found by its first few: a bomb grows faster than it is counted,
    or than the bubblewrap around it gets the time to die. Then whoever is left, as often as new ones come to light."""
    while True:
        _kill(os.killpg, child)
        for group in {_group(pid) for pid in _descendants(os.getpid(), FIRST_FEW)} - {os.getpgrp(), 0}:
            _kill(os.killpg, group)
        for pid in _descendants(os.getpid()):
            _kill(os.kill, pid)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _kill(kill: Callable[[int, int], None], target: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        kill(target, signal.SIGKILL)


if __name__ == "__main__":
    main()
