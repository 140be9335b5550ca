"""Making a case smaller: the scenario, its faults, then the late messages, until nothing more can go.

A smaller scenario sends other messages, so a schedule seldom carries over: where the case does not break by what is left of its
own, a few fresh schedules are tried. Whatever is kept has been run and breaks the same invariant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import product
from typing import Any

from sim.hunt.case import Case, Data, record
from sim.hunt.schedules import FewValued, Swerving
from sim.load import BadScenario, check
from sim.mutations import Product
from sim.names import host_names
from sim.schedule import Schedule
from sim.stream import Stream

AGAIN = 200
"""Fresh schedules tried of the smallest scenario, for one with fewer late messages."""
MESSAGES = 80
"""Late messages are looked for among at least so many."""
LEAP = 600
"""Fresh schedules tried of each tiny scenario: where there are few messages, few orders go wrong."""
GROUPS = 4
"""Groups of nodes of which tiny scenarios are made."""
FRESH = 40
"""Fresh schedules tried of each smaller scenario."""


class Shrink:
    """`seconds`: real time it may take. `tried`: runs so far."""

    def __init__(self, case: Case, seconds: float = 20.0, product: Product | None = None) -> None:
        self.case = case
        self.product = product
        self.tried = 0
        self._until = time.perf_counter() + seconds

    def run(self, progress: Callable[[Shrink], None] | None = None) -> Case:
        """The smallest case found; ^C, or the end of the time, ends the search with the best so far."""
        try:
            before = None
            while before != self.case and not self._late():
                before = self.case
                for step in (self._sizes, self._leap, self._messages):
                    for _ in step():
                        if progress is not None:
                            progress(self)
                        if self._late():
                            return self.case
        except KeyboardInterrupt:
            pass
        return self.case

    def _late(self) -> bool:
        return time.perf_counter() > self._until

    # the scenario

    def _leap(self) -> Iterator[None]:
        """Step by step a case gets stuck: the smallest scenarios of its kind are tried too, from the smallest up."""
        tried: set[str] = set()
        for data in tiny(self.case.data):
            yield
            if _named(data) not in tried and self._breaks_anyhow(data, LEAP):
                return
            tried.add(_named(data))

    def _sizes(self) -> Iterator[None]:
        """Every smaller scenario in turn; one that still breaks is taken, and the next are made from it."""
        tried: set[str] = set()
        progress = True
        while progress:
            progress = False
            for data in smaller(self.case.data):
                data.pop("schedule", None)
                if _named(data) in tried:
                    continue
                tried.add(_named(data))
                yield
                if self._breaks_anyhow(data):
                    progress = True
                    break

    def _breaks_anyhow(self, data: Data, fresh: int = FRESH) -> bool:
        try:
            known = set(host_names(check(data | {"schedule": []})))
        except BadScenario:
            return False
        kept = [each for each in self.case.late if each["host"] in known]
        if self._keep(self._record({**data, "schedule": kept}, None)):
            return True
        return any(not self._late() and self._keep(self._fresh(data, number)) for number in range(fresh))

    def _fresh(self, data: Data, number: int) -> Case | None:
        """By turns a schedule with many late messages and one with a few, each under another seed."""
        few = Swerving(sparse(number, len(self.case.late) + MESSAGES))
        return self._record({**data, "seed": number // 2}, few if number % 2 else FewValued(number))

    def _record(self, data: Data, schedule: Schedule | None) -> Case | None:
        self.tried += 1
        return record(data, schedule, self.case.invariant, self.product)

    def _keep(self, case: Case | None) -> bool:
        """Take the case if it is smaller: of scenarios of the same size the one with fewer late messages."""
        if case is None or (case.bulk(), len(case.late)) >= (self.case.bulk(), len(self.case.late)):
            return False
        self.case = case
        return True

    # the messages

    def _messages(self) -> Iterator[None]:
        """Take late messages out, in halves, quarters ... and one by one (ddmin); then try fresh schedules."""
        width = max(len(self.case.late), 1)
        while width:
            at = 0
            while at < len(self.case.late):
                yield
                late = self.case.late
                if not self._keep(
                    self._record({**self.case.data, "schedule": [*late[:at], *late[at + width :]]}, None)
                ):
                    at += width
            width //= 2
        for number in range(AGAIN):
            yield
            self._keep(self._fresh(self.case.data, number))


def sparse(number: int, messages: int) -> dict[int, int]:
    """Up to four late messages among the first so many of a run."""
    stream = Stream(number, "sparse")
    return {1 + stream.below(messages): stream.below(3) for _ in range(1 + stream.below(4))}


def tiny(data: Data) -> Iterator[Data]:
    """The scenario with one or two of everything, smallest first: operators, one group's nodes or twins, tasks; no faults."""
    groups = [group for group, _ in zip(data["fleet"], range(GROUPS), strict=False)]
    sizes = sorted(product(range(1, 3), range(1, 3), range(1, 3), range(1, 3)), key=lambda size: (sum(size), size))
    for (replicas, count, twins, tasks), group in product(sizes, groups):
        nodes = data["fleet"][group]
        small = deepcopy(data) | {
            "fleet": {group: nodes | {"count": count, "twins": min(twins, nodes.get("twins", 1))}}
        }
        small["operators"] = data.get("operators", {}) | {
            "replicas": min(replicas, data.get("operators", {}).get("replicas", 1))
        }
        if small.get("workload"):
            small["workload"]["count"] = min(tasks, small["workload"]["count"])
        for field in ("linger", "story", "bug"):
            small.pop(field, None)
        yield small


def smaller(data: Data) -> Iterator[Data]:
    """Scenarios that are a step smaller, the largest steps first."""
    for field in ("linger", "story", "bug", "policy"):
        if data.get(field):
            yield _dropped(data, (field,))
    yield from _fewer(data, ("workload", "count"), 1)
    yield from _fewer(data, ("operators", "replicas"), 1)
    for group, nodes in data["fleet"].items():
        if len(data["fleet"]) > 1:
            yield _dropped(data, ("fleet", group))
        for field in ("count", "twins", "slots"):
            yield from _fewer(data, ("fleet", group, field), 1)
        for field in sorted(set(nodes) - {"count", "twins", "slots"}):
            yield _dropped(data, ("fleet", group, field))
    for number in range(len(data.get("faults", ()))):
        yield _dropped(data, ("faults", number))
    for name in data.get("tasks", {}):
        yield _dropped(data, ("tasks", name))
    for part in ("workload", "operators", "apiserver", "executor", "agent", "network", "checks"):
        for field in (data.get(part) or {}) if part != "workload" else ("arrivals", "shape", "ttl", "mix"):
            if field in (data.get(part) or {}) and field not in ("count", "replicas"):
                yield _dropped(data, (part, field))
    for field in ("agents", "tasks"):
        if data.get(field):
            yield _dropped(data, (field,))


def _fewer(data: Data, path: tuple[Any, ...], least: int) -> Iterator[Data]:
    at: Any = data
    for step in path:
        at = at.get(step) if isinstance(at, dict) else None
    if isinstance(at, int) and at > least:
        for value in sorted({least, least + 1, at // 2, at - 1}):
            if least <= value < at:
                smaller, holder = _opened(data, path)
                holder[path[-1]] = value
                yield smaller


def _dropped(data: Data, path: tuple[Any, ...]) -> Data:
    smaller, holder = _opened(data, path)
    del holder[path[-1]]
    return smaller


def _opened(data: Data, path: tuple[Any, ...]) -> tuple[Data, Any]:
    """A copy of the data, and what in it holds the end of the path."""
    copied = deepcopy(data)
    holder: Any = copied
    for step in path[:-1]:
        holder = holder[step]
    return copied, holder


def _named(data: Data) -> str:
    return str({key: value for key, value in data.items() if key != "seed"})
