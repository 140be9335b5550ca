"""Running one command to its end, whatever the command does: too long, too much, too many, or never letting go of its pipes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foreman.executors.sandbox import launch
from foreman.executors.sandbox.tail import Tail

CAP_BYTES = 16 * 1024
FLOOD_BYTES = 64 * 1024 * 1024
"""A command that has said so much is ended: reading it would starve everything else the agent does."""
WAIT_SECONDS = 5.0
CHUNK = 256 * 1024


@dataclass(frozen=True)
class Limits:
    """`seconds` of real time, `output` bytes kept of each stream, `processes` at once, `memory` in bytes (resident, all of them
    together; 0: unlimited), `file` bytes of one file, `files` open at once."""

    seconds: float = 30.0
    output: int = CAP_BYTES
    processes: int = 256
    memory: int = 4 << 30
    file: int = 2 << 30
    files: int = 4096

    def rlimits(self) -> dict[str, int]:
        # The supervisor counts exactly and ends a bomb; this only stops one that outruns it. Were it the tighter of the two,
        # a shell would sit there and retry its fork until its time is up.
        nproc = own_processes() + 2 * self.processes + 64
        return {"CORE": 0, "NOFILE": self.files, "FSIZE": self.file, "NPROC": nproc}


@dataclass(frozen=True)
class Outcome:
    """`code`: the exit code, negative for a signal, None when it was ended; `ended` says why: '', 'time', 'output',
    'processes', 'memory', 'lost' (its supervisor was killed)."""

    code: int | None
    stdout: str
    stderr: str
    ended: str = ""

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.ended


def own_processes() -> int:
    """How many processes and threads of this user there are: RLIMIT_NPROC counts them all."""
    user, count = os.geteuid(), 0
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count or 1024


async def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    directory: int,
    limits: Limits = Limits(),
    keep: Sequence[int] = (),
) -> Outcome:
    """Run `argv` in the folder open as `directory`, with nothing on its stdin and the descriptors `keep` open.

    When this returns or is cancelled, nothing the command has started is alive. Raises OSError when not even the supervisor
    could be started.
    """
    reading, writing = os.pipe()
    spec = {
        "argv": list(argv),
        "env": dict(env),
        "directory": directory,
        "report": writing,
        "keep": list(keep),
        "rlimits": limits.rlimits(),
        "processes": limits.processes,
        "memory": limits.memory,
    }
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", launch.__file__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
            start_new_session=True,
            pass_fds=(directory, writing, *keep),
        )
        os.close(writing)
        writing = -1
        return await _attend(process, spec, limits, reading)
    finally:
        for fd in (reading, writing):
            if fd >= 0:
                os.close(fd)


async def _attend(process: asyncio.subprocess.Process, spec: Mapping[str, Any], limits: Limits, report: int) -> Outcome:
    assert process.stdin
    assert process.stdout
    assert process.stderr
    flood = asyncio.Event()
    out, err = Tail(limits.output), Tail(limits.output)
    readers = [
        asyncio.create_task(_drain(stream, kept, flood))
        for stream, kept in ((process.stdout, out), (process.stderr, err))
    ]
    try:
        process.stdin.write(json.dumps(spec).encode() + b"\n")
        ended = await _until_end(process, flood, limits.seconds)
    finally:
        process.stdin.close()
        await asyncio.shield(asyncio.ensure_future(_bury(process, readers)))
    said = _report(report)
    killed = ended or str(said.get("killed", "lost"))
    return Outcome(None if killed else said["code"], out.text(), err.text(), killed)


async def _until_end(process: asyncio.subprocess.Process, flood: asyncio.Event, seconds: float) -> str:
    """Why it has to be ended; '' when it has ended by itself."""
    waits = {asyncio.create_task(process.wait()): "", asyncio.create_task(flood.wait()): "output"}
    try:
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return min((waits[task] for task in done), default="time")
    finally:
        for task in waits:
            task.cancel()


async def _bury(process: asyncio.subprocess.Process, readers: Sequence[asyncio.Task[None]]) -> None:
    """Its lifeline is cut: the supervisor kills everything and ends. If it does not, it is killed itself."""
    try:
        await asyncio.wait_for(process.wait(), WAIT_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
    _, holding = await asyncio.wait(readers, timeout=WAIT_SECONDS)
    for reader in holding:
        reader.cancel()


async def _drain(stream: asyncio.StreamReader, kept: Tail, flood: asyncio.Event) -> None:
    while chunk := await stream.read(CHUNK):
        kept.feed(chunk)
        if kept.total > FLOOD_BYTES:
            flood.set()


def _report(fd: int) -> dict[str, Any]:
    os.set_blocking(fd, False)
    try:
        said = os.read(fd, 4096)
    except BlockingIOError:
        return {}
    return dict(json.loads(said)) if said else {}
