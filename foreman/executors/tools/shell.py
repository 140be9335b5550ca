"""bash: a command line in the workspace, shut in as well as this machine can."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from typing import Any

from foreman.executors.sandbox import Confinement, Limits, Outcome, Place, run, scrubbed
from foreman.executors.sandbox.environment import PATH
from foreman.executors.tools.function import Function, schema
from foreman.executors.tools.protocol import Answer
from foreman.executors.tools.workspace import Refused, Workspace

COMMAND_BYTES = 100_000
"""Linux takes no longer argument than 128 KiB."""
ENDED = {
    "time": "It was ended after {seconds:g} s; give it less to do, or split it.",
    "output": "It was ended: it wrote without end.",
    "processes": "It was ended: more than {processes} processes at once.",
    "memory": "It was ended: it took more than {gigabytes:g} GiB of memory.",
    "lost": "It was ended.",
}
_CD = re.compile(r"(?:^|[;&|(){}\n]|\b(?:then|do|else)\s)\s*(?:cd|pushd)\s+(?:--\s+)?(\"[^\"]*\"|'[^']*'|[^\s;&|)]+)")


def bash(workspace: Workspace, confinement: Confinement, limits: Limits, environ: Mapping[str, str]) -> Function:
    shell = shutil.which("bash") or "/bin/sh"

    async def body(given: Mapping[str, Any]) -> Answer:
        command = given["command"]
        if len(command.encode(errors="replace")) > COMMAND_BYTES or "\0" in command:
            raise Refused(f"the command must be text of at most {COMMAND_BYTES} bytes: put long content into a file")
        if target := leaves(command, workspace.place):
            raise Refused(f"cd {target} leads out of the workspace; every command begins in its root, {workspace.root}")
        argv = confinement.command([shell, "-c", command], workspace.place)
        path = confinement.path(environ.get("PATH") or PATH)
        env = scrubbed(workspace.place.scratch, environ, PATH=path)
        return Answer(told(await run(argv, env, workspace.fd, limits), limits))

    return Function(
        "bash",
        f"Run a command line in the root of the workspace. Ended after {limits.seconds:g} s; nothing it starts outlives the "
        f"call, and cd and variables do not carry over. Of each stream the last {limits.output} bytes are shown. "
        f"{confinement.describe()}",
        schema(("command",), command={"type": "string"}),
        body,
    )


def told(outcome: Outcome, limits: Limits) -> str:
    """What the model hears of it. An exit code other than 0 is news, not a failure of the tool."""
    if outcome.ended:
        why = ENDED[outcome.ended if outcome.ended in ENDED else "lost"]
        said = why.format(seconds=limits.seconds, processes=limits.processes, gigabytes=limits.memory / (1 << 30))
    elif outcome.code is not None and outcome.code < 0:
        said = f"ended by signal {-outcome.code}"
    else:
        said = f"exit code {outcome.code}"
    parts = [said]
    for name, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        if text:
            parts.append(f"--- {name}\n{text.rstrip()}")
    return "\n".join(parts)


def leaves(command: str, place: Place) -> str:
    """The first `cd` that plainly leads out of the workspace; '' for none. A courtesy: what shuts commands in is elsewhere."""
    here = place.root
    for found in _CD.finditer(command):
        target = found[1].strip("\"'")
        if target.startswith(("$", "`", "-", "~")):
            continue
        here = os.path.normpath(os.path.join(here, target))
        if not any(here == own or here.startswith(own + "/") for own in place):
            return target
    return ""
