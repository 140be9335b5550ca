"""Of each accelerator that tasks ask for by name: how busy its slots were, how much of that was tasks that any slot would have
done for, and how much slot time was free while a task that asks for it waited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from foreman.api import AgenticTask, Phase
from sim.names import node_names
from sim.scenario import Scenario
from sim.selection import Change
from sim.stats import HELD
from sim.sweep.steady import Span, stranding


class Scarcity:
    """Observes commits. Times in microseconds."""

    def __init__(self, scenario: Scenario, now: Callable[[], int]) -> None:
        self.now = now
        self.accelerator: dict[str, str] = {}
        self.slots: defaultdict[str, int] = defaultdict(int)
        for name, group in scenario.fleet.items():
            kind = str(group.accelerator or "")
            self.slots[kind] += group.count * group.slots
            self.accelerator |= dict.fromkeys(node_names(name, group.count), kind)
        self.held: defaultdict[str, list[Span]] = defaultdict(list)
        self.others: defaultdict[str, list[Span]] = defaultdict(list)
        self.waited: defaultdict[str, list[Span]] = defaultdict(list)
        self._waiting: dict[str, int] = {}
        self._claimed: dict[str, int] = {}
        self._first: int | None = None

    def committed(self, change: Change) -> None:
        if change.kind != "AgenticTask":
            return
        key, old, new = change.key, change.old, change.new
        if old is None:
            self._waiting[key] = now = self.now()
            self._first = now if self._first is None else self._first
            return
        was, phase = old.status.phase, None if new is None else new.status.phase
        if was is phase:
            return
        if phase is Phase.RUNNING:
            self._claimed[key] = self.now()
            if (since := self._waiting.pop(key, None)) is not None:
                self.waited[_asked(old)].append((since, self.now()))
        elif was in HELD and phase not in HELD:
            self._ended(old, self._claimed.pop(key), self.now())

    def _ended(self, task: AgenticTask, since: int, until: int) -> None:
        kind = self.accelerator.get(task.status.assigned_node or "", "")
        self.held[kind].append((since, until))
        if _asked(task) != kind:
            self.others[kind].append((since, until))

    def told(self, running: Callable[[str], AgenticTask], cut: int, end: int) -> dict[str, float]:
        """Shares of slot time from `cut` (or the first task) to `end`; `running(key)`: a task that has not ended."""
        begin = max(cut, self._first or 0)
        for key, since in self._claimed.items():
            self._ended(running(key), since, end)
        self._claimed.clear()
        numbers = {}
        for kind in sorted(self.waited.keys() & self.slots.keys() - {""}):
            slots = self.slots[kind]
            whole = max(end - begin, 1) * slots
            numbers[f"utilisation.{kind}"] = _within(self.held[kind], begin, end) / whole
            numbers[f"others.{kind}"] = _within(self.others[kind], begin, end) / whole
            numbers[f"stranded.{kind}"] = stranding(self.held[kind], self.waited[kind], slots, begin, end) / whole
        return numbers


def _asked(task: AgenticTask) -> str:
    """The accelerator it requires itself, not by its Agent."""
    wanted = task.spec.required_capability
    return "" if wanted is None else str(wanted.accelerator or "")


def _within(spans: list[Span], begin: int, end: int) -> int:
    return sum(max(0, min(until, end) - max(since, begin)) for since, until in spans)
