"""grep."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from foreman.executors.sandbox import Confinement, Limits, run
from foreman.executors.tools import scan
from foreman.executors.tools.function import Function, schema
from foreman.executors.tools.protocol import Answer
from foreman.executors.tools.workspace import Refused, Workspace

MATCHES = 200
WIDTH = 512
SECONDS = 20.0


def grep(workspace: Workspace) -> Function:
    async def body(given: Mapping[str, Any]) -> Answer:
        try:
            re.compile(given["pattern"])
        except re.error as error:
            raise Refused(f"pattern is no regular expression (Python's): {error}") from None
        folder, name = workspace.open_folder(given.get("path", "."))
        try:
            return await _searched(given, folder, name)
        finally:
            os.close(folder)

    return Function(
        "grep",
        f"Search the files of the workspace for a regular expression (Python's). Answers PATH:LINE:TEXT, at most {MATCHES} "
        f"lines of {WIDTH} characters. Paths in the answer are relative to `path`. Binary files and .git are passed over.",
        schema(
            ("pattern",),
            pattern={"type": "string"},
            path={"type": "string", "description": "A folder or a file; the whole workspace when left out."},
            include={"type": "string", "description": "Only files of such names, e.g. *.py"},
        ),
        body,
    )


async def _searched(given: Mapping[str, Any], folder: int, name: str) -> Answer:
    wanted = {"pattern": given["pattern"], "name": name, "include": given.get("include", "")}
    spec = json.dumps(wanted | {"matches": MATCHES, "width": WIDTH})
    limits = Limits(seconds=SECONDS, output=MATCHES * WIDTH * 8)
    outcome = await run([*Confinement.interpreter(), scan.__file__, spec], {}, folder, limits)
    if outcome.ended == "time":
        raise Refused(
            f"the search took more than {SECONDS:.0f} s and was ended: simplify the pattern or narrow the path"
        )
    if not outcome.ok:
        return Answer(f"grep: the search failed: {outcome.stderr[-500:]}", failed=True)
    return Answer(outcome.stdout or "no match")
