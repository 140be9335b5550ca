"""The last step before a command where there is no bubblewrap: give up what it does not need, then become it.

A program of its own, like `launch`: `confine.py JSON ARGV...` with

    {"read": [paths], "write": [paths], "network": bool, "landlock": bool, "require": [words]}

Privileges go always (no setuid program helps, no capability is left, of root neither). The network goes with a namespace of its
own where the kernel grants one. Files go with Landlock (Linux 5.13): what lies outside `read` and `write` cannot be opened, and
no process outside can be looked into (/proc/PID/environ) or, from 6.12 on, be sent a signal.
What is in `require` and cannot be had ends it with exit code 126: that is how the agent asks what this machine can do.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys
from typing import Any

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 24, 47, 4
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
LAST_CAPABILITY = 63
CAPABILITIES_V3 = 0x20080522

# Landlock's rights on files: 0 execute, 1 write, 2 read, 3 list, 4-12 make and remove, 13 move, 14 truncate, 15 device ioctl.
READ = 0b1101
ON_FILES = 0b1100_0000_0000_0111
RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15}
RIGHTS_NOW = 16
CONNECT_AND_BIND = 0b11
SCOPE_SOCKETS_AND_SIGNALS = 0b11

_libc = ctypes.CDLL(None, use_errno=True)


class Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def main() -> None:
    wanted = json.loads(sys.argv[1])
    cut = wanted["network"] or leave_network()
    drop_privileges()
    abi = restrict_files(wanted) if wanted["landlock"] else 0
    # Landlock alone stops TCP only; that is not "no network".
    missing = [word for word in wanted["require"] if not {"network": cut, "landlock": abi}[word]]
    if missing:
        sys.exit(126)
    argv = sys.argv[2:]
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"cannot start {argv[0]}: {error.strerror}\n".encode())
        os._exit(127)


def leave_network() -> bool:
    """Into a network of nothing but a loopback that is down."""
    if sys.platform != "linux":
        return False
    if _libc.unshare(CLONE_NEWNET) == 0:
        return True
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        except OSError:
            break  # It then sees itself as nobody; what it may do is the same.
    return True


def drop_privileges() -> None:
    if sys.platform != "linux":
        return
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(LAST_CAPABILITY + 1):
        _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(CAPABILITIES_V3, 0), (ctypes.c_uint32 * 6)()
    _libc.capset(header, none)


def seal() -> None:
    """No other process of this user may look into this one."""
    _libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def landlock_abi() -> int:
    """The version of Landlock this kernel speaks; 0 without."""
    return max(0, _libc.syscall(CREATE_RULESET, None, 0, 1)) if sys.platform == "linux" else 0


def restrict_files(wanted: dict[str, Any]) -> int:
    abi = landlock_abi()
    if not abi:
        return 0
    every = (1 << RIGHTS_BY_ABI.get(abi, RIGHTS_NOW)) - 1
    net = CONNECT_AND_BIND if abi >= 4 and not wanted["network"] else 0
    ruleset = Ruleset(every, net, SCOPE_SOCKETS_AND_SIGNALS if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    fd = _libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    if fd < 0:
        return 0
    for path in wanted["read"]:
        allow(fd, path, READ & every)
    for path in wanted["write"]:
        allow(fd, path, every)
    done = _libc.syscall(RESTRICT_SELF, fd, 0)
    os.close(fd)
    return abi if done == 0 else 0


def allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # What is not there needs no permission.
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        rights &= ON_FILES
    _libc.syscall(ADD_RULE, ruleset, 1, ctypes.byref(Beneath(rights, fd)), 0)
    os.close(fd)


if __name__ == "__main__":
    main()
