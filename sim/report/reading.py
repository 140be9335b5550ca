"""What a trace file holds, gathered for a report."""

from __future__ import annotations

from pathlib import Path

from sim.analysis.load import understood
from sim.report.gathered import STATES, Gathered
from sim.tracefile import is_trace, read_trace


def gathered_from(path: Path) -> Gathered:
    """Raises OSError, and ValueError in one line: no trace, cut short, of another format, a library missing."""
    if not is_trace(path):
        raise ValueError(
            f"{path}: a report is made of a trace (.jsonl or .parquet); of a scenario: foreman sim run {path} --report out.html"
        )
    gathered = Gathered(_tables(path) if path.suffix == ".parquet" else None)
    rows = read_trace(path)
    header = next(rows, None)
    understood(path, header)
    assert header is not None
    gathered.put(header)
    for row in rows:
        gathered.put(row)
    return gathered


def _tables(path: Path) -> dict[str, dict[str, list[object]]]:
    from sim.analysis.parquet import Opened

    opened = Opened(path)
    return {name: opened.table(name).to_pydict() for name in STATES}
