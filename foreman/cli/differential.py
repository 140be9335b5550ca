"""`foreman sim run FILE --differential`: does the run with faults end like the one without?"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from foreman.cli.refusal import refuse

if TYPE_CHECKING:
    from sim.differential import Comparison
    from sim.scenario import Scenario

SHOWN = 20
"""Objects told of; --json lists all."""


def differential(scenario: Scenario, as_json: bool, quiet: bool) -> int:
    """Run both, tell what differs; the exit code."""
    from sim.differential import compare

    try:
        found = compare(scenario)
    except ValueError as error:
        refuse(str(error))
    if as_json:
        typer.echo(json.dumps(found.told(), indent=2))
    elif not quiet or found.verdict != "ok":
        for line in lines(found):
            typer.echo(line)
    return found.exit_code()


def lines(found: Comparison) -> list[str]:
    """What a person reads: the verdict, each object that differs, each run's own complaints."""
    from sim.ending import COMPARED

    result, unexpected = found.result, found.unexpected
    head = f"{result['scenario']}: seed {result['seed']}: "
    head += "ends like the run without faults" if not found.differences else f"{_count(found)} without faults"
    told = [f"{head}: {found.verdict}", f"compared   {', '.join(COMPARED)} of every task"]
    groups = [(key, list(each)) for key, each in groupby(found.differences, lambda each: each.key)]
    for key, fields in groups[:SHOWN]:
        mark = "differs" if any(each in unexpected for each in fields) else "expected"
        said = ", ".join(f"{each.field} {_word(each.without)} -> {_word(each.with_faults)}" for each in fields)
        told.append(f"{mark:<10} {key}: {said}")
    if len(groups) > SHOWN:
        told.append(f"... and {len(groups) - SHOWN:,} more objects (--json lists all)")
    told += [f"expected {pattern} to differ, but it ends the same" for pattern in found.missing]
    for name, run in (("with faults", result), ("without", found.baseline)):
        complaints = [f"{each['invariant']}: {each['task']}: {each['message']}" for each in run["violations"][:3]]
        told += [f"{name}: {each}" for each in [*complaints, *run["unmet"], *run["crashes"]]]
    return told


def _count(found: Comparison) -> str:
    objects = len({each.key for each in found.differences})
    return f"{objects:,} task{'s end' if objects > 1 else ' ends'} otherwise than"


def _word(value: object) -> str:
    return str(value) if value != "" else "(none)"
