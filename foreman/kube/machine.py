"""What this machine and this process are: hostname, identity, one life of an agent, memory."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import socket
import subprocess
from pathlib import Path

from foreman.agent.identity import instance_of

PROBE_SECONDS = 5
LOCKS = Path("/tmp")
_locked: list[int] = []


def read(source: str) -> str:
    """The text of a file ('/proc/meminfo'), or the output of a command ('vm_stat'). Raises OSError."""
    if source.startswith("/"):
        return Path(source).read_text()
    try:
        return subprocess.run(source.split(), capture_output=True, text=True, check=True, timeout=PROBE_SECONDS).stdout
    except subprocess.SubprocessError as error:
        raise OSError(f"{source}: {error}") from error


def draw(below: int) -> int:
    """A uniform integer in 0 .. below - 1."""
    return int.from_bytes(os.urandom(8)) % below


def operator_identity() -> str:
    """Unique among all operators that ever run, and says on which host it runs."""
    return f"{socket.gethostname()}_{os.urandom(4).hex()}"


def agent_instance(node: str) -> str:
    """This life of the agent of `node` on this machine: 'machine/life'."""
    life = f"{os.getpid()}-{os.urandom(4).hex()}"
    machine = "-".join(part for part in (socket.gethostname(), _fingerprint()) if part)
    # A second agent of the same name beside a living one must not take that one for its own dead predecessor.
    return instance_of(machine if _alone(node) else f"{machine}.{life}", life)


def architecture() -> str:
    """As Go and Kubernetes name it: 'amd64', 'arm64'."""
    said = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(said, said)


def _fingerprint() -> str:
    """A hash of what the system says it is; '' when it does not say. The id itself is not to be shown around."""
    for source in ("/etc/machine-id", "ioreg -rd1 -c IOPlatformExpertDevice"):
        try:
            said = read(source)
        except OSError:
            continue
        found = re.search(r'IOPlatformUUID" = "([^"]+)"', said) if platform.system() == "Darwin" else None
        told = found[1] if found else said.strip()
        if told:
            return hashlib.blake2b(told.encode(), key=b"foreman", digest_size=4).hexdigest()
    return ""


def _alone(node: str) -> bool:
    """Whether no other process on this machine is the agent of `node`; it then is this one, until it ends.

    Where no lock can be kept at all (a container with nothing to write to) it is taken to be alone in there."""
    path = LOCKS / f"foreman-agent-{node}.lock"
    try:
        _locked.append(_lock(path))
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def _lock(path: Path) -> int:
    """A descriptor that holds the lock. A file that another user has left can be locked as well: reading it is enough."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CREAT, 0o644)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file
