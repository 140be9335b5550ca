"""`foreman sim sweep`: the same scenario with fields varied, over many seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreman.cli.extra import needs
from foreman.cli.refusal import refuse
from foreman.cli.sim import PIPE_WIDTH, File, Sets

if TYPE_CHECKING:
    from sim.sweep.sweep import Outcome, Sweep
    from sim.sweep.workers import Workers

SHOWN = 5
"""Failures that are told one by one."""
WARM_UP_HELP = (
    "Measure tasks created after this long only, e.g. 30m; auto: where the waits of each run settle (MSER-5)."
)


def sweep(
    file: File,
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary",
            metavar="PATH=VALUES",
            help="A field and its values: a list a,b,c or a range FIRST:LAST:STEP (x10 as STEP multiplies). Repeatable.",
        ),
    ],
    seeds: Annotated[
        int, typer.Option(help="Runs of each setting, under seeds 0, 1, 2 ...: the same for all.", min=1)
    ] = 10,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.parquet", help="A row for each run (default: NAME.sweep.parquet).")
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="A column to show. Repeatable; all are in the file."),
    ] = None,
    compare: Annotated[
        str | None, typer.Option(metavar="PATH", help="Which axis to compare (default: the only one, or none).")
    ] = None,
    warm_up: Annotated[str, typer.Option(metavar="DURATION|auto", help=WARM_UP_HELP)] = "0s",
    sets: Sets = None,
    jobs: Annotated[int | None, typer.Option(help="Processes (default: one for each core).", min=1)] = None,
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Run on a Dask cluster: tcp://HOST:8786.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the metrics over the first axis, a line for each of the rest."),
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Write over what another sweep left in the file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run a scenario with some of its fields varied, over many seeds, on all cores.

    Prints the mean of each metric with its 95 % interval (Student's t over seeds), and how the values of an axis differ seed
    by seed, which needs far fewer runs than comparing two intervals. A sweep that was ended goes on where it stood when the
    same command is given again; more --seeds add to it.

    foreman sim sweep heterogeneous-fleet --vary policy=first-fit,best-fit --seeds 30

    Exit code: 0 ok, 1 some cells failed (the others stand), 2 bad input, 130 interrupted.
    """
    needs("analysis", "pandas", "pyarrow")
    from sim.sweep.sheet import BadSheet
    from sim.sweep.workers import NoWorkers

    try:
        made = _prepared(file, vary, seeds, out, warm_up, sets or [], anew)
        interrupted = _run(made, place(jobs, dask), quiet=as_json)
    except (BadSheet, NoWorkers) as error:
        refuse(str(error))
    _tell(made, metrics or [], compare, plot, as_json, interrupted)


def _prepared(
    file: str, vary: list[str], seeds: int, out: Path | None, warm_up: str, sets: list[str], anew: bool
) -> Sweep:
    from sim.source import BadScenario
    from sim.sweep.axis import BadAxis, axis
    from sim.sweep.grid import grid
    from sim.sweep.sheet import Sheet, about
    from sim.sweep.sweep import Sweep

    cut = warm_up_of(warm_up)
    try:
        axes = [axis(item) for item in vary]
        settings = grid(file, axes, sets)
    except (BadAxis, BadScenario) as error:
        refuse(str(error))
    twice = [each.path for each in axes if [other.path for other in axes].count(each.path) > 1]
    if twice:
        refuse(f"--vary {twice[0]} is given twice: write all its values after one")
    path = out or Path(f"{settings[0].scenario.name}.sweep.parquet")
    if path.suffix != ".parquet":
        refuse(f"--out {path}: expected a name that ends in .parquet")
    return Sweep(settings, seeds, Sheet(path, about(file, axes, settings, cut), anew), cut)


def warm_up_of(text: str) -> int:
    """Microseconds, or AUTO."""
    from foreman.durations import duration
    from sim.sweep.cell import AUTO

    if text == "auto":
        return AUTO
    try:
        return duration(text)
    except ValueError as error:
        refuse(f"--warm-up: {error}, or auto")


def place(jobs: int | None, address: str | None) -> AbstractContextManager[Workers]:
    from sim.sweep.workers import dask, processes

    if address is None:
        return processes(jobs)
    if jobs is not None:
        refuse("--jobs is for this machine, --dask for another place: leave one out")
    return dask(address)


def _run(made: Sweep, place: AbstractContextManager[Workers], quiet: bool) -> bool:
    """Whether ^C ended it. What was run is in the file in any case."""
    from rich.console import Console

    from foreman.cli.meter import Meter, Reading

    def reading() -> Reading:
        done = len(made.sheet.rows)
        return Reading(done, made.total, f"{done:,} of {made.total:,}", ())

    console = Console(stderr=True)
    console.quiet = quiet or not console.is_terminal
    whole = False
    try:
        with place as workers, Meter(console, "cells") as meter:
            made.run(workers, lambda row: meter.show(reading))
            whole = True
    except KeyboardInterrupt:
        return True
    finally:
        made.sheet.close(whole)
    return False


def _tell(
    made: Sweep, metrics: list[str], compare: str | None, plot: Path | None, as_json: bool, interrupted: bool
) -> None:
    from sim.sweep.sweep import DEFAULT, Outcome

    outcome = Outcome(made.sheet.rows, made.sheet.about["axes"])
    unknown = next((each for each in metrics if outcome.settings and each not in outcome.metrics), None)
    if unknown is not None:
        from sim.kinds import did_you_mean

        near = did_you_mean(unknown, outcome.metrics)
        refuse(f"--metric {unknown}: no such column; there are {', '.join(outcome.metrics)}{near}")
    shown = metrics or [each for each in DEFAULT if each in outcome.metrics]
    axis = compare or (outcome.axes[0] if len(outcome.axes) == 1 else None)
    if axis is not None and axis not in outcome.axes:
        refuse(f"--compare {axis}: not varied; there is {', '.join(outcome.axes)}")
    if plot is not None and outcome.settings:
        from sim.sweep.picture import picture

        try:
            picture(outcome, shown).save(plot)
        except (OSError, ValueError) as error:
            refuse(f"cannot write {plot}: {error}")
    if as_json:
        typer.echo(json.dumps(_told(made, outcome, shown, axis, interrupted), indent=2))
    else:
        _say(made, outcome, shown, axis, interrupted)
    raise typer.Exit(130 if interrupted else int(bool(outcome.failures)))


def _told(made: Sweep, outcome: Outcome, metrics: Sequence[str], axis: str | None, interrupted: bool) -> dict[str, Any]:
    differences = outcome.differences(axis, metrics) if axis else ()
    return {
        "file": str(made.sheet.path),
        "cells": len(made.sheet.rows),
        "of": made.total,
        "interrupted": interrupted,
        "settings": [
            dict(zip(outcome.axes, vary, strict=True))
            | {metric: outcome.estimate(vary, metric)._asdict() for metric in metrics}
            for vary in outcome.settings
        ],
        "differences": [each._asdict() | {"by": each.by._asdict()} for each in differences],
        "failures": [each._asdict() for each in outcome.failures],
    }


def _say(made: Sweep, outcome: Outcome, metrics: Sequence[str], axis: str | None, interrupted: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for path in outcome.axes:
        table.add_column(path, overflow="fold")
    for metric in metrics:
        table.add_column(metric, justify="right")
    for vary in outcome.settings:
        table.add_row(*map(str, vary), *(interval(outcome.estimate(vary, metric)) for metric in metrics))
    console.print(table)
    if axis:
        _say_differences(outcome, axis, metrics)
    for failure in outcome.failures[:SHOWN]:
        where = " ".join(f"{path}={value}" for path, value in zip(outcome.axes, failure.vary, strict=True))
        typer.echo(f"failed     {where} --seed {failure.seed}: {failure.verdict}: {failure.error}")
    if len(outcome.failures) > SHOWN:
        typer.echo(f"           and {len(outcome.failures) - SHOWN:,} more: column 'error' of the file")
    typer.echo(f"cells      {len(made.sheet.rows):,} in {made.sheet.path} ({made.sheet.before:,} of them from before)")
    if interrupted:
        typer.echo(
            f"interrupted with {made.total - len(made.sheet.rows):,} cells to go: the same command goes on from here"
        )


def _say_differences(outcome: Outcome, axis: str, metrics: Sequence[str]) -> None:
    others = [path for path in outcome.axes if path != axis]
    for each in outcome.differences(axis, metrics):
        where = "".join(f" {path}={value}" for path, value in zip(others, each.rest, strict=True))
        sure = "" if each.by.certain else "  (may be chance)"
        typer.echo(f"{axis} {each.other} against {each.base}{where}: {each.metric} {interval(each.by, '+')}{sure}")


def interval(estimate: Any, sign: str = "") -> str:
    """'12.3 ± 0.4'."""
    mean = f"{estimate.mean:{sign}.4g}"
    return mean if estimate.runs < 2 else f"{mean} ± {estimate.half:.2g}"
