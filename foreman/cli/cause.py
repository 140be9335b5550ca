"""`foreman sim cause`: when did the failure become inevitable, and by what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreman.cli.refusal import refuse
from foreman.cli.sim import PIPE_WIDTH, Seed, Sets, load_scenario

if TYPE_CHECKING:
    from sim.hunt.cause import Cause, Moment

BAR = 20


def cause(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A counterexample, or a scenario whose run fails.")],
    branches: Annotated[int, typer.Option(help="Continuations tried at each moment.", min=1)] = 40,
    seed: Seed = None,
    sets: Sets = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Tell when a failing run became inevitable, and the event that did it.

    Branches the run at many moments and runs the rest again with fresh message delays, without some of the faults to come:
    the share of branches that fails all the same is shown for each moment. Exit code 0; 2 if the run does not fail.
    """
    from rich.console import Console

    from sim.hunt.cause import NotFailing, cause

    scenario = load_scenario(file, sets, seed, None)
    console = Console(stderr=True, quiet=as_json)
    try:
        with console.status("branching") as status:
            found = cause(scenario, branches, lambda done: status.update(f"{scenario.name}: {done} moments"))
    except NotFailing as error:
        refuse(str(error))
    if as_json:
        typer.echo(json.dumps(_told(found), indent=2))
    else:
        _say(found)


def _told(found: Cause) -> dict[str, Any]:
    return {
        "violation": found.violation._asdict() | {"at": found.violation.at / 1e6},
        "branches": found.branches,
        "inevitable": found.inevitable and _moment(found.inevitable),
        "rise": {"before": _moment(found.rise[0]), "after": _moment(found.rise[1])},
        "moments": [_moment(each) for each in found.moments],
        "verdict": verdict(found),
    }


def _moment(moment: Moment) -> dict[str, Any]:
    return moment._asdict() | {"at": moment.at / 1e6}


def verdict(found: Cause) -> str:
    """One line: from when on it had to fail, and what did it."""
    before, after = found.rise
    most = f"{before.share:.0%} to {after.share:.0%} at {after.at / 1e6:.6f}s: {after.event}"
    sure = found.inevitable
    if sure is None:
        return f"never inevitable before it happened; the largest rise is from {most}"
    if not sure.messages:
        return f"inevitable from the beginning, in all {found.branches} branches: no order of messages tried avoids it"
    told = f"inevitable from {sure.at / 1e6:.6f}s on, in all {found.branches} branches: {sure.event}"
    return told if sure == after else f"{told}; the largest rise is from {most}"


def _say(found: Cause) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("fails", no_wrap=True)
    table.add_column("what happened")
    for each in found.moments:
        filled = round(each.share * BAR)
        bar = "█" * filled + "·" * (BAR - filled)
        style = "bold red" if each == found.inevitable else ""
        table.add_row(f"{each.at / 1e6:.6f}", f"{bar} {each.share:4.0%}", Text(each.event), style=style)
    console.print(table)
    broken = found.violation
    typer.echo(f"violated   {broken.invariant} at {broken.at / 1e6:.6f}s: {broken.task}: {broken.message}")
    typer.echo(f"cause      {verdict(found)}")
