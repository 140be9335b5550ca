"""What shuts a model's commands in on this machine, from the strongest down, and the command lines for it.

bubblewrap (Linux): only the workspace, a few system folders and its own processes exist; no network.
sandbox-exec (macOS): writing only to the workspace, no reading of homes, no network.
Neither: what the kernel grants a process that gives things up by itself (see `confine`), which is less; `describe` says what.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from foreman.executors.sandbox import confine

# The folders of the system that hold programs and no secrets. Of /etc only what programs look up.
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/nix/store",
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/group",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/java",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/tls/certs",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
)
KERNEL = ("/proc", "/sys/devices/system/cpu", "/sys/fs/cgroup")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/shm")


class Place(NamedTuple):
    """Where commands run: `root` is the workspace, `scratch` a private folder beside it (home, temporary files, caches)."""

    root: str
    scratch: str


@dataclass(frozen=True)
class Confinement:
    """What this machine offers. `bubblewrap`: its path, '' without; `no_network`: whether the network can be taken away without
    it; `readable`: more folders to show (toolchains); `network`: leave the network on."""

    bubblewrap: str = ""
    seatbelt: str = ""
    landlock: int = 0
    no_network: bool = False
    readable: tuple[str, ...] = ()
    network: bool = False

    def with_network(self, on: bool) -> Confinement:
        return replace(self, network=on)

    @property
    def hides_files(self) -> bool:
        """Whether files outside the workspace cannot be read."""
        return bool(self.bubblewrap or self.seatbelt or self.landlock)

    @property
    def cuts_network(self) -> bool:
        return not self.network and bool(self.bubblewrap or self.seatbelt or self.no_network)

    def command(self, argv: Sequence[str], place: Place) -> list[str]:
        """`argv` (its first a full path) shut in at `place`."""
        if self.bubblewrap:
            return [*self._bubblewrap(place), "--", *argv]
        if self.seatbelt:
            return [self.seatbelt, "-p", profile(place, self.readable, self.network), *argv]
        return [*self.interpreter(), confine.__file__, json.dumps(self._given_up(place, ())), *argv]

    def probe(self, place: Place, *required: str) -> list[str]:
        """A command that succeeds where the kernel grants what is `required` ('network' taken away, 'landlock')."""
        return [*self.interpreter(), confine.__file__, json.dumps(self._given_up(place, required)), "/bin/true"]

    @staticmethod
    def interpreter() -> list[str]:
        return [sys.executable, "-I", "-S"]

    def path(self, given: str) -> str:
        """The PATH `given` without what cannot be seen in there: a program that is found and may not be run hides the next."""
        seen = (*SYSTEM, *self.readable)
        own = [f"{folder}/bin" for folder in self.readable]
        kept = [part for part in given.split(":") if any(part == at or part.startswith(at + "/") for at in seen)]
        return ":".join(dict.fromkeys([*kept, *own])) if self.hides_files else given

    def describe(self) -> str:
        """For the model and the log, in one sentence or two."""
        network = "no network" if self.cuts_network else "the network is on"
        if self.bubblewrap or self.seatbelt:
            by = "bubblewrap" if self.bubblewrap else "sandbox-exec"
            return f"Confined by {by}: only the workspace can be written, homes and secrets cannot be read, {network}."
        if self.landlock:
            return (
                f"No bubblewrap here; confined by Landlock: only the workspace can be written, homes and secrets cannot be "
                f"read, {network}; processes and sockets of this machine can be seen."
            )
        return (
            f"NOT CONFINED: neither bubblewrap nor Landlock is to be had here: files outside the workspace can be reached as "
            f"far as this user may, {network}. Install bubblewrap."
        )

    def _bubblewrap(self, place: Place) -> list[str]:
        shown = [part for path in (*SYSTEM, *self.readable) for part in ("--ro-bind-try", path, path)]
        own = [part for path in place for part in ("--bind", path, path)]
        return [
            self.bubblewrap,
            "--unshare-all",
            *(("--share-net",) if self.network else ()),
            "--die-with-parent",
            "--new-session",
            *("--cap-drop", "ALL", "--hostname", "sandbox", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
            *shown,
            *own,
            *("--chdir", place.root),
        ]

    def _given_up(self, place: Place, required: Sequence[str]) -> dict[str, object]:
        return {
            "read": [*SYSTEM, *KERNEL, *self.readable],
            "write": [*place, *DEVICES],
            "network": self.network,
            "landlock": bool(self.landlock) or "landlock" in required,
            "require": required,
        }


def profile(place: Place, readable: Sequence[str], network: bool) -> str:
    """The sandbox-exec profile of a workspace: the last rule that fits decides. Besides files and network it closes the doors
    by which others act for a command: Apple events, LaunchServices, launchd, the keychain's daemon."""
    own = " ".join(f"(subpath {json.dumps(path)})" for path in place)
    shown = " ".join(f"(subpath {json.dumps(path)})" for path in readable)
    secret = (
        *("/Users", "/Volumes", "/Library/Keychains", "/Library/Application Support"),
        *("/private/var/root", "/private/var/db", "/private/var/folders", "/private/tmp", "/private/etc/ssh"),
    )
    lines = [
        "(version 1)",
        "(allow default)",
        "" if network else "(deny network*)",
        "(deny file-write*)",
        f'(allow file-write* {own} (literal "/dev/null") (literal "/dev/zero") (regex #"^/dev/tty") (subpath "/dev/fd"))',
        f"(deny file-read* {' '.join(f'(subpath {json.dumps(path)})' for path in secret)})",
        f"(allow file-read* {own} {shown})",
        "(allow file-read-metadata)",
        "(deny process-info* (target others))",
        "(deny signal (target others))",
        "(deny appleevent-send)",
        "(deny lsopen)",
        "(deny job-creation)",
        '(deny mach-lookup (global-name "com.apple.SecurityServer") (global-name "com.apple.securityd.xpc"))',
    ]
    return "\n".join(line for line in lines if line)
