"""A change, as git tells it: which files, which lines. Pure.

The list of files comes from `git diff --numstat -z`, which no file name can confuse; the lines from the text of the same diff,
read by the counts in its hunk headers, so that no line of a file can pass for a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--no-relative")
_LISTED = re.compile(r"([0-9]{1,9}|-)\t([0-9]{1,9}|-)\t(.+)", re.DOTALL)
_HUNK = re.compile(r"@@ -[0-9]+(?:,([0-9]{1,9}))? \+[0-9]+(?:,([0-9]{1,9}))? @@")


@dataclass(frozen=True)
class FileChange:
    """`lines`: how many were added and removed together; `shown`: added, removed and context lines as they stand."""

    path: str
    lines: int = 0
    binary: bool = False
    new: bool = False
    gone: bool = False
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    shown: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Change:
    """`whole`: whether the lines are known; a diff too long to be kept still has its list of files."""

    files: tuple[FileChange, ...] = ()
    whole: bool = True

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(each.path for each in self.files)


def parse(numstat: str, diff: str) -> Change:
    """`numstat` of -z, and the text of the same diff, which may be cut."""
    listed = [_listed(found) for entry in numstat.split("\0") if (found := _LISTED.fullmatch(entry.lstrip("\n")))]
    sections = list(_sections(diff))
    if len(sections) != len(listed):
        return Change(tuple(listed), whole=False)
    return Change(tuple(_joined(one, section) for one, section in zip(listed, sections, strict=True)))


def _listed(entry: re.Match[str]) -> FileChange:
    binary = "-" in (entry[1], entry[2])
    return FileChange(entry[3], 0 if binary else int(entry[1]) + int(entry[2]), binary)


def _joined(one: FileChange, section: tuple[list[str], list[str]]) -> FileChange:
    headers, body = section
    return replace(
        one,
        new=any(line.startswith("new file mode") for line in headers),
        gone=any(line.startswith("deleted file mode") for line in headers),
        added=tuple(line[1:] for line in body if line.startswith("+")),
        removed=tuple(line[1:] for line in body if line.startswith("-")),
        shown=tuple(line[1:] for line in body),
    )


def _sections(diff: str) -> Iterator[tuple[list[str], list[str]]]:
    """(header lines, lines of hunks) of each file."""
    headers: list[str] | None = None
    body: list[str] = []
    old = new = 0
    for line in diff.split("\n"):
        if old > 0 or new > 0:
            if line.startswith("\\"):
                continue
            old -= line[:1] in ("-", " ", "")
            new -= line[:1] in ("+", " ", "")
            body.append(line)
        elif line.startswith("diff --git "):
            if headers is not None:
                yield headers, body
            headers, body = [], []
        elif found := _HUNK.match(line):
            old, new = (int(count or "1") for count in found.groups())
        elif headers is not None:
            headers.append(line)
    if headers is not None:
        yield headers, body
