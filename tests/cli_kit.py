"""Running commands as a user does."""

from __future__ import annotations

import asyncio
import subprocess
import sys

COMMAND = [sys.executable, "-m", "foreman.cli"]


def cli(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, input=stdin, timeout=120)


async def started(*words: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*COMMAND, *words, stdout=pipe, stderr=pipe)


async def command(*words: str) -> subprocess.CompletedProcess[str]:
    """The same as `cli`, for a test whose own loop serves what the command talks to."""
    process = await started(*words)
    out, err = await process.communicate()
    return subprocess.CompletedProcess(words, process.returncode or 0, out.decode(), err.decode())


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a command that refused what it was given."""
    assert done.returncode == 2, done
    assert done.stdout == "", done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("foreman: ")
    return done.stderr
