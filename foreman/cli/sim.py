"""`foreman sim ...`: the simulator. Nothing of it is imported before a command needs it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreman.cli.refusal import refuse

if TYPE_CHECKING:
    from sim.report.gathered import Gathered
    from sim.scenario import Scenario
    from sim.trace import Trace
    from sim.world import World

app = typer.Typer(
    help="Run scenarios on a deterministic simulated cluster: same file, same seed, same result.", no_args_is_help=True
)


def _scenario_names(incomplete: str) -> list[str]:
    from sim.load import shipped

    return sorted(name for name in shipped() if name.startswith(incomplete))


PIPE_WIDTH = 200
"""Columns of a table that no terminal limits."""

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A scenario file, or the name of one that ships.", autocompletion=_scenario_names
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed of all randomness (default: the scenario's).", min=0)]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a field, e.g. --set workload.count=500. Repeatable."),
]
Jobs = Annotated[int, typer.Option(help="Processes (default: one a core).", min=1)]
CORES = os.cpu_count() or 1
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html",
        help="Write a page to look into this one run: timeline, tasks, stories. Also beside --json, and whatever the "
        "verdict; see sim report.",
    ),
]
Until = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Stop at this virtual time at the latest, e.g. 90s or 2h.")
]


@app.command("run")
def run(
    file: File,
    seed: Seed = None,
    sets: Sets = None,
    until: Until = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.parquet|.jsonl", help="Write all that happens: tables to analyse, or a JSON object a line."
        ),
    ] = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="Leave the invariants out (faster).")] = False,
    linearizable: Annotated[
        bool, typer.Option("--linearizable", help="Check too that what callers saw of each claim fits one order.")
    ] = False,
    differential: Annotated[
        bool, typer.Option("--differential", help="Run it without its faults as well: both must end alike (else 4).")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, and no summary when all is well.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png|.svg|.pdf", help="Draw an overview of the run; see sim plot.")
    ] = None,
    report: Report = None,
) -> None:
    """Run a scenario and judge it.

    Exit code: 0 ok, 1 crashed, 2 bad input, 3 a safety invariant was violated, 4 a liveness invariant,
    5 the scenario's expectations were not met, 130 interrupted.
    """
    from foreman.cli.plot import drawing
    from foreman.cli.report import reporting
    from sim.result import exit_code, result_of
    from sim.screen import replay_command

    if linearizable:
        sets = [*(sets or []), "checks.linearizable=true"]
    scenario = load_scenario(file, sets, seed, until)
    if differential:
        from foreman.cli.differential import differential as compared

        if trace or plot or report or no_check:
            refuse("--differential makes two runs and checks both: leave out --trace, --plot, --report and --no-check")
        raise typer.Exit(compared(scenario, as_json, quiet))
    replay = replay_command(file, scenario.seed, sets or [], until)
    with drawing(plot, trace) as written, reporting(report) as gathered, _tracing(written, gathered, replay) as log:
        world = _world(scenario, not no_check, log)
        _watch(world, show=not (as_json or quiet))
        result = result_of(world)
        if log is not None:
            log.end(result)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    elif not quiet or result["verdict"] != "ok":
        _summarise(result, replay)
    raise typer.Exit(exit_code(result))


@app.command("list")
def list_() -> None:
    """List the scenarios that ship, with what each is about."""
    from rich.console import Console
    from rich.table import Table

    from sim.load import load, shipped

    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("about")
    for name, path in sorted(shipped().items()):
        table.add_row(name, " ".join(load(str(path)).story.split()))
    Console().print(table)


@app.command("story")
def story(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A scenario, or a trace written with --trace.")],
    task: Annotated[
        str, typer.Argument(metavar="[KIND/][NS/]NAME", help="A task by its name; fn/NAME, lease/NAME ... for others.")
    ],
    seed: Seed = None,
    sets: Sets = None,
    until: Until = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    everybody: Annotated[
        bool, typer.Option("--all", help="Also every read, list and watch event of everybody, and all faults.")
    ] = False,
) -> None:
    """Tell what happened to one object: who wrote on which version, how he knew it, what was refused and what overtook it."""
    from rich.console import Console

    from sim.causes import at_a_glance, explained
    from sim.story import NoSuchTask, from_run, from_trace, table
    from sim.tracefile import is_trace

    try:
        if is_trace(file):
            rows = from_trace(Path(file), task)
        else:
            rows = from_run(load_scenario(file, sets, seed, until), seed, task)
    except OSError as error:
        refuse(f"cannot read {file}: {error.strerror}")
    except (NoSuchTask, ValueError) as error:
        refuse(str(error))
    rows = explained(rows)
    if not everybody:
        rows = at_a_glance(rows)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
    else:
        console = Console()
        if not console.is_terminal:
            console.width = PIPE_WIDTH
        console.print(table(rows))


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of scenario files.

    Editors complete from it: foreman sim schema > scenario.schema.json, then begin a file with
    # yaml-language-server: $schema=scenario.schema.json
    """
    from sim.load import schema

    typer.echo(json.dumps(schema(), indent=2))


def load_scenario(file: str, sets: list[str] | None, seed: int | None, until: str | None) -> Scenario:
    from sim.load import BadScenario, load

    wanted = [*(sets or [])]
    if until is not None:
        wanted.append(f"until={until}")
    try:
        return load(file, wanted, seed)
    except BadScenario as error:
        refuse(str(error))


@contextmanager
def _tracing(path: Path | None, gathered: Gathered | None, replay: str) -> Iterator[Trace | None]:
    """The trace that goes to the file and to a report, if either is wanted."""
    if path is None and gathered is None:
        yield None
        return
    from sim.trace import Trace
    from sim.tracefile import both, recording, writing

    if path is None:
        assert gathered is not None
        yield Trace(gathered.put, replay)
        return
    try:
        with ExitStack() as stack:
            try:
                if gathered is None:
                    trace: Trace = stack.enter_context(recording(path, replay))
                else:
                    trace = Trace(both(stack.enter_context(writing(path)).put, gathered.put), replay)
            except ValueError as error:
                refuse(str(error))
            yield trace
    except OSError as error:
        refuse(f"cannot write the trace to {path}: {error.strerror}")


def _world(scenario: Scenario, check: bool, trace: Trace | None) -> World:
    from sim.world import World

    return World(scenario, check=check, trace=trace)


def _watch(world: World, show: bool) -> None:
    """Run, with a progress bar where there is somebody to see it."""
    from rich.console import Console

    console = Console(stderr=True)
    if not show or not console.is_terminal:
        world.run()
        return
    from sim.screen import Live

    with Live(console, world) as live:
        world.run(progress=live)


def _summarise(result: dict[str, Any], replay: str) -> None:
    from rich.console import Console

    from sim.screen import closing

    closing(Console(highlight=False), result, replay)
