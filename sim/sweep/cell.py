"""One cell of a sweep: the scenario under one setting and one seed, and the row of numbers that its run gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sim.result import result_of
from sim.scenario import Scenario
from sim.sweep.scarcity import Scarcity
from sim.sweep.steady import Steady
from sim.world import World

Row = dict[str, Any]
AUTO = -1
"""As a warm-up: found by MSER-5 in each run."""
_LEFT_OUT = ("seed", "scenario", "policy", "tasks_per_second", "utilisation")


_UNENDED = ("pending", "scheduled", "running", "uncreated")


class Cell(NamedTuple):
    """`vary`: the values of the axes; `warm_up`: microseconds that are not measured, or AUTO."""

    scenario: Scenario
    vary: Mapping[str, str]
    seed: int
    warm_up: int = 0


def labels(cell: Cell) -> Row:
    """What tells a cell from the others: `vary.PATH` for each axis, a number where it is one, and `seed`."""
    return {**{f"vary.{path}": typed(value) for path, value in cell.vary.items()}, "seed": cell.seed}


def typed(text: str) -> int | float | str:
    """A value as the table holds it."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def run(cell: Cell) -> Row:
    """Run a cell. What goes wrong in it is in its row (`verdict`, `error`), so that the others go on."""
    row = labels(cell)
    try:
        return row | _measured(cell)
    except Exception as error:
        return row | {"verdict": "crash", "error": f"{type(error).__name__}: {error}"}


def _measured(cell: Cell) -> Row:
    world = World(cell.scenario, cell.seed)
    steady = Steady(world.now)
    scarcity = Scarcity(cell.scenario, world.now)
    world.server.observers += [steady.committed, scarcity.committed]
    world.run()
    if world.interrupted:
        raise KeyboardInterrupt
    result = result_of(world)
    told = [*result["crashes"], *(f"{each['invariant']}: {each['message']}" for each in result["violations"])]
    stats = world.stats
    end = stats.last_ended if stats.settled >= world.total else world.now()
    cut = steady.warm() if cell.warm_up == AUTO else cell.warm_up
    row = {path: value for path, value in numbers(result) if path.partition(".")[0] not in _LEFT_OUT}
    row["tasks.unended"] = sum(row[f"tasks.{phase}"] for phase in _UNENDED)
    row |= steady.told(cut, end, world.slots) | scarcity.told(world.server.tables["AgenticTask"].__getitem__, cut, end)
    return {"verdict": result["verdict"], "error": next(iter(told), ""), **row}


def numbers(result: Mapping[str, Any], under: str = "") -> list[tuple[str, int | float]]:
    """All numbers of a result by their paths: 'tasks.succeeded'. Counts that depend on names only (calls by kind, checks) are
    not among them."""
    found: list[tuple[str, int | float]] = []
    for name, value in result.items():
        if isinstance(value, Mapping) and name not in ("api_calls_by", "conflicts_by", "invariants"):
            found += numbers(value, f"{under}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((under + name, value))
    return found
