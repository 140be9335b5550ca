"""read_file, write_file, str_replace."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from foreman.executors.tools.function import Function, schema
from foreman.executors.tools.protocol import Answer
from foreman.executors.tools.replace import replace
from foreman.executors.tools.workspace import Refused, Workspace

READ_BYTES = 16 * 1024
LINE_CHARACTERS = 2000
EDIT_BYTES = 10_000_000
SNIFFED = 8192
PATH = {"type": "string", "description": "Relative to the workspace."}


def read_file(workspace: Workspace) -> Function:
    async def body(given: Mapping[str, Any]) -> Answer:
        first, most = given.get("offset", 1), given.get("limit", 0)
        with os.fdopen(workspace.open_file(given["path"]), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if b"\0" in file.read(SNIFFED):
                raise Refused(f"{given['path']} is a binary file of {size} bytes: not shown")
            file.seek(0)
            return Answer(_lines(file, first, most, size))

    return Function(
        "read_file",
        f"Read a text file of the workspace: at most {READ_BYTES} bytes from line `offset` (1 is the first) on; what is left "
        f"out is said, with the offset to go on from. Lines are cut at {LINE_CHARACTERS} characters.",
        schema(("path",), path=PATH, offset={"type": "integer", "minimum": 1}, limit={"type": "integer", "minimum": 1}),
        body,
    )


def _lines(file: Any, first: int, most: int, size: int) -> str:
    shown: list[str] = []
    room, number, cut = READ_BYTES, 0, False
    for number, line in enumerate(_split(file), 1):
        if number < first:
            continue
        if (most and len(shown) >= most) or len(line) > room:
            return "".join(shown) + _note(
                f"lines {first}-{number - 1} of a file of {size} bytes; go on: offset={number}"
            )
        shown.append(line)
        room -= len(line.encode(errors="replace"))
        cut = cut or line.endswith("[cut]\n")
    if not shown and first > 1:
        return _note(f"the file has {number} lines only")
    return "".join(shown) or "[the file is empty]"


def _split(file: Any) -> Any:
    """The lines of a file, none longer than LINE_CHARACTERS, however long it is there."""
    while raw := file.readline(LINE_CHARACTERS * 4):
        text = raw.decode(errors="replace")
        rest = 0
        while not raw.endswith(b"\n") and (raw := file.readline(1 << 20)):
            rest += len(raw)
        if len(text) > LINE_CHARACTERS or rest:
            text = f"{text[:LINE_CHARACTERS]} [the line is longer: cut]\n"
        yield text


def _note(text: str) -> str:
    return f"\n[{text}]"


def write_file(workspace: Workspace) -> Function:
    async def body(given: Mapping[str, Any]) -> Answer:
        data = _encoded(given["content"])
        if len(data) > EDIT_BYTES:
            raise Refused(f"{len(data)} bytes are too much for one file; at most {EDIT_BYTES}")
        new = workspace.write(given["path"], data)
        return Answer(f"{'made' if new else 'replaced'} {given['path']}: {len(data)} bytes")

    return Function(
        "write_file",
        "Write a whole text file of the workspace: a new one, or in place of the one that is there. Folders are made.",
        schema(("path", "content"), path=PATH, content={"type": "string"}),
        body,
    )


def str_replace(workspace: Workspace) -> Function:
    async def body(given: Mapping[str, Any]) -> Answer:
        path, count = given["path"], given.get("expected_replacements", 1)
        try:
            data = workspace.read(path, EDIT_BYTES)
        except FileNotFoundError:
            raise Refused(f"{path} does not exist; to make it use write_file with its whole content") from None
        if b"\0" in data[:SNIFFED]:
            raise Refused(f"{path} is a binary file")
        text, how = replace(data.decode(errors="surrogateescape"), given["old_string"], given["new_string"], count)
        workspace.write(path, _encoded(text))
        return Answer(f"{path}: {count} replaced" + (f" ({how})" if how else ""))

    return Function(
        "str_replace",
        "Replace text in a file. old_string must occur exactly once, or expected_replacements times; copy it letter for letter "
        "from read_file, as few lines as make it unique. For a new file, or a rewrite, use write_file.",
        schema(
            ("path", "old_string", "new_string"),
            path=PATH,
            old_string={"type": "string"},
            new_string={"type": "string"},
            expected_replacements={"type": "integer", "minimum": 1},
        ),
        body,
    )


def _encoded(text: str) -> bytes:
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="replace")
