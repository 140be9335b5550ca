"""Making a case smaller: the scenario and its faults, then the choices of its schedule, until nothing more can go.

A smaller scenario sends other messages, so that a long schedule seldom carries over, a short one often: choices are reduced
before the scenario is made smaller step by step. Whatever is kept has been run and breaks the same invariant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from sim import validate
from sim.collector import uncollected
from sim.hunt.case import Case, Data, bulk, record
from sim.hunt.schedules import FewValued
from sim.hunt.search import Budget
from sim.hunt.smaller import kinds, played, smaller
from sim.mutations import Product
from sim.scenario import Scenario
from sim.schedule import TIE, Made, Schedule

ROUND, ROUNDS, LEAP = 10, 10, 300
"""Fresh schedules tried of each tiny scenario before the next, how often all of them have their turn, and runs in all."""
AGAIN, FEW = 300, 4
"""Fresh schedules tried of the smallest scenario, as long as it takes more than so few choices."""
A_WHILE = Budget(None, 20.0)


class Spent(Exception):
    """The budget is."""


class Shrink:
    """`tried`: runs so far."""

    def __init__(self, case: Case, budget: Budget = A_WHILE, product: Product | None = None) -> None:
        self.case = case._replace(data=played(case.data))
        self.budget = budget
        self.product = product
        self.tried = 0
        self._started = time.perf_counter()
        self._progress: Callable[[Shrink], None] = lambda shrink: None

    def run(self, progress: Callable[[Shrink], None] | None = None) -> Case:
        """The smallest case found; ^C, or the end of the budget, ends the search with the best so far."""
        self._progress = progress or self._progress
        try:
            with uncollected():
                self._search()
        except (Spent, KeyboardInterrupt):
            pass
        return self.case

    def _search(self) -> None:
        self._leap()
        before = None
        while before != self.case:
            before = self.case
            self._keep(self._reduced(self.case))
            self._step()
        for number in range(AGAIN):
            if len(self.case.late) <= FEW:
                break
            fresh = self._record(self.case.data, FewValued(number), number)
            if fresh is not None:
                self._keep(self._reduced(fresh))

    def _leap(self) -> None:
        """Step by step takes long, and gets stuck: the smallest scenarios of its kind are tried first, from the smallest up.

        Where one breaks, what is left of its choices often breaks a smaller one too.
        """
        whole = self.case
        for known in kinds(whole.data):
            known, last = [data for data in known if self._valid(data)], self.tried + LEAP
            for first in range(0, ROUND * ROUNDS, ROUND):
                for data in known:
                    if bulk(data) >= bulk(self.case.data) or self.tried > last:
                        break
                    if self._by_its_own(data) or self._breaks(data, range(first, first + ROUND)):
                        self._keep(self._reduced(self.case))
                        break
            if self.case != whole:
                return

    def _step(self) -> None:
        """Every smaller scenario in turn; one that still breaks is taken, and the next are made from it."""
        tried: set[str] = set()
        while any(self._smaller(data, tried) for data in smaller(self.case.data)):
            pass

    def _smaller(self, data: Data, tried: set[str]) -> bool:
        named = str({key: value for key, value in data.items() if key not in ("seed", "schedule")})
        if named in tried or not self._valid(data):
            return False
        tried.add(named)
        return self._by_its_own(data)

    def _valid(self, data: Data) -> bool:
        try:
            return not validate.problems(Scenario.model_validate({**data, "schedule": None}))
        except ValueError:
            return False

    def _by_its_own(self, data: Data) -> bool:
        """Whether it breaks by the choices of the case, as far as they carry over."""
        own = {name: self.case.data[name] for name in ("seed", "schedule") if name in self.case.data}
        return self._keep(self._record(data | own, None))

    def _breaks(self, data: Data, numbers: Iterable[int]) -> bool:
        return any(self._keep(self._record(data, FewValued(number), number)) for number in numbers)

    def _record(self, data: Data, schedule: Schedule | None, seed: int | None = None) -> Case | None:
        if self.budget.spent(self.tried, time.perf_counter() - self._started):
            raise Spent
        self.tried += 1
        self._progress(self)
        data = data if seed is None else {**data, "seed": seed}
        return record(data, schedule, self.case.invariant, self.product)

    def _keep(self, case: Case | None) -> bool:
        """Take the case if it is smaller: of scenarios of the same size the one with fewer choices."""
        if case is None or _weight(case) >= _weight(self.case):
            return False
        self.case = case
        return True

    # the choices

    def _reduced(self, case: Case) -> Case:
        """The same scenario with as few choices as do, each as quick as does."""
        width = len(case.late)
        while width:
            at = 0
            while at < len(case.late):
                kept = self._listed(case, [*case.late[:at], *case.late[at + width :]])
                if kept is None:
                    at += width
                case = kept or case
            width //= 2
        for at in range(len(case.late)):
            case = self._quicker(case, at)
        return case

    def _quicker(self, case: Case, at: int) -> Case:
        for takes in _quicker(case.late[at]) if at < len(case.late) else ():
            late = [*case.late[:at], case.late[at]._replace(takes=takes), *case.late[at + 1 :]]
            if (kept := self._listed(case, late)) is not None:
                return kept
        return case

    def _listed(self, case: Case, late: Iterable[Made]) -> Case | None:
        """The case by these choices, if it breaks and is none the worse."""
        schedule = [each.late().model_dump(mode="json", exclude_defaults=True) for each in late]
        found = self._record({**case.data, "schedule": schedule}, None)
        return found if found is not None and _weight(found) < _weight(case) else None


def _quicker(made: Made) -> Iterable[int]:
    """What it could take instead, the quickest first: losing a tie is the least that can befall it."""
    return (takes for takes in sorted({made.menu[0] + TIE, *made.menu[1:]}) if takes < made.takes)


def _weight(case: Case) -> tuple[tuple[int, ...], int, int]:
    return bulk(case.data), len(case.late), sum(each.takes - each.menu[0] for each in case.late)
