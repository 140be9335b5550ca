"""`foreman sim validate`: the simulated product against mathematics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from foreman.cli.refusal import refuse
from foreman.cli.sim import CORES, Jobs

if TYPE_CHECKING:
    from rich.console import Console

    from sim.theory.row import Row

WIDTH = 150
"""Columns where no terminal limits the table."""


def validate(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="TEXT", help="Only families whose name has this in it. Repeatable."),
    ] = None,
    jobs: Jobs = CORES,
    show: Annotated[bool, typer.Option("--list", help="Say what would be validated, and run nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array and nothing else.")] = False,
) -> None:
    """Run the product where theory knows the answer, and compare.

    Scheduler, agents and claims run in the simulator as queues, races and leases with a closed form. A row is ok when the
    theory lies in the interval of the simulation (99 % for the whole table) and the interval is narrow. The result is the same
    on every machine.

    Exit code: 0 every row is ok, 1 a row is not, 2 bad input, 130 interrupted.
    """
    from rich.console import Console

    from sim.theory.validation import FAMILIES

    names = _chosen(only or [], list(FAMILIES))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    if show:
        _list(console, names, as_json)
        return
    rows = _rows(names, jobs, quiet=as_json)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        _tell(console, rows)
    raise typer.Exit(0 if all(row.ok is not False for row in rows) else 1)


def _chosen(only: Sequence[str], known: Sequence[str]) -> list[str]:
    for text in only:
        if not any(text.lower() in name.lower() for name in known):
            refuse(f"--only {text}: no such family: expected part of one of {'; '.join(known)}")
    return [name for name in known if not only or any(text.lower() in name.lower() for text in only)]


def _rows(names: list[str], jobs: int, quiet: bool) -> list[Row]:
    from concurrent.futures.process import BrokenProcessPool

    from rich.console import Console

    from foreman.cli.meter import Meter, Reading
    from sim.theory.validation import validate

    console = Console(stderr=True)
    console.quiet = quiet or not console.is_terminal
    try:
        with Meter(console, "runs") as meter:
            return validate(
                names,
                jobs,
                lambda done, total, name: meter.show(lambda: Reading(done, total, f"{done} of {total}", (name,))),
            )
    except BrokenProcessPool:
        typer.echo("a process was killed in the middle of a run (out of memory?): try fewer --jobs", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("interrupted before an answer", err=True)
        raise typer.Exit(130) from None


def _list(console: Console, names: list[str], as_json: bool) -> None:
    from rich.table import Table

    from sim.theory.validation import FAMILIES

    chosen = [FAMILIES[name] for name in names]
    if as_json:
        told = [
            {"family": each.name, "theory": each.source, "run": each.run, "rows": list(each.theory)} for each in chosen
        ]
        typer.echo(json.dumps(told, indent=2))
        return
    table = Table("family", "theory", "what runs", "rows", box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for each in chosen:
        table.add_row(each.name, each.source, each.run, ", ".join(each.theory) or each.not_applicable)
    console.print(table)


def _tell(console: Console, rows: list[Row]) -> None:
    from rich.table import Table

    table = Table("", "quantity", box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for name in ("theory", "simulated", "interval"):
        table.add_column(name, justify="right")
    table.add_column("ok")
    table.add_column("")
    before = ""
    for row in rows:
        family, before = "" if row.family == before else row.family, row.family
        if row.ok is None:
            table.add_row(family, row.note, "", "", "", "-", "")
            continue
        span = f"{row.low:.4f} .. {row.high:.4f}"
        verdict = "ok" if row.ok else "[bold red]NOT OK[/]"
        table.add_row(
            family, row.name, row.theory, f"{row.simulated:.4f}", span, verdict, f"{row.unit}  {row.note}".strip()
        )
    console.print(table)
    red = sum(row.ok is False for row in rows)
    judged = sum(row.ok is not None for row in rows)
    console.print(f"\n{judged - red} of {judged} rows ok; intervals hold at 99 % for all of them together")
