"""`foreman sim zoo`: real bugs, brought back and found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreman.cli.refusal import refuse
from foreman.cli.sim import CORES, Jobs

if TYPE_CHECKING:
    from sim.hunt.zoo import Found

PIPE_WIDTH = 200


def zoo(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Entries, e.g. beads-4657-check-then-act.")
    ] = None,
    jobs: Jobs = CORES,
    shrink: Annotated[float, typer.Option(metavar="SECONDS", help="How long to make each smaller.", min=0)] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list and nothing else.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
) -> None:
    """Bring real bugs back, one mutation each, find them, and show that the product does not have them.

    Schedules: how many a hunt of the scenario needed that was not told the entry's own faults and seed ("own schedule": more
    than it may try, and only what the entry tells finds it). Time: of the run by what it tells. Smallest: how small that case
    became: operators, agents, tasks, faults and choices that are not the quickest.
    Exit code 0 when each is found with its mutation and absent without, else 3.
    """
    from rich.console import Console

    from foreman.cli.meter import Meter, Reading
    from sim.hunt.zoo import tour
    from sim.kinds import did_you_mean
    from sim.load import zoo as entries

    known = entries()
    wanted = [each if each.startswith("zoo/") else f"zoo/{each}" for each in names or known]
    for each in wanted:
        if each not in known:
            refuse(f"{each}: no such entry: foreman sim zoo --json lists all{did_you_mean(each, known)}")
    found: list[Found] = []
    with Meter(Console(stderr=True, quiet=as_json), "bug zoo") as meter:
        for entry in tour(wanted, jobs, shrink):
            found.append(entry)
            meter.show(
                lambda: Reading(len(found), len(wanted), f"{len(found)} of {len(wanted)} bugs", (found[-1].name,))
            )
    if as_json:
        typer.echo(json.dumps([each._asdict() | {"ok": each.ok} for each in found], indent=2))
    elif markdown:
        _as_markdown(found)
    else:
        _as_table(found)
    raise typer.Exit(0 if all(each.ok for each in found) else 3)


def _schedules(found: Found) -> str:
    return str(found.schedules) if found.schedules else "own schedule"


def _size(found: Found) -> str:
    operators, agents, tasks, faults, choices = found.size
    return f"{operators}o {agents}a {tasks}t {faults}f {choices}c"


def _as_table(found: list[Found]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    columns: list[tuple[str, Any]] = [("entry", "left"), ("breaks", "left"), ("schedules", "right"), ("time", "right")]
    for title, side in [*columns, ("smallest", "left"), ("without", "left")]:
        table.add_column(title, justify=side)
    for each in found:
        schedules = _schedules(each) if each.own else "[bold red]not found"
        clean = "[green]clean" if each.clean else "[bold red]BROKEN"
        name = each.name.removeprefix("zoo/")
        table.add_row(name, each.invariant, schedules, f"{each.seconds * 1000:.0f} ms", _size(each), clean)
    console.print(table)
    good = sum(each.ok for each in found)
    console.print(f"{good} of {len(found)} found with their mutation and absent without it")


def _as_markdown(found: list[Found]) -> None:
    typer.echo("| entry | bug | what happened | mutation | breaks | schedules | smallest |")
    typer.echo("|---|---|---|---|---|---|---|")
    for each in found:
        name = each.name.removeprefix("zoo/")
        row = [f"`{name}`", f"[{each.id}]({each.link})", each.title, each.mutation, each.invariant]
        typer.echo("| " + " | ".join([*row, _schedules(each), _size(each)]) + " |")
