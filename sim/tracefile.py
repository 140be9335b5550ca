"""Trace files: what `foreman sim run --trace` writes, and story, get, diff, explain, plots and analysis read.

Two formats, told by the ending, with the same rows. `.jsonl`: one JSON object a line, times in microseconds; what a pipe or
grep wants, and it needs nothing installed. `.parquet`: the tables of sim.analysis, a tenth of the size, quick to load.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sim.jsonlines import JsonLines
from sim.recording import Recording, Writer
from sim.trace import Row, Sink

SUFFIXES = (".jsonl", ".parquet")


def is_trace(file: str | Path) -> bool:
    """Whether the name is that of a trace file (and not of a scenario)."""
    return str(file).endswith(SUFFIXES)


def both(one: Sink, other: Sink) -> Sink:
    """A sink that gives each row to two."""

    def put(row: Row) -> None:
        one(row)
        other(row)

    return put


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """What writes to the file. Raises OSError, and ValueError for an ending that is neither format's."""
    if path.suffix == ".parquet":
        from sim.analysis.parquet import ParquetWriter

        with path.open("wb") as raw, ParquetWriter(raw) as writer:
            yield writer
    elif path.suffix == ".jsonl":
        with path.open("wb") as raw:
            yield JsonLines(raw)
    else:
        raise ValueError(f"{path}: a trace is written to a file that ends in {' or '.join(SUFFIXES)}")


@contextmanager
def recording(path: Path, replay: str = "") -> Iterator[Recording]:
    """The trace that goes to the file. Raises as `writing` does."""
    with writing(path) as writer:
        trace = Recording(writer, replay)
        yield trace
        trace.flush()


def read_trace(path: Path) -> Iterator[Row]:
    """The rows of a trace file, of a Parquet file all but those of sim.states. Raises OSError, and ValueError that says
    where the file is no trace."""
    if path.suffix == ".parquet":
        from sim.analysis.parquet import rows

        yield from rows(path)
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}:{number}: not a line of a trace: {error.msg}") from None
            if not isinstance(row, dict) or not {"t", "actor", "what"} <= row.keys():
                raise ValueError(f"{path}:{number}: not a line of a trace: expected an object with t, actor, what")
            yield row
