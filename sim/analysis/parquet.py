"""A trace as one Parquet file: many tables, one schema.

A Parquet file has one schema, and a trace has nine tables. So the file has the columns of all of them, and `table` says whose
a row is. Each row group holds rows of one table only, with nulls, which take no room, in the columns of the others: a reader
that filters on `table` skips all else by its statistics. The alternatives are worse: a zip or a folder of files is no Parquet
file, and whatever opens one (DuckDB, Polars, pandas, Spark) would have to be told; here
`SELECT * FROM 'out.parquet' WHERE "table" = 'tasks'` works as it stands. The scenario, the seed, the
version and the replay command are in the metadata of the file.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from sim.analysis.tables import COLUMNS, TABLES
from sim.analysis.tabulate import Columns, Tabulator, notes, timed
from sim.extras import Missing
from sim.recording import Batch
from sim.trace import END, HEADER, Row

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise Missing("Parquet", "analysis", "pyarrow", otherwise="or use .jsonl") from None

GROUP = 16_384
"""Rows of a row group, and so of a table in memory."""
BATCH = 4096
"""Rows of a table that are kept as they are."""
_TYPES = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "text": pa.string()}
_FEW = [
    "table", "actor", "verb", "kind", "outcome", "detail", "event", "host", "fault", "invariant", "was", "phase", "node",
    "holder", "verdict", "reason", "class", "workload", "accelerator", "outcome_phase", "attempt", "attempts", "priority",
    "ram_gb", "slots", "holding", "running",
]  # fmt: skip
"""Columns of few different values."""


class ParquetWriter:
    """A sim.recording.Writer. Use as a context manager: the file is whole when that has been left."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw = raw
        self._tables = Tabulator()
        self._rows: list[Row] = []
        self._parts: dict[str, list[Any]] = {name: [] for name in TABLES}
        self._lists: dict[str, dict[str, list[Any]]] = {
            name: {column: [] for column in table.columns} for name, table in TABLES.items()
        }
        self._counts = dict.fromkeys(TABLES, 0)
        self._writer: Any = None
        self._result: Row | None = None

    def __enter__(self) -> ParquetWriter:
        return self

    def put(self, row: Row) -> None:
        what = row["what"]
        if what == HEADER:
            self._open(row)
        elif what == END:
            self._result = row
        else:
            rows = self._rows
            rows.append(row)
            if len(rows) >= BATCH:
                self._rest()

    def take(self, batch: Batch) -> None:
        logs = {"api_calls": batch.calls, "deliveries": batch.deliveries, "executions": batch.executions}
        self._take({table: timed(table, log) for table, log in logs.items() if log})
        self._take(self._tables.follow(batch.changes))
        self._take(notes(batch.notes))

    def _rest(self) -> None:
        self._take(self._tables.take(self._rows))
        self._rows.clear()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._writer is None:
            return
        if not isinstance(error, OSError):
            self._rest()
            self._take(self._tables.end())
            for name in TABLES:
                self._write(name)
            if self._result is not None:
                self._writer.add_key_value_metadata({END: json.dumps(self._result)})
        self._writer.close()

    def _open(self, header: Row) -> None:
        fields = [pa.field("table", pa.string(), metadata={"about": "the table the row is of"})]
        for name, column in COLUMNS.items():
            fields.append(pa.field(name, _TYPES[column.type], metadata={"unit": column.unit, "about": column.about}))
        self._schema = pa.schema(fields, metadata={"foreman": json.dumps(header)})
        self._writer = pq.ParquetWriter(
            self.raw, self._schema, compression="zstd", use_dictionary=_FEW, write_statistics=["table", "seq", "t"]
        )

    def _take(self, added: dict[str, Columns]) -> None:
        for table, columns in added.items():
            lists = self._lists[table]
            for name, values in columns.items():
                lists[name] += values
            if len(lists["t" if "t" in lists else "task"]) >= BATCH:
                self._pack(table)
                if self._counts[table] >= GROUP:
                    self._write(table)

    def _pack(self, table: str) -> None:
        """Columns become arrays: they are a tenth of what they were."""
        lists = self._lists[table]
        arrays = [pa.array(values, _TYPES[COLUMNS[name].type]) for name, values in lists.items()]
        for values in lists.values():
            values.clear()
        self._parts[table].append(pa.record_batch(arrays, names=[*lists]))
        self._counts[table] += len(arrays[0])

    def _write(self, table: str) -> None:
        """One row group of all there is of a table."""
        self._pack(table)
        parts, count = self._parts[table], self._counts[table]
        if not count:
            return
        columns = pa.Table.from_batches(parts)
        arrays = [pa.repeat(table, count)]
        for field in self._schema:
            if field.name != "table":
                known = field.name in columns.column_names
                arrays.append(columns.column(field.name) if known else pa.nulls(count, field.type))
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=count)
        parts.clear()
        self._counts[table] = 0


class Opened:
    """A trace that is read: its first row, its last if the run came to its end, and its tables. Raises OSError, ValueError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb"):
                self._file = pq.ParquetFile(path)
            metadata = self._file.schema_arrow.metadata or {}
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path}: no Parquet file, or cut short: {str(error).splitlines()[0][:120]}") from None
        if b"foreman" not in metadata:
            raise ValueError(f"{path}: a Parquet file, but not a trace of foreman sim run")
        self.header: Row = json.loads(metadata[b"foreman"])
        # What is written last stands in the metadata of the file, not in its schema's.
        last = (self._file.metadata.metadata or {}).get(END.encode())
        self.end: Row | None = json.loads(last) if last else None
        self._groups: dict[str, list[int]] = {name: [] for name in TABLES}
        for number in range(self._file.num_row_groups):
            of = self._file.metadata.row_group(number).column(0).statistics.min
            self._groups.setdefault(of, []).append(number)

    def table(self, name: str) -> Any:
        """The pyarrow table of that name, without the columns of others. Raises ValueError."""
        with sound(self.path):
            return self._file.read_row_groups(self._groups[name], columns=[*TABLES[name].columns])

    def batches(self, name: str) -> Iterator[list[dict[str, Any]]]:
        for group in self._groups[name]:
            yield self._file.read_row_group(group, columns=[*TABLES[name].columns]).to_pylist()


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Where a file turns out to be damaged behind its footer: ValueError."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: damaged: {str(error).splitlines()[0][:120]}") from None


def rows(path: Path) -> Iterator[Row]:
    """The rows as the run has told them, in order; those of sim.states are left out."""
    opened = Opened(path)
    yield opened.header
    logs = [_numbered(opened, name) for name in _ROWS]
    with sound(path):
        for _, row in heapq.merge(*logs, key=lambda pair: pair[0]):
            yield row
    if opened.end is not None:
        yield opened.end


def _numbered(opened: Opened, table: str) -> Iterator[tuple[int, Row]]:
    of = _ROWS[table]
    for batch in opened.batches(table):
        for record in batch:
            yield record["seq"], _row(round(record["t"] * 1e6), of(record))


def _row(t: int, told: dict[str, Any]) -> Row:
    return {"t": t, **{name: value for name, value in told.items() if value is not None}}


def _call(record: dict[str, Any]) -> dict[str, Any]:
    saw = record["saw"]
    what = {"actor": record["actor"], "what": record["verb"], "kind": record["kind"], "key": record["object"]}
    told = {name: record[name] for name in ("read", "version", "outcome", "detail")}
    return {**what, **told, "saw": json.loads(saw) if saw else None}


def _delivery(record: dict[str, Any]) -> dict[str, Any]:
    what = {"actor": record["actor"], "what": "event", "kind": record["kind"], "key": record["object"]}
    return {**what, "version": record["version"], "detail": record["event"]}


def _execution(record: dict[str, Any]) -> dict[str, Any]:
    started = record["event"] == "started"
    detail = f"attempt {record['attempt']}" + ("" if started else f" {record['event']}")
    what = "execute" if started else "executed"
    return {"actor": record["actor"], "what": what, "key": record["task"], "detail": detail}


def _told(actor: str, what: str, record: dict[str, Any]) -> dict[str, Any]:
    if what == "fault":
        return {"actor": record["host"], "what": what, "detail": record["detail"]}
    return {
        "actor": actor,
        "what": what,
        "key": record["task"],
        "detail": f"{record['invariant']}: {record['message']}",
    }


_ROWS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "api_calls": _call,
    "deliveries": _delivery,
    "executions": _execution,
    "faults": partial(_told, "", "fault"),
    "violations": partial(_told, "checker", "violation"),
}
