"""`foreman sim cause`: when did the failure become inevitable, and by what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreman.cli.refusal import refuse
from foreman.cli.sim import CORES, PIPE_WIDTH, Jobs, Seed, Sets, load_scenario

if TYPE_CHECKING:
    from foreman.cli.meter import Reading
    from sim.hunt.cause import Cause, Moment, Search

BAR = 20


def cause(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A counterexample, or a scenario whose run fails.")],
    branches: Annotated[int, typer.Option(help="Continuations tried at each moment, at least.", min=1)] = 40,
    jobs: Jobs = CORES,
    seed: Seed = None,
    sets: Sets = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Tell when a failing run became inevitable, and the event that did it.

    Branches the run at moments, searching for the one from which all fail, and runs the rest again with fresh message delays,
    without some of the faults to come: for each moment there is the share of branches that fails all the same, and the
    interval that holds its probability with 95 %. Exit code 0; 2 if the run does not fail; 130 interrupted, with what is known.
    """
    from rich.console import Console

    from foreman.cli.meter import Meter
    from sim.hunt.cause import NotFailing, cause
    from sim.result import EXIT_CODES

    scenario = load_scenario(file, sets, seed, None)
    try:
        with Meter(Console(stderr=True, quiet=as_json), scenario.name) as meter:
            found = cause(scenario, branches, jobs, lambda search: meter.show(lambda: _reading(search)))
    except NotFailing as error:
        refuse(str(error))
    except KeyboardInterrupt:
        typer.echo("interrupted before anything was known", err=True)
        raise typer.Exit(EXIT_CODES["interrupted"]) from None
    if as_json:
        typer.echo(json.dumps(_told(found), indent=2))
    else:
        _say(found)
    raise typer.Exit(EXIT_CODES["interrupted" if found.interrupted else "ok"])


def _reading(search: Search) -> Reading:
    from foreman.cli.meter import Reading

    done = len(search.counts)
    edge = search.edge()
    where = (
        f"inevitable between messages {edge[0]:,} and {edge[1]:,} of {search.last:,}" if edge else "nothing got away"
    )
    return Reading(done, search.least, f"{done} of about {search.least} moments", (f"{search.ran:,} branches", where))


def _told(found: Cause) -> dict[str, Any]:
    return {
        "violation": found.violation._asdict() | {"at": found.violation.at / 1e6},
        "interrupted": found.interrupted,
        "inevitable": found.inevitable and _moment(found.inevitable),
        "rise": {"before": _moment(found.rise[0]), "after": _moment(found.rise[1])},
        "moments": [_moment(each) for each in found.moments],
        "verdict": verdict(found),
    }


def _moment(moment: Moment) -> dict[str, Any]:
    low, high = moment.interval
    return moment._asdict() | {"at": moment.at / 1e6, "share": moment.share, "low": low, "high": high}


def verdict(found: Cause) -> str:
    """One line: from when on it had to fail, and what did it."""
    before, after = found.rise
    most = f"{before.share:.0%} to {after.share:.0%} at {after.at / 1e6:.6f}s: {after.event}"
    sure = found.inevitable
    if sure is None:
        return f"never inevitable before it happened; the largest rise is from {most}"
    so_far = "; interrupted, it may have been earlier" if found.interrupted else ""
    all_of = f"in all {sure.branches} branches (probability at least {sure.interval[0]:.0%})"
    if not sure.messages:
        return f"inevitable from the beginning, {all_of}: no order of messages tried avoids it"
    told = f"inevitable from {sure.at / 1e6:.6f}s on, {all_of}: {sure.event}{so_far}"
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
    table.add_column("95 %", justify="right", no_wrap=True)
    table.add_column("what happened")
    for each in found.moments:
        filled = round(each.share * BAR)
        bar = "█" * filled + "·" * (BAR - filled)
        style = "bold red" if each == found.inevitable else ""
        low, high = (f"{100 * edge:.0f}" for edge in each.interval)
        table.add_row(
            f"{each.at / 1e6:.6f}", f"{bar} {each.share:4.0%}", f"{low}-{high}", Text(each.event), style=style
        )
    console.print(table)
    broken = found.violation
    typer.echo(f"violated   {broken.invariant} at {broken.at / 1e6:.6f}s: {broken.task}: {broken.message}")
    typer.echo(f"cause      {verdict(found)}")
