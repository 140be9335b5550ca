"""The command line: `foreman sim ...`, `foreman crds`.

Errors a user can cause are one line on stderr and exit code 2. Nothing of the simulator is imported before it is needed.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import foreman

if TYPE_CHECKING:
    from sim.scenario import Scenario
    from sim.world import World

app = typer.Typer(
    name="foreman",
    help="Dispatch agentic tasks over a fleet of unlike machines; simulate the fleet before you trust it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
sim_app = typer.Typer(
    help="Run scenarios on a deterministic simulated cluster: same file, same seed, same result.", no_args_is_help=True
)
app.add_typer(sim_app, name="sim")


def _scenario_names(incomplete: str) -> list[str]:
    from sim.load import shipped

    return sorted(name for name in shipped() if name.startswith(incomplete))


PIPE_WIDTH = 200
"""Columns of a table that no terminal limits."""
PICTURE_WIDTH = 110

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
Until = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Stop at this virtual time at the latest, e.g. 90s or 2h.")
]


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        typer.echo(f"foreman {foreman.__version__}")
        raise typer.Exit


@app.command()
def crds(
    directory: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write one file a kind instead of printing.")
    ] = None,
) -> None:
    """Print the CustomResourceDefinitions, generated from the API models.

    Install them with: foreman crds | kubectl apply -f -
    """
    from foreman.api.crd import CRD_KINDS, crd_file_name, crd_yaml

    if directory is None:
        typer.echo("---\n".join(crd_yaml(kind) for kind in CRD_KINDS), nl=False)
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for kind in CRD_KINDS:
            (directory / crd_file_name(kind)).write_text(crd_yaml(kind), encoding="utf-8")
    except OSError as error:
        _refuse(f"cannot write to {directory}: {error.strerror}")


@sim_app.command("run")
def sim_run(
    file: File,
    seed: Seed = None,
    sets: Sets = None,
    until: Until = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write every request, execution and fault as JSON lines.")
    ] = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="Leave the invariants out (faster).")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, and no summary when all is well.")] = False,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Save the summary as a picture of a terminal.")
    ] = None,
) -> None:
    """Run a scenario and judge it.

    Exit code: 0 ok, 1 crashed, 2 bad input, 3 a safety invariant was violated, 4 a liveness invariant,
    5 the scenario's expectations were not met, 130 interrupted.
    """
    from sim.result import exit_code, result_of

    scenario = _load(file, sets, seed, until)
    with ExitStack() as stack:
        world = _world(scenario, check=not no_check, sink=_open_trace(trace, stack))
        _watch(world, show=not (as_json or quiet))
    result = result_of(world)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    elif not quiet or result["verdict"] != "ok":
        _summarise(result, file, sets or [], until, picture)
    raise typer.Exit(exit_code(result))


@sim_app.command("list")
def sim_list() -> None:
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


@sim_app.command("story")
def sim_story(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A scenario, or a trace written with --trace.")],
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name of a task, or NAMESPACE/NAME.")],
    seed: Seed = None,
    sets: Sets = None,
    until: Until = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Tell what happened to one task: who read which version, who wrote what, what was refused and why."""
    from rich.console import Console

    from sim.story import NoSuchTask, from_run, from_trace, table

    try:
        if file.endswith(".jsonl"):
            rows = from_trace(Path(file), task)
        else:
            rows = from_run(_load(file, sets, seed, until), seed, task)
    except OSError as error:
        _refuse(f"cannot read {file}: {error.strerror}")
    except (NoSuchTask, ValueError) as error:
        _refuse(str(error))
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
    else:
        console = Console()
        if not console.is_terminal:
            console.width = PIPE_WIDTH
        console.print(table(rows))


@sim_app.command("schema")
def sim_schema() -> None:
    """Print the JSON Schema of scenario files.

    Editors complete from it: foreman sim schema > scenario.schema.json, then begin a file with
    # yaml-language-server: $schema=scenario.schema.json
    """
    from sim.load import schema

    typer.echo(json.dumps(schema(), indent=2))


def _load(file: str, sets: list[str] | None, seed: int | None, until: str | None) -> Scenario:
    from sim.load import BadScenario, load

    wanted = [*(sets or [])]
    if until is not None:
        wanted.append(f"until={until}")
    try:
        return load(file, wanted, seed)
    except BadScenario as error:
        _refuse(str(error))


def _open_trace(path: Path | None, stack: ExitStack) -> IO[str] | None:
    if path is None:
        return None
    try:
        return stack.enter_context(path.open("w", encoding="utf-8"))
    except OSError as error:
        _refuse(f"cannot write the trace to {path}: {error.strerror}")


def _world(scenario: Scenario, check: bool, sink: IO[str] | None) -> World:
    from sim.trace import Trace
    from sim.world import World

    return World(scenario, check=check, trace=Trace(sink=sink) if sink is not None else None)


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


def _summarise(result: dict[str, Any], file: str, sets: list[str], until: str | None, picture: Path | None) -> None:
    from rich.console import Console

    from sim.screen import closing, replay_command

    replay = replay_command(file, result, sets, until)
    closing(Console(highlight=False), result, replay)
    if picture is not None:
        console = Console(record=True, width=PICTURE_WIDTH, file=StringIO(), force_terminal=True, highlight=False)
        closing(console, result, replay)
        try:
            console.save_svg(str(picture), title=replay)
        except OSError as error:
            _refuse(f"cannot write the picture to {picture}: {error.strerror}")


class BadInput(typer.TyperException):
    """What the user gave cannot be used."""

    exit_code = 2


def _refuse(message: str) -> NoReturn:
    raise BadInput(message)


def main() -> None:
    """Entry point of the `foreman` command."""
    command = typer.main.get_command(app)
    try:
        code = command(prog_name="foreman", standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context is not None else ""
        for line in error.format_message().splitlines():
            print(f"foreman: {line}{hint}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
