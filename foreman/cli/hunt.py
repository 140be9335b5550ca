"""`foreman sim hunt` and `foreman sim replay`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreman.cli.refusal import refuse
from foreman.cli.sim import CORES, PIPE_WIDTH, File, Jobs, Sets, load_scenario

if TYPE_CHECKING:
    from rich.console import Console

    from foreman.cli.meter import Reading
    from sim.checkers import Violation
    from sim.hunt.case import Case
    from sim.hunt.search import Budget, Hunt
    from sim.scenario import Scenario
    from sim.trace import Row

SHRINKING = 20.0
SHOWN = 12
"""Choices that are printed."""


def hunt(
    file: File,
    strategy: Annotated[
        str, typer.Option(help="random, swarm, pct, delay-bounded, single-fault, or portfolio: all of them in turn.")
    ] = "portfolio",
    budget: Annotated[str, typer.Option(metavar="60s|10000", help="Real time, or a number of schedules.")] = "60s",
    jobs: Jobs = CORES,
    mutate: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Take this safeguard out of the product. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the hunt.", min=0)] = 0,
    sets: Sets = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where a counterexample is written.")] = Path("."),
    shrink: Annotated[float, typer.Option(metavar="SECONDS", help="How long to make it smaller.", min=0)] = SHRINKING,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Look for the schedule and the faults that break a scenario.

    Tries message delays, ties and faults until an invariant breaks or the budget is spent; what breaks is made as small as it
    gets and written as a scenario and a pytest file. The scenario's own `expect` is not looked at.

    Exit code: 0 nothing found, 1 the product crashed, 2 bad input, 3 a safety invariant was violated, 4 a liveness invariant,
    5 something that should have been put to the test never was, 130 interrupted.
    """
    from rich.console import Console

    from sim.hunt.search import Hunt
    from sim.hunt.strategies import STRATEGIES
    from sim.kinds import did_you_mean
    from sim.result import EXIT_CODES

    if strategy not in STRATEGIES:
        near = did_you_mean(strategy, STRATEGIES)
        refuse(f"--strategy {strategy}: unknown strategy: expected {', '.join(STRATEGIES)}{near}")
    limit = _budget(budget)
    changes = [*(sets or []), *([f"mutations=[{','.join(mutate)}]"] if mutate else [])]
    scenario = load_scenario(file, changes, None, None)
    console = Console(stderr=True, quiet=as_json)
    found = Hunt(scenario, strategy, limit, jobs, seed)
    _follow(console, found)
    told = _told(found)
    case = _smallest(found, shrink, console) if found.found is not None else None
    if case is not None:
        told |= _saved(case, scenario.name, out)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        _say(told)
    raise typer.Exit(EXIT_CODES[found.verdict])


def replay(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A counterexample that `foreman sim hunt` has written.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run a counterexample again and say whether it is the same run, byte for byte.

    Exit code: as for run: 3 or 4 while it still breaks what it broke, 0 when nothing breaks any more.
    """
    from sim.hunt.record import NotRecorded, replay
    from sim.load import BadScenario
    from sim.result import EXIT_CODES, exit_code

    try:
        found = replay(file)
    except (BadScenario, NotRecorded) as error:
        refuse(str(error))
    told = found.scenario.recorded
    assert told is not None
    result = found.result
    if as_json:
        typer.echo(json.dumps({"identical": found.identical, "why": found.told, "result": result}, indent=2))
    else:
        how = "the recorded run, byte for byte" if found.identical else f"not the recorded run: {found.told}"
        typer.echo(f"{found.scenario.name}: {how}")
        for each in result["violations"][:5]:
            typer.echo(f"violated: {each['invariant']} at {each['at']:.6f}s: {each['task']}: {each['message']}")
        if not found.violates:
            typer.echo(f"{told.violates} is not violated any more")
    raise typer.Exit(exit_code(result) if result["verdict"] != "expectation" else EXIT_CODES["ok"])


def _budget(text: str) -> Budget:
    from foreman.durations import duration
    from sim.hunt.search import Budget

    if text.isascii() and text.isdigit():
        budget = Budget(int(text), None)
    else:
        try:
            budget = Budget(None, duration(text) / 1e6)
        except ValueError as error:
            refuse(f"--budget {text}: {error}; or a number of schedules, e.g. 10000")
    if not (budget.schedules or budget.seconds):
        refuse(
            f"--budget {text}: tries nothing: expected real time such as 60s, or a number of schedules such as 10000"
        )
    return budget


def _follow(console: Console, found: Hunt) -> None:
    """Hunt, and say now and then how far it is."""
    from foreman.cli.meter import Meter

    with Meter(console, found.scenario.name) as meter:
        found.run(lambda hunt: meter.show(lambda: _reading(hunt)))


def _reading(found: Hunt) -> Reading:
    from foreman.cli.meter import Reading

    covered, budget = found.coverage, found.budget
    figures = (_rate(found), f"{len(covered.paths):,} different runs", f"{len(covered.states):,} states", _catch(found))
    schedules = f"{covered.schedules:,}"
    if budget.schedules is not None:
        return Reading(covered.schedules, budget.schedules, f"{schedules} of {budget.schedules:,} schedules", figures)
    seconds = budget.seconds or 0.0
    amount = f"{found.seconds:,.0f} of {seconds:,.0f} s"
    return Reading(found.seconds, seconds, amount, (f"{schedules} schedules", *figures))


def _rate(found: Hunt) -> str:
    return f"{found.coverage.schedules / max(found.seconds, 1e-9):,.0f}/s"


def _catch(found: Hunt) -> str:
    broken = found.found.broken if found.found is not None else None
    return "nothing found" if broken is None else f"found: {broken.invariant}"


def _pace(found: Hunt) -> str:
    covered = found.coverage
    different = f"{len(covered.paths):,} different runs, {len(covered.states):,} states"
    return f"{covered.schedules:,} schedules, {_rate(found)}, {different}"


def _smallest(found: Hunt, seconds: float, console: Console) -> Case | None:
    from foreman.cli.meter import Meter, Reading
    from sim.hunt.case import case_of
    from sim.hunt.search import Budget
    from sim.hunt.shrink import Shrink

    assert found.found is not None
    case = case_of(found.scenario, found.found)
    if case is None:
        return None
    started = time.perf_counter()

    def reading(shrink: Shrink) -> Reading:
        spent = time.perf_counter() - started
        figures = (_size(shrink.case), f"{shrink.tried:,} runs")
        return Reading(spent, seconds, f"{spent:,.0f} of {seconds:,.0f} s at most", figures)

    with Meter(console, "making it smaller") as meter:
        return Shrink(case, Budget(None, seconds)).run(lambda shrink: meter.show(lambda: reading(shrink)))


def _size(case: Case) -> str:
    return ", ".join(_counted(count, name) for name, count in case.size()._asdict().items())


def _told(found: Hunt) -> dict[str, Any]:
    covered, trial = found.coverage, found.found
    violation = trial.broken if trial is not None else None
    return {
        "scenario": found.scenario.name,
        "verdict": found.verdict,
        "violation": violation and violation._asdict() | {"at": violation.at / 1e6},
        "strategy": trial and trial.probe.strategy,
        "schedules": covered.schedules,
        "schedules_by": dict(covered.by_strategy),
        "different_runs": len(covered.paths),
        "states": len(covered.states),
        "wall_seconds": round(found.seconds, 3),
        "faults": dict(sorted(covered.fired.items())),
        "invariants": dict(sorted(covered.checked.items())),
        "shown": list(found.strategy.covered()),
        "never_tested": covered.vacuous() if trial is None else [],
        "pace": _pace(found),
    }


def _saved(case: Case, name: str, out: Path) -> dict[str, Any]:
    from sim.hunt.record import recorded, save

    scenario = recorded(case, f"{name}-{case.invariant}")
    try:
        file, test = save(scenario, out)
    except OSError as error:
        refuse(f"cannot write the counterexample to {out}: {error.strerror}")
    violation = case.violation
    return {
        "violation": violation._asdict() | {"at": violation.at / 1e6},
        "file": str(file),
        "test": str(test),
        "size": case.size()._asdict(),
        "choices": [str(each.late()) for each in case.late],
        "story": _story(scenario, violation),
    }


def _story(scenario: Scenario, violation: Violation) -> list[Row]:
    """What led to the violation; empty where it is about nothing that has a story."""
    from sim.causes import at_a_glance, explained
    from sim.story import NoSuchTask, from_run

    try:
        rows = from_run(scenario, None, violation.task)
    except (NoSuchTask, ValueError):
        return []
    return [row for row in at_a_glance(explained(rows)) if row["t"] <= violation.at]


def _counted(count: int, name: str) -> str:
    return f"{count} {name[:-1] if count == 1 else name}"


def _say_choices(choices: list[str]) -> None:
    for number, line in enumerate(choices[:SHOWN]):
        typer.echo(f"{'' if number else 'late':11}{line}")
    if len(choices) > SHOWN:
        typer.echo(f"{'':11}... and {len(choices) - SHOWN} more, in the file")


def _tell(rows: list[Row]) -> None:
    from rich.console import Console

    from sim.story import table

    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    typer.echo()
    console.print(table(rows))
    typer.echo()


def _say(told: dict[str, Any]) -> None:
    typer.echo(f"{told['scenario']}: {told['pace']}: {told['verdict']}")
    if told["violation"]:
        each = told["violation"]
        typer.echo(f"violated   {each['invariant']} at {each['at']:.6f}s: {each['task']}: {each['message']}")
    if "file" in told:
        size = told["size"]
        typer.echo("smallest   " + ", ".join(_counted(count, name) for name, count in size.items()))
        _say_choices(told["choices"])
        if told["story"]:
            _tell(told["story"])
        typer.echo(f"saved      {told['file']}, {told['test']}")
        typer.echo(f"again      foreman sim replay {told['file']}")
        if told["story"]:
            typer.echo(f"why        foreman sim story {told['file']} {told['violation']['task']}")
        typer.echo(f"when       foreman sim cause {told['file']}")
        return
    faults = ", ".join(f"{name} {count:,}" for name, count in told["faults"].items())
    typer.echo(f"faults     {faults or 'none'}")
    typer.echo("checks     " + ", ".join(f"{name} {count:,}" for name, count in told["invariants"].items() if count))
    for line in told["shown"]:
        typer.echo(f"shown      {line}")
    for line in told["never_tested"]:
        typer.echo(f"untested   {line}")
