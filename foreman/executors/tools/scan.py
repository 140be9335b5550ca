"""Searching files, in a process of its own: a pattern may take for ever, and must not take the agent along.

Run by path in the folder to search: `scan.py JSON` with {"pattern", "name": '.' or a file, "include", "matches", "width"}.
Prints PATH:LINE:TEXT. Folders are walked by descriptor and links never followed, so nothing outside is read.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from typing import Any

SNIFFED = 8192
SKIPPED = {".git"}
CHARACTERS = 100_000


def main() -> None:
    wanted = json.loads(sys.argv[1])
    pattern = re.compile(wanted["pattern"])
    left = wanted["matches"]
    for path, fd in files(wanted):
        for number, text in hits(fd, pattern):
            left -= 1
            if left < 0:
                print(f"[more than {wanted['matches']} matches: narrow the pattern, the path or include]")
                return
            print(f"{path}:{number}:{text[: wanted['width']]}")


def files(wanted: dict[str, Any]) -> Iterator[tuple[str, int]]:
    if wanted["name"] != ".":
        yield from opened(wanted["name"], wanted["name"], os.open(".", os.O_RDONLY))
        return
    for folder, folders, names, fd in os.fwalk(".", follow_symlinks=False):
        folders[:] = sorted(set(folders) - SKIPPED)
        for name in sorted(names):
            path = os.path.normpath(os.path.join(folder, name))
            include = wanted["include"]
            if not include or fnmatch.fnmatch(name, include) or fnmatch.fnmatch(path, include):
                yield from opened(path, name, fd)


def opened(path: str, name: str, folder: int) -> Iterator[tuple[str, int]]:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return
    if stat.S_ISREG(os.fstat(fd).st_mode):
        yield path, fd
    else:
        os.close(fd)


def hits(fd: int, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    with os.fdopen(fd, "rb") as file:
        if b"\0" in file.read(SNIFFED):
            return
        file.seek(0)
        for number, raw in enumerate(file, 1):
            text = raw[:CHARACTERS].decode(errors="replace").rstrip("\r\n")
            if pattern.search(text):
                yield number, text


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    main()
