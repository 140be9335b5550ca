"""The grid: every combination of the values of the axes, each a scenario that has been checked before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from sim.kinds import did_you_mean
from sim.load import load
from sim.scenario import Scenario
from sim.source import BadScenario
from sim.sweep.axis import Axis

MOST = 100_000
"""Settings of one sweep."""


class Setting(NamedTuple):
    """`vary`: the value of each axis by its path."""

    vary: dict[str, str]
    scenario: Scenario


def grid(file: str, axes: Sequence[Axis], sets: Sequence[str] = ()) -> list[Setting]:
    """All settings, the last axis varying fastest. Raises BadScenario, whose lines name the `--vary` that is wrong.

    What a scenario expects holds for itself, not when it is varied: `expect` is left out.
    """
    combinations = 1
    for each in axes:
        combinations *= len(each.values)
    if combinations > MOST:
        raise BadScenario([f"--vary: {combinations:,} combinations are more than {MOST:,}: take fewer values"])
    _known(file, axes, sets)
    settings = []
    for values in product(*(each.values for each in axes)):
        varied = [each.sets(value) for each, value in zip(axes, values, strict=True)]
        settings.append(
            Setting(dict(zip((each.path for each in axes), values, strict=True)), _loaded(file, sets, varied))
        )
    return settings


def _known(file: str, axes: Sequence[Axis], sets: Sequence[str]) -> None:
    """A path into a group that the fleet does not have would make one: here that is a slip of the pen."""
    fleet: dict[str, object] | None = None
    for each in axes:
        head, _, rest = each.path.partition(".")
        name = "\0".join(rest.split("\\.")).partition(".")[0].replace("\0", ".")
        if head != "fleet" or not rest:
            continue
        fleet = fleet if fleet is not None else dict(load(file, sets).fleet)
        if name not in fleet:
            near = did_you_mean(name, list(fleet)) or f"; it has {', '.join(fleet)}"
            raise BadScenario([f"--vary {each.path}: the fleet has no group {name!r}{near}"])


def _loaded(file: str, sets: Sequence[str], varied: Sequence[str]) -> Scenario:
    try:
        return load(file, [*sets, *varied]).model_copy(update={"expect": {}})
    except BadScenario as error:
        raise BadScenario([_renamed(each, varied) for each in error.problems]) from None


def _renamed(problem: str, varied: Sequence[str]) -> str:
    for each in varied:
        problem = problem.replace(f"--set {each}", f"--vary {each}")
    return problem
