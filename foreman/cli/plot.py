"""`foreman sim plot`, and `--plot` of a run: pictures of what happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from foreman.cli.refusal import refuse

OVERVIEW, ALL = "overview", "all"


def plot(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="A trace written with foreman sim run --trace.")],
    kind: Annotated[
        str,
        typer.Argument(
            metavar="[KIND]",
            help="gantt, placement, utilisation, queue, waits, conflicts, cascade; overview: the telling ones on a page; "
            "all: each in a file of its own.",
        ),
    ] = OVERVIEW,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE.png|.svg|.pdf", help="Where to (default: beside the trace, NAME-KIND.png)."
        ),
    ] = None,
) -> None:
    """Draw what happened in a run."""
    from sim.analysis.kinds import KINDS

    _known(kind, [*KINDS, OVERVIEW, ALL])
    target = output or trace.with_name(f"{trace.stem}-{kind}.png")
    for each in KINDS if kind == ALL else [kind]:
        stem = target.stem.removesuffix(f"-{ALL}")
        path = target.with_stem(f"{stem}-{each}") if kind == ALL else target
        _draw(trace, each, path)
        typer.echo(str(path))


def _known(kind: str, known: list[str]) -> None:
    from sim.kinds import did_you_mean

    if kind not in known:
        near = did_you_mean(kind, known) or f"; there is {', '.join(known)}"
        refuse(f"unknown kind of plot {kind[:40]!r}{near}")


def tables() -> None:
    """Print the tables of a trace: every column, its type, its unit and what it means."""
    from sim.analysis.tables import documented

    typer.echo(documented(), nl=False)


@contextmanager
def drawing(plot: Path | None, trace: Path | None) -> Iterator[Path | None]:
    """Where the run within has to write its trace, so that afterwards it can be drawn to `plot`."""
    if plot is None:
        yield trace
        return
    try:
        from sim.analysis.plots.page import checked

        checked(plot)
    except (ValueError, OSError) as error:
        refuse(_told(error, plot))
    with TemporaryDirectory(prefix="foreman-") as folder:
        written = trace or Path(folder, "run.parquet")
        yield written
        _draw(written, OVERVIEW, plot)


def _draw(trace: Path, kind: str, path: Path) -> None:
    from sim.analysis.load import load

    try:
        run = load(trace)
    except OSError as error:
        refuse(f"cannot read {trace}: {error.strerror}")
    except ValueError as error:
        refuse(str(error))
    try:
        from sim.analysis.plots.page import draw

        draw(run, kind, path)
    except (ValueError, OSError) as error:
        refuse(_told(error, path))


def _told(error: Exception, path: Path) -> str:
    return f"cannot write the plot to {path}: {error.strerror}" if isinstance(error, OSError) else str(error)
