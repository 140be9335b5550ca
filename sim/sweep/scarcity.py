"""Of each accelerator that tasks ask for by name: how busy its slots were, how much of that was tasks that any slot would have
done for, and how much slot time was free while a task that asks for it waited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from foreman.api import AgenticTask
from sim.names import node_names
from sim.scenario import Scenario
from sim.sweep.holding import Holding, Span, within
from sim.sweep.steady import stranding


class Scarcity(Holding):
    """Observes commits. Times in microseconds."""

    def __init__(self, scenario: Scenario, now: Callable[[], int]) -> None:
        super().__init__(now)
        self.accelerator: dict[str, str] = {}
        self.slots: defaultdict[str, int] = defaultdict(int)
        for name, group in scenario.fleet.items():
            kind = str(group.accelerator or "")
            self.slots[kind] += group.count * group.slots
            self.accelerator |= dict.fromkeys(node_names(name, group.count), kind)
        self.held: defaultdict[str, list[Span]] = defaultdict(list)
        self.others: defaultdict[str, list[Span]] = defaultdict(list)
        self.waited: defaultdict[str, list[Span]] = defaultdict(list)
        self._first: int | None = None

    def made(self, now: int) -> None:
        self._first = now if self._first is None else self._first

    def begun(self, task: AgenticTask, since: int, until: int) -> None:
        self.waited[_asked(task)].append((since, until))

    def ended(self, task: AgenticTask, since: int, until: int) -> None:
        kind = self.accelerator.get(task.status.assigned_node or "", "")
        self.held[kind].append((since, until))
        if _asked(task) != kind:
            self.others[kind].append((since, until))

    def told(self, running: Callable[[str], AgenticTask], cut: int, end: int) -> dict[str, float]:
        """Shares of slot time from `cut` (or the first task) to `end`; `running(key)`: a task that has not ended."""
        begin = max(cut, self._first or 0)
        for key, since in self.claimed.items():
            self.ended(running(key), since, end)
        self.claimed.clear()
        numbers = {}
        for kind in sorted(self.waited.keys() & self.slots.keys() - {""}):
            slots = self.slots[kind]
            whole = max(end - begin, 1) * slots
            numbers[f"utilisation.{kind}"] = within(self.held[kind], begin, end) / whole
            numbers[f"others.{kind}"] = within(self.others[kind], begin, end) / whole
            numbers[f"stranded.{kind}"] = stranding(self.held[kind], self.waited[kind], slots, begin, end) / whole
        return numbers


def _asked(task: AgenticTask) -> str:
    """The accelerator it requires itself, not by its Agent."""
    wanted = task.spec.required_capability
    return "" if wanted is None else str(wanted.accelerator or "")
