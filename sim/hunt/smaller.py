"""Smaller scenarios: step by step, whatever a scenario has; and from below, the smallest of its kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import islice, product
from typing import Any

from sim.hunt.case import UNTOUCHED, Data, bulk

Path = tuple[Any, ...]
UNPLAYED = ("story", "bug", "recorded")
"""What no run depends on."""
GROUPS = 4
"""Groups of nodes of which tiny scenarios are made."""
FEW = (1, 2)
BARE = (*UNTOUCHED, "tasks", "workloads", "faults", "checks", "network", "policy", "until")
"""What a scenario is about, without how it goes in detail."""


def played(data: Data) -> Data:
    """The scenario without what no run depends on."""
    return {key: value for key, value in data.items() if key not in UNPLAYED}


def smaller(data: Data) -> Iterator[Data]:
    """Scenarios that are a step smaller, the largest steps first: without one of its parts, or with a smaller number.

    A part left out takes its default. Not all of them are valid.
    """
    for path, value in _parts(data):
        if path != ("fleet",):
            yield from _if_smaller(_without(data, path), data)
        if type(value) is int:
            for number in sorted({0, 1, 2, value // 2, value - 1}):
                if 0 <= number < value:
                    yield from _if_smaller(_with(data, path, number), data)


def _parts(data: Data) -> Iterator[tuple[Path, Any]]:
    """Every part of the scenario, breadth first, but for what says nothing of its size."""
    level: list[tuple[Path, Any]] = [((key,), value) for key, value in data.items() if key not in UNTOUCHED]
    while level:
        yield from level
        level = [((*path, step), value) for path, whole in level for step, value in _inside(whole)]


def _inside(whole: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(whole, dict):
        yield from whole.items()
    elif isinstance(whole, list):
        yield from enumerate(whole)


def _if_smaller(candidate: Data, than: Data) -> Iterator[Data]:
    if bulk(candidate) < bulk(than):
        yield candidate


def _without(data: Data, path: Path) -> Data:
    copied, holder = _opened(data, path)
    del holder[path[-1]]
    return copied


def _with(data: Data, path: Path, value: Any) -> Data:
    copied, holder = _opened(data, path)
    holder[path[-1]] = value
    return copied


def _opened(data: Data, path: Path) -> tuple[Data, Any]:
    """A copy of the data, and what in it holds the end of the path."""
    copied = deepcopy(data)
    holder: Any = copied
    for step in path[:-1]:
        holder = holder[step]
    return copied, holder


def kinds(data: Data) -> Iterator[list[Data]]:
    """The tiny scenarios of the kind of `data`, in lists: without what it says in detail, then with it; the same without
    faults, then with them."""
    calm = {key: value for key, value in data.items() if key != "faults"}
    for whole in (calm, data) if "faults" in data else (data,):
        yield _tiny(data, {key: value for key, value in whole.items() if key in BARE}, [{}])
        yield _tiny(data, whole, islice(data["fleet"].values(), GROUPS))


def _tiny(data: Data, told: Data, groups: Iterable[Data]) -> list[Data]:
    """One or two of everything, smallest first: operators, nodes and twins of a group, tasks of the workload."""
    made: dict[str, Data] = {}
    names = data["fleet"]
    for (name, whole), nodes in zip(names.items(), groups, strict=False):
        for replicas, count, twins, tasks in product(FEW, FEW, FEW, FEW):
            small = deepcopy(told)
            group = {**nodes, **_few("count", count, whole), **_few("twins", twins, whole)}
            small["fleet"] = {name: group}
            small["operators"] = told.get("operators", {}) | _few("replicas", replicas, data.get("operators", {}))
            if "workload" in data:
                small["workload"] = told.get("workload", {}) | _few("count", tasks, data["workload"])
            made[str(small)] = small
    return sorted((each for each in made.values() if bulk(each) < bulk(data)), key=bulk)


def _few(field: str, number: int, whole: Data) -> Data:
    """`number` of it, but no more than there were."""
    return {field: min(number, whole.get(field, 1))}
