"""`foreman sim plan`: the smallest fleet that meets what is asked of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreman.cli.refusal import refuse
from foreman.cli.sim import PIPE_WIDTH, File, Sets
from foreman.cli.sweep import WARM_UP_HELP, interval, place, warm_up_of

if TYPE_CHECKING:
    from sim.sweep.plan import Plan, Size


def plan(
    file: File,
    slo: Annotated[
        list[str],
        typer.Option("--slo", metavar="TEXT", help="What must hold: 'wait p95 < 10m', 'failed == 0'. Repeatable."),
    ],
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="The group of the fleet to size (default: the only one).")
    ] = None,
    least: Annotated[int, typer.Option("--min", help="Nodes at least.", min=1)] = 1,
    most: Annotated[int, typer.Option("--max", help="Nodes at most.", min=1)] = 1024,
    seeds: Annotated[int, typer.Option(help="Runs of each size; the interval needs two at least.", min=2)] = 10,
    warm_up: Annotated[str, typer.Option(metavar="DURATION|auto", help=WARM_UP_HELP)] = "0s",
    sets: Sets = None,
    jobs: Annotated[int | None, typer.Option(help="Processes (default: one for each core).", min=1)] = None,
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Run on a Dask cluster: tcp://HOST:8786.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Find the smallest fleet with which a scenario meets its service-level objectives.

    A size counts when the whole 95 % interval of each metric meets it, over --seeds runs, and every task comes to an end
    ('unended <= 2' allows two that do not). Sizes are doubled from --min until one does, then halved in between.

    foreman sim plan heterogeneous-fleet --group cuda --slo 'wait p95 < 30s'

    Exit code: 0 found, 1 no size up to --max will do, 2 bad input, 130 interrupted.
    """
    from sim.sweep.plan import Unknown
    from sim.sweep.workers import NoWorkers

    made, name = _prepared(file, slo, group, least, most, seeds, warm_up, sets or [])
    try:
        with place(jobs, dask) as workers, _telling(made, as_json) as tell:
            found = made.run(workers, tell)
    except (NoWorkers, Unknown) as error:
        refuse(str(error))
    except KeyboardInterrupt:
        _say(made, name, None, interrupted=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(_told(made, name, found), indent=2))
    else:
        _say(made, name, found)
    raise typer.Exit(int(found is None))


def _prepared(
    file: str, slos: list[str], group: str | None, least: int, most: int, seeds: int, warm_up: str, sets: list[str]
) -> tuple[Plan, str]:
    from sim.load import load
    from sim.source import BadScenario
    from sim.sweep.cell import Cell
    from sim.sweep.plan import Plan
    from sim.sweep.slo import BadSlo, asked

    if most < least:
        refuse(f"--max {most} is less than --min {least}")
    cut = warm_up_of(warm_up)
    try:
        wanted = asked(slos)
        scenario = load(file, sets).model_copy(update={"expect": {}})
    except (BadSlo, BadScenario) as error:
        refuse(str(error))
    names = list(scenario.fleet)
    if group is None and len(names) > 1:
        refuse(f"--group is needed: the fleet has {', '.join(names)}")
    name = group or names[0]
    if name not in names:
        refuse(f"--group {name}: the fleet has no such group, but {', '.join(names)}")

    def cells(count: int) -> Sequence[Cell]:
        sized = load(file, [*sets, f"fleet.{name.replace('.', chr(92) + '.')}.count={count}"])
        sized = sized.model_copy(update={"expect": {}})
        return [Cell(sized, {}, seed, cut) for seed in range(seeds)]

    return Plan(cells, wanted, least, most), name


@contextmanager
def _telling(made: Plan, quiet: bool) -> Iterator[Callable[[Size], None]]:
    """On a terminal, the size that was tried last."""
    from rich.console import Console

    from foreman.cli.meter import Meter, Reading

    console = Console(stderr=True)
    console.quiet = quiet or not console.is_terminal
    with Meter(console, "sizes", every=0) as meter:

        def tell(size: Size) -> None:
            told = (f"{size.nodes} nodes: {_line(made, size)}",)
            meter.show(lambda: Reading(len(made.sizes), made.tries, f"{len(made.sizes)} of at most {made.tries}", told))

        yield tell


def _line(made: Plan, size: Size) -> str:
    told = [
        f"{each.metric} {interval(found) if found else 'unknown'}"
        for each, found in zip(made.slos, size.estimates, strict=True)
    ]
    return ", ".join(told) + ("  ok" if size.met else "  not met")


def _told(made: Plan, name: str, found: Size | None) -> dict[str, Any]:
    return {
        "group": name,
        "slo": [each._asdict() for each in made.slos],
        "nodes": found.nodes if found else None,
        "tried": [
            size._asdict() | {"estimates": [each._asdict() if each else None for each in size.estimates]}
            for size in made.tried()
        ],
    }


def _say(made: Plan, name: str, found: Size | None, interrupted: bool = False) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    table.add_column(f"{name} nodes", justify="right")
    for each in made.slos:
        table.add_column(each.metric, justify="right")
    table.add_column("")
    for size in made.tried():
        values = [interval(each) if each else "no run came through" for each in size.estimates]
        remark = f"{size.failed} runs failed" if size.failed else ""
        table.add_row(str(size.nodes), *values, "met" if size.met else remark or "not met")
    console.print(table)
    asked = " and ".join(each.text for each in made.slos)
    if interrupted:
        typer.echo("interrupted before an answer")
    elif found is None:
        typer.echo(
            f"no fleet up to {made.most} {name} nodes meets {asked}: raise --max, or see whether more nodes help at all"
        )
    else:
        typer.echo(f"smallest   {found.nodes} {name} nodes meet {asked}")
