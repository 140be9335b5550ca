"""`foreman sim import`: public traces as scenarios."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreman.cli.refusal import refuse

if TYPE_CHECKING:
    from sim.importers.imported import Imported

app = typer.Typer(help="Turn a public trace into a scenario; what is lost on the way is said.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", "-o", metavar="SCENARIO.yaml", help="Where the scenario is written.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks of the file.")]
SpeedUp = Annotated[
    float, typer.Option("--speed-up", min=1e-6, max=1e9, help="Everything so many times sooner and shorter.")
]
Pack = Annotated[
    float | None,
    typer.Option(min=1e-6, max=1e9, help="Gaps between arrivals so many times shorter, tasks as long as they are."),
]
Load = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=1000,
        help="The same, so that tasks ask for this share of the scarcest slots at the busiest moment.",
    ),
]
Trace = Annotated[Path, typer.Argument(metavar="FILE")]
Nodes = Annotated[int, typer.Option(min=1, max=100_000, help="Machines, which the trace does not tell of.")]
SCENARIO = Path("scenario.yaml")


@app.command("openb")
def openb(
    nodes: Annotated[Path, typer.Argument(metavar="NODES.csv")],
    tasks: Annotated[Path, typer.Argument(metavar="TASKS.csv")],
    out: Out = SCENARIO,
    limit: Limit = None,
    speed_up: SpeedUp = 1.0,
    pack: Pack = None,
    load: Load = None,
) -> None:
    """Alibaba's GPU cluster (openb): GPUs become slots, models labels, memory RAM."""
    from sim.importers import openb

    _write(lambda: openb.read(nodes, tasks, limit), f"{nodes.name} and {tasks.name}", out, speed_up, pack, load)


@app.command("swf")
def swf(
    file: Trace,
    out: Out = SCENARIO,
    limit: Limit = None,
    speed_up: SpeedUp = 1.0,
    pack: Pack = None,
    load: Load = None,
) -> None:
    """A log of parallel jobs in the Standard Workload Format: processors become slots."""
    from sim.importers import swf

    _write(lambda: swf.read(file, limit), file.name, out, speed_up, pack, load)


@app.command("azure-llm")
def azure_llm(
    file: Trace,
    out: Out = SCENARIO,
    limit: Limit = None,
    speed_up: SpeedUp = 1.0,
    pack: Pack = None,
    nodes: Nodes = 8,
) -> None:
    """Azure's LLM inference traces (TIMESTAMP,ContextTokens,GeneratedTokens): requests become tasks counted in tokens."""
    from sim.importers import azure

    _write(lambda: azure.read(file, limit, nodes), file.name, out, speed_up, pack)


@app.command("jsonl")
def jsonl(
    file: Trace,
    out: Out = SCENARIO,
    limit: Limit = None,
    speed_up: SpeedUp = 1.0,
    pack: Pack = None,
    load: Load = None,
    nodes: Nodes = 8,
    slots: Annotated[int, typer.Option(min=1, max=100, help="Tasks that a machine runs at once.")] = 1,
) -> None:
    """A list of tasks of your own: {"at": "90s", "duration": "10m", "requires": {"minRAMGB": 8}, "priority": 5}, one a line."""
    from sim.importers import jsonl

    _write(lambda: jsonl.read(file, limit, nodes, slots), file.name, out, speed_up, pack, load)


def _write(
    read: Callable[[], Imported],
    source: str,
    out: Path,
    speed_up: float,
    pack: float | None = None,
    load: float | None = None,
) -> None:
    from sim.importers.crowding import factor_for, packed
    from sim.importers.lines import BadTrace
    from sim.load import BadScenario, parse

    if pack is not None and load is not None:
        refuse("--pack and --load both say how close tasks come: expected one of them")
    try:
        found = read()
        if load is not None:
            pack = factor_for(found, load)
        if pack is not None:
            found = packed(found, pack)
        found = found.sped_up(speed_up)
        text = found.text(source)
        parse(text, str(out))
        out.write_text(text, encoding="utf-8")
    except (BadTrace, BadScenario) as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"cannot write {out}: {error.strerror}")
    head, *losses = found.told()
    if speed_up != 1:
        losses.append(f"{speed_up:g} times as fast: heartbeats, polls and delays of the network are not")
    typer.echo("\n".join([f"{out}: {head}", *(f"  {each}" for each in losses)]))
