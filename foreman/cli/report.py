"""`foreman sim report`, and `--report` of a run: one page that shows what happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreman.cli.refusal import refuse

if TYPE_CHECKING:
    from sim.report.gathered import Gathered


def report(
    trace: Annotated[
        Path, typer.Argument(metavar="TRACE", help="A trace (.jsonl or .parquet) written with foreman sim run --trace.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.html", help="Where to (default: beside the trace, NAME.html)."),
    ] = None,
) -> None:
    """Make the report of a run from its trace: one HTML page with timeline, tasks and stories, which needs no network.

    It is the page that --report writes. What the trace does not hold (a run ended from outside has no result, one with
    --no-check no violations) is said in the page.
    """
    from sim.report.reading import gathered_from

    target = output or trace.with_suffix(".html")
    _check(target)
    try:
        gathered = gathered_from(trace)
    except OSError as error:
        refuse(f"cannot read {trace}: {error.strerror}")
    except ValueError as error:
        refuse(str(error).splitlines()[0])
    _write(gathered, target)
    typer.echo(str(target))


@contextmanager
def reporting(path: Path | None) -> Iterator[Gathered | None]:
    """What the run within has to tell of, if a report is wanted of it; it is written when the run is over."""
    if path is None:
        yield None
        return
    from sim.report.gathered import Gathered

    _check(path)
    gathered = Gathered()
    yield gathered
    _write(gathered, path)


def _check(path: Path) -> None:
    from sim.report.page import checked

    try:
        checked(path)
    except ValueError as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"cannot write the report to {path}: {error.strerror}")


def _write(gathered: Gathered, path: Path) -> None:
    from sim.report.page import write

    try:
        write(gathered, path)
    except OSError as error:
        refuse(f"cannot write the report to {path}: {error.strerror}")
