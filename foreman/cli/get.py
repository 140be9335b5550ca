"""`foreman sim get`: the cluster of a simulation at a virtual time, as kubectl would show it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreman.cli import flags
from foreman.cli.refusal import refuse
from foreman.cli.sim import Seed, Sets, load_scenario

if TYPE_CHECKING:
    from sim.glance import Moment, Wanted
    from sim.replay import Observe
    from sim.world import World

FORMS = ("table", "wide", "yaml", "json", "name")

File = Annotated[str, typer.Argument(metavar="FILE", help="A scenario, or a trace written with --trace.")]


def get(
    file: File,
    kind: Annotated[str, typer.Argument(metavar="KIND[/NAME]", help="at, fn, ag, lease, cm ...: as for kubectl.")],
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One object of the kind.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Virtual time, e.g. 42s (default: the end).")] = None,
    between: Annotated[
        str | None, typer.Option(metavar="FROM,TO", help="The changes of that time instead, e.g. 40s,60s.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", metavar="NS", help="Only this namespace (default: all).")
    ] = None,
    spaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Show the namespace in any case.")] = False,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FORM", help=f"One of {', '.join(FORMS)}.")
    ] = "table",
    seed: Seed = None,
    sets: Sets = None,
) -> None:
    """Show the cluster of a run as kubectl would at a virtual time.

    Ages are told as of then. --between shows the changes of a stretch of time, each with who made it.
    """
    flags.choice("--output", output, FORMS)
    if at is not None and between is not None:
        refuse("--at and --between exclude each other: a moment, or a stretch of time")
    if namespace is not None and spaces:
        refuse("-n and -A exclude each other: one namespace, or all")
    wanted = _wanted(kind, name, namespace)

    def reach(until: int | None, observe: Observe) -> World:
        return _reach(file, until, observe, seed, sets)

    if between is not None:
        _changes(wanted, _stretch(between), reach, output, spaces)
    else:
        _moment(wanted, _time("--at", at) if at is not None else None, reach, output, spaces)


Reach = Callable[[int | None, "Observe"], "World"]


def _wanted(kind: str, name: str | None, namespace: str | None) -> Wanted:
    from sim.glance import Unknown, Wanted, kind_of

    word, slash, named = kind.partition("/")
    if slash and (name is not None or not named or "/" in named):
        refuse(f"expected KIND NAME or KIND/NAME, not {' '.join(filter(None, (kind, name)))!r}")
    try:
        return Wanted(kind_of(word), named or name, namespace)
    except Unknown as error:
        refuse(str(error))


def _time(what: str, given: str) -> int:
    from foreman.durations import duration

    try:
        return duration(given)
    except ValueError as error:
        refuse(f"{what}: {error}")


def _stretch(given: str) -> tuple[int, int]:
    start, comma, end = given.partition(",")
    if not comma:
        refuse(f"--between: expected FROM,TO such as 40s,60s, not {given[:40]!r}")
    first, last = _time("--between", start.strip()), _time("--between", end.strip())
    if first >= last:
        refuse(f"--between: {start} is not before {end}")
    return first, last


def _reach(file: str, until: int | None, observe: Observe, seed: int | None, sets: list[str] | None) -> World:
    """The run at that time, from a scenario or from a trace."""
    from sim.replay import reach, reach_in_trace
    from sim.tracefile import is_trace
    from sim.world import World

    if not is_trace(file):
        return reach(World(load_scenario(file, sets, seed, None)), until, observe)
    if seed is not None or sets:
        refuse("--seed and --set go with a scenario: a trace is of one run")
    try:
        return reach_in_trace(Path(file), until, observe)
    except OSError as error:
        refuse(f"cannot read {file}: {error.strerror}")
    except ValueError as error:
        refuse(str(error))


def _moment(wanted: Wanted, at: int | None, reach: Reach, output: str, spaces: bool) -> None:
    from foreman.durations import show
    from sim.glance import Lives, Printed, aligned

    world = reach(at, _unobserved)
    found = wanted.found(world)
    now = world.now()
    if not found and wanted.name is not None:
        lives = Lives(wanted)
        reach(None, lives.observe)
        refuse(f"no {wanted} at {show(now)}{lives.told()}")
    if at is not None and now < at:
        typer.echo(f"the run ended at {show(now)}: this is how it ended", err=True)
    if not found and output in ("table", "wide"):
        typer.echo(f"no {wanted} at {show(now)}", err=True)
    elif output in ("table", "wide"):
        printed = Printed(wanted.served, output == "wide", spaces or _several(found))
        _echo(aligned([printed.head, *(printed.row(obj, now) for obj in found)]))
    else:
        _documents(found, output, single=wanted.name is not None and len(found) == 1)


def _unobserved(world: World, change: Any) -> None:
    """Nothing is asked of the time before."""


def _several(objects: Iterable[Any]) -> bool:
    return len({obj.metadata.namespace for obj in objects}) > 1


def _documents(objects: list[Any], output: str, single: bool) -> None:
    import yaml

    from foreman.api import to_wire
    from sim.glance import called

    if output == "name":
        _echo(map(called, objects))
        return
    docs = [to_wire(obj) for obj in objects]
    whole = (
        docs[0] if single else {"apiVersion": "v1", "items": docs, "kind": "List", "metadata": {"resourceVersion": ""}}
    )
    if output == "json":
        typer.echo(json.dumps(whole, indent=4, ensure_ascii=False))
    else:
        typer.echo(yaml.safe_dump(whole, sort_keys=True, allow_unicode=True), nl=False)


def _changes(wanted: Wanted, stretch: tuple[int, int], reach: Reach, output: str, spaces: bool) -> None:
    """The changes as a table, or one by one as they happen."""
    from foreman.durations import show
    from sim.glance import Printed, Window, aligned

    seen: list[Moment] = []
    tell = seen.append if output in ("table", "wide") else (lambda moment: _tell(moment, output))
    told = Window(wanted, *stretch, tell)
    world = reach(stretch[1], told.observe)
    if world.now() < stretch[1]:
        typer.echo(f"the run ended at {show(world.now())}", err=True)
    if seen:
        printed = Printed(wanted.served, output == "wide", spaces or _several(each.object for each in seen))
        rows = [[stamp(m.t), m.type, m.actor, *printed.row(m.object, m.t)] for m in seen]
        _echo(aligned([["TIME", "EVENT", "BY", *printed.head], *rows]))
    elif output in ("table", "wide"):
        typer.echo(f"no {wanted} changed from {show(stretch[0])} to {show(stretch[1])}", err=True)


def _tell(moment: Moment, output: str) -> None:
    import yaml

    from foreman.api import to_wire
    from sim.glance import called

    told = {"t": moment.t, "type": moment.type, "actor": moment.actor, "object": to_wire(moment.object)}
    if output == "json":
        typer.echo(json.dumps(told, separators=(",", ":"), ensure_ascii=False))
    elif output == "yaml":
        typer.echo("---\n" + yaml.safe_dump(told, sort_keys=True, allow_unicode=True), nl=False)
    else:
        typer.echo(called(moment.object))


def stamp(us: int) -> str:
    """Virtual time in seconds."""
    return f"{us // 1_000_000}.{us % 1_000_000:06d}"


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)
