"""Reading what others wrote: a refusal names file, line, what was found and what was expected."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

EPOCH_SECONDS_MAX = 10**10
"""A later moment, in seconds, is beyond the year 2286: it was milliseconds."""
SPAN_SECONDS_MAX = 10 * 366 * 86400
"""No public trace is longer than ten years, and no task of one."""


class BadTrace(ValueError):
    """One line: file, line, what is wrong with it and what was expected."""


class Line:
    """Named fields of one line of a file."""

    def __init__(self, path: Path, number: int, fields: Mapping[str, str]) -> None:
        self.path = path
        self.number = number
        self.fields = fields

    def bad(self, told: str) -> BadTrace:
        return BadTrace(f"{self.path}:{self.number}: {told}")

    def whole(self, name: str, empty: int | None = None) -> int:
        """A whole number >= 0; an empty field is `empty`, where that is allowed."""
        text = self.fields[name].strip()
        if not text and empty is not None:
            return empty
        if not (text.isascii() and text.isdigit()):
            raise self.bad(f"{name}: expected a whole number >= 0, not {text!r}")
        return int(text)

    def seconds(self, name: str) -> int:
        """A moment or a span in seconds, as whole microseconds."""
        text = self.fields[name].strip()
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise self.bad(f"{name}: expected seconds, not {text!r}") from None
        if not value.is_finite() or value < 0:
            raise self.bad(f"{name}: expected seconds >= 0, not {text}")
        if value > EPOCH_SECONDS_MAX:
            raise self.bad(f"{name}: {text} looks like milliseconds: expected seconds")
        return round(value * 10**6)

    def span(self, us: int, name: str) -> int:
        """`us`, unless nothing can take that long."""
        if us > SPAN_SECONDS_MAX * 10**6:
            raise self.bad(f"{name}: {us // 10**6} s is more than ten years: expected seconds, are these milliseconds?")
        return us


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, line) of a text file that is not empty. Raises BadTrace."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, line in enumerate(file, 1):
                yield number, line
    except OSError as error:
        raise BadTrace(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadTrace(f"{path}:{number + 1}: not UTF-8 text: expected a trace") from None
    if not number:
        raise BadTrace(f"{path}: empty: expected a trace")


def rows(path: Path, columns: Sequence[str], what: str) -> Iterator[Line]:
    """The rows of a CSV file that has these columns, and may have others."""
    numbered = text_lines(path)
    _, first = next(numbered)
    header = [name.strip() for name in next(csv.reader([first]), [])]
    missing = [name for name in columns if name not in header]
    if missing:
        raise BadTrace(f"{path}:1: not {what}: no column {', '.join(missing)}: expected {','.join(columns)}")
    for number, text in numbered:
        cells = next(csv.reader([text]), [])
        line = Line(path, number, dict(zip(header, cells, strict=False)))
        if len(cells) != len(header):
            if not text.strip():
                continue
            raise line.bad(f"{len(cells)} fields: expected {len(header)}; is the file truncated?")
        yield line
