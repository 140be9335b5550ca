"""The file of a sweep: one Parquet table with a row for each cell, and beside it, while the sweep runs, a journal of the rows.

The journal is one JSON line a cell, so that a sweep that is ended goes on where it stood. What the sweep is (scenario, axes,
warm-up, version) travels with both: rows of another sweep are refused, never mixed in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from foreman import __version__
from sim.sweep.axis import Axis
from sim.sweep.cell import Row
from sim.sweep.grid import Setting

KEY = b"foreman.sweep"


class BadSheet(Exception):
    """Why the file cannot be read or written, and what to do."""


def about(file: str, axes: Sequence[Axis], settings: Sequence[Setting], warm_up: int) -> dict[str, Any]:
    """What makes two sweeps one: all but the number of seeds. `axes` in the order they were asked for."""
    hashed = blake2b(digest_size=16)
    for each in settings:
        hashed.update(each.scenario.model_dump_json(exclude_defaults=True, exclude={"seed", "story"}).encode())
    told = {each.path: list(each.values) for each in axes}
    return {"foreman": __version__, "scenario": file, "axes": told, "warm_up": warm_up, "settings": hashed.hexdigest()}


class Sheet:
    """Rows by cell. `path` is the Parquet file; `done` what has been run before."""

    def __init__(self, path: Path, about: dict[str, Any], anew: bool = False) -> None:
        self.path = path
        self.about = about
        self.journal = path.with_name(path.name + ".journal")
        self.rows: list[Row] = []
        if anew:
            self.journal.unlink(missing_ok=True)
        elif self.journal.exists():
            self.rows = self._journaled()
        elif path.exists():
            self.rows = self._same(*read(path))
        self.before = len(self.rows)
        self._open()

    def _journaled(self) -> list[Row]:
        told: dict[str, Any] = {}
        rows: list[Row] = []
        try:
            text = self.journal.read_text("utf-8")
            for line in text.splitlines():
                # The last line may be half written: the machine went down in the middle of it.
                if line.endswith("}"):
                    told, rows = (json.loads(line), rows) if not told else (told, [*rows, json.loads(line)])
        except (OSError, ValueError) as error:
            raise BadSheet(f"{self.journal}: not the journal of a sweep ({error}): remove it") from None
        return self._same(told, rows)

    def _same(self, told: dict[str, Any], rows: list[Row]) -> list[Row]:
        other = next((name for name, value in self.about.items() if told.get(name) != value), None)
        if other is not None:
            raise BadSheet(
                f"{self.path}: holds another sweep ({other} differs): give another --out, or --anew to write over it"
            )
        return rows

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = self.journal.open("w", encoding="utf-8")
            for each in (self.about, *self.rows):
                self._sink.write(json.dumps(each) + "\n")
            self._sink.flush()
        except OSError as error:
            raise BadSheet(f"cannot write {self.journal}: {error.strerror}") from None

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self._sink.write(json.dumps(row) + "\n")
        self._sink.flush()

    def close(self, whole: bool) -> None:
        """Write the table. The journal stays until the sweep is whole."""
        self._sink.close()
        _write(self.path, self.about, self.rows)
        if whole:
            self.journal.unlink()


def _write(path: Path, about: dict[str, Any], rows: Iterable[Row]) -> None:
    import pandas
    import pyarrow as pa
    import pyarrow.parquet as pq

    ordered = sorted(rows, key=lambda row: (row["seed"], str(row)))
    frame = pandas.DataFrame(ordered)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), KEY: json.dumps(about).encode()})
    half = path.with_name(path.name + ".tmp")
    try:
        pq.write_table(table, half)
        os.replace(half, path)
    except OSError as error:
        raise BadSheet(f"cannot write {path}: {error.strerror or error}") from None


def read(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """What a Parquet file of a sweep holds. Raises BadSheet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadSheet(f"{path}: not a Parquet file that can be read ({str(error).splitlines()[0]})") from None
    told = (table.schema.metadata or {}).get(KEY)
    if told is None:
        raise BadSheet(f"{path}: a Parquet file, but not of a sweep: foreman sim sweep writes one")
    rows = [{key: value for key, value in row.items() if value is not None} for row in table.to_pylist()]
    return json.loads(told), rows
