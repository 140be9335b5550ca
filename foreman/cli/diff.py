"""`foreman sim diff`: where two runs part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreman.cli.get import stamp
from foreman.cli.refusal import refuse
from foreman.cli.sim import Seed, Sets, load_scenario

if TYPE_CHECKING:
    from sim.diff import Difference, Write

ONE = Annotated[str, typer.Argument(metavar="A", help="A scenario, or a trace written with --trace.")]
OTHER = Annotated[str, typer.Argument(metavar="B", help="The same, for the other side.")]


def diff(
    one: ONE,
    other: OTHER,
    seed: Seed = None,
    seed_a: Annotated[int | None, typer.Option(help="Seed of A only.", min=0)] = None,
    seed_b: Annotated[int | None, typer.Option(help="Seed of B only.", min=0)] = None,
    sets: Sets = None,
    set_a: Annotated[list[str] | None, typer.Option(metavar="PATH=VALUE", help="Change a field of A only.")] = None,
    set_b: Annotated[list[str] | None, typer.Option(metavar="PATH=VALUE", help="Change a field of B only.")] = None,
    no_times: Annotated[
        bool, typer.Option("--no-times", help="Compare what was written in which order, not when.")
    ] = False,
    context: Annotated[int, typer.Option(help="How many common writes to show before the difference.", min=0)] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Find the first committed write in which two runs differ.

    Exit code: 0 the runs are the same, 1 they differ, 2 bad input.
    """
    from sim.diff import diff as compared
    from sim.tracefile import is_trace

    traced = is_trace(one) or is_trace(other)
    sides = (
        _side(one, traced, "A", _either(seed_a, seed), [*(sets or []), *(set_a or [])]),
        _side(other, traced, "B", _either(seed_b, seed), [*(sets or []), *(set_b or [])]),
    )
    try:
        found = compared(*sides, context, times=not no_times)
    except OSError as error:
        refuse(f"cannot read {error.filename}: {error.strerror}")
    except ValueError as error:
        refuse(str(error))
    if as_json:
        typer.echo(json.dumps(_data(found), indent=2))
    else:
        _show(found, no_times)
    raise typer.Exit(0 if found.equal else 1)


def _either(own: int | None, common: int | None) -> int | None:
    return common if own is None else own


def _side(file: str, traced: bool, side: str, seed: int | None, sets: list[str]) -> Iterator[Write]:
    """The writes of one side. Where a trace takes part both tell what traces tell."""
    from sim.diff import told_by_trace, told_of_run, writes_of_run
    from sim.tracefile import is_trace

    if not is_trace(file):
        scenario = load_scenario(file, sets, seed, None)
        return told_of_run(scenario) if traced else writes_of_run(scenario)
    if seed is not None or sets:
        refuse(f"--seed and --set go with a scenario: {side} is a trace, which is of one run")
    return told_by_trace(Path(file))


def _data(found: Difference) -> dict[str, Any]:
    def told(write: Write | None) -> dict[str, Any] | None:
        return write and {name: value for name, value in write._asdict().items() if name != "said"}

    return {
        "equal": found.equal,
        "writes": found.writes,
        "differs": found.aspects,
        "before": [told(write) for write in found.before],
        "a": told(found.one),
        "b": told(found.other),
        **({} if found.equal else {"a_said": found.one and found.one.said, "b_said": found.other and found.other.said}),
    }


def _show(found: Difference, no_times: bool) -> None:
    from sim.glance import aligned

    if found.equal:
        typer.echo(f"the same {found.writes} writes{' in the same order' if no_times else ''}")
        return
    *most, last = found.aspects
    aspects = f"{', '.join(most)} and {last}" if most else last
    typer.echo(f"write {found.writes + 1} differs: {aspects}; {found.writes or 'none'} before it the same")
    marked = [("", write) for write in found.before] + [("A", found.one), ("B", found.other)]
    for line in aligned([_row(mark, write) for mark, write in marked]):
        typer.echo(line)
    if found.aspects == ["content"] and found.one and found.other and found.one.what == found.other.what:
        for mark, write in (("A", found.one), ("B", found.other)):
            typer.echo(f"{mark} says {write.said}")


def _row(mark: str, write: Write | None) -> list[str]:
    if write is None:
        return [mark, "-", "", "", "no further write", ""]
    return [mark, stamp(write.t), write.actor, write.verb, write.object, write.what]
