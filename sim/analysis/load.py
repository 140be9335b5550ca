"""A trace file as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foreman.durations import show
from sim.analysis.tables import COLUMNS, TABLES
from sim.analysis.tabulate import Tabulator
from sim.extras import Missing
from sim.trace import END, FORMAT, HEADER, Row
from sim.tracefile import is_trace, read_trace

if TYPE_CHECKING:
    from pandas import DataFrame

_DTYPES = {"int": "Int64", "float": "float64", "bool": "boolean", "text": "string"}


class Run(Mapping[str, "DataFrame"]):
    """A run as tables: `run.tasks` or `run["tasks"]`; which there are and what their columns mean, is in sim.analysis.tables.

    Times are in virtual seconds. `scenario` is as in its file, `result` what `foreman sim run --json` prints but for the speed,
    None when the run was ended from outside. A table is read when it is first asked for.
    """

    tasks: DataFrame
    attempts: DataFrame
    transitions: DataFrame
    nodes: DataFrame
    api_calls: DataFrame
    deliveries: DataFrame
    executions: DataFrame
    faults: DataFrame
    violations: DataFrame

    def __init__(self, header: Row, last: Row | None, read: Callable[[str], DataFrame]) -> None:
        self.scenario: dict[str, Any] = header["scenario"]
        self.seed: int = header["seed"]
        self.version: str = header["version"]
        self.replay: str = header.get("replay", "")
        self.result: dict[str, Any] | None = last["result"] if last else None
        self._read = read
        self._end: float | None = last["t"] / 1e6 if last else None

    @property
    def name(self) -> str:
        """Of the scenario."""
        return str(self.scenario.get("name") or "scenario")

    @property
    def end(self) -> float:
        """Virtual seconds at the end of the run."""
        return float(self._end if self._end is not None else self.api_calls["t"].max())

    def __getattr__(self, name: str) -> DataFrame:
        if name not in TABLES:
            raise AttributeError(f"a run has no {name!r}; its tables are {', '.join(TABLES)}")
        frame = self._read(name)
        setattr(self, name, frame)
        return frame

    def __getitem__(self, name: str) -> DataFrame:
        if name not in TABLES:
            raise KeyError(name)
        frame: DataFrame = getattr(self, name)
        return frame

    def __iter__(self) -> Iterator[str]:
        return iter(TABLES)

    def __len__(self) -> int:
        return len(TABLES)

    def __repr__(self) -> str:
        return f"<Run of {self.name}, seed {self.seed}, {show(round(self.end * 1e6))}>"


def load(path: str | Path) -> Run:
    """The run that wrote the trace. Raises OSError, and ValueError in one line: no trace, cut short, of another format; or
    Missing when pandas is not installed."""
    path = Path(path)
    try:
        import pandas as pd
    except ImportError:
        raise Missing("loading a trace", "analysis", "pandas") from None
    if not is_trace(path):
        raise ValueError(f"{path}: a trace ends in .jsonl or .parquet: write one with foreman sim run --trace")
    if path.suffix == ".parquet":
        return _parquet(path, pd)
    return _jsonl(path, pd)


def _parquet(path: Path, pd: Any) -> Run:
    from sim.analysis.parquet import Opened

    opened = Opened(path)
    understood(path, opened.header)
    return Run(opened.header, opened.end, lambda name: _frame(name, opened.table(name).to_pandas(), pd))


def _jsonl(path: Path, pd: Any) -> Run:
    rows, ends = read_trace(path), list[Row]()
    header = next(rows, None)
    understood(path, header)
    assert header is not None
    tables = Tabulator()
    columns = tables.take(_but_the_end(rows, ends))
    for name, more in tables.end().items():
        had = columns.get(name, {})
        columns[name] = {column: [*had.get(column, ()), *values] for column, values in more.items()}

    def read(name: str) -> Any:
        return _frame(name, pd.DataFrame(columns.get(name, dict.fromkeys(TABLES[name].columns, ()))), pd)

    return Run(header, ends[-1] if ends else None, read)


def _but_the_end(rows: Iterator[Row], ends: list[Row]) -> Iterator[Row]:
    for row in rows:
        if row["what"] == END:
            ends.append(row)
        else:
            yield row


def understood(path: Path, header: Row | None) -> None:
    """Raises ValueError for a trace that does not begin as those of this version do."""
    if header is None or header["what"] != HEADER:
        raise ValueError(f"{path}: does not say which run it is of: write it with foreman sim run --trace")
    if (found := header.get("format")) != FORMAT:
        wrote = header.get("version", "an older version")
        raise ValueError(
            f"{path}: written by Foreman {wrote} in format {found or 0}, this reads {FORMAT}: "
            "write it anew, or read it with that version"
        )


def _frame(table: str, frame: Any, pd: Any) -> Any:
    made = frame.astype({name: _DTYPES[COLUMNS[name].type] for name in TABLES[table].columns})
    # Only a run whose safeguards are out lets a task begin again after its end: its last end counts.
    return made.drop_duplicates("task", keep="last", ignore_index=True) if table == "tasks" else made
