"""What a hunt has covered, and what it has not although the scenario holds it: a check that never ran is no check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from sim.hunt.trial import Trial
from sim.scenario import Scenario

ENOUGH_PLANNED = 20
"""Schedules in which a sort of fault was planned, from which on it must have struck once."""


class Coverage:
    """Counts over trials. `states`, `paths`: distinct states of the cluster, and sequences of writes, that were seen."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.schedules = 0
        self.by_strategy: Counter[str] = Counter()
        self.states: set[int] = set()
        self.paths: set[int] = set()
        self.planned: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.checked: Counter[str] = Counter()

    def add(self, trial: Trial) -> None:
        self.schedules += 1
        self.by_strategy[trial.probe.strategy] += 1
        self.states |= trial.states
        self.paths.add(trial.path)
        for name, times in trial.fired.items():
            self.planned[name] += 1
            if times:
                self.fired[name] += times
        self.checked.update(trial.checked)

    def vacuous(self) -> list[str]:
        """What should have been put to the test and never was, in sentences."""
        own = {each.name or each.fault for each in self.scenario.faults}
        idle = [
            f"fault {name} was planned in {count:,} schedules and never struck"
            for name, count in sorted(self.planned.items())
            if not self.fired[name] and (name in own or count >= ENOUGH_PLANNED)
        ]
        unchecked = [
            f"invariant {name} was never put to the test"
            for name, concerns in _CONCERNS.items()
            if not self.checked[name] and concerns(self.scenario)
        ]
        return idle + unchecked


def _always(scenario: Scenario) -> bool:
    return True


_CONCERNS: Mapping[str, Callable[[Scenario], bool]] = {
    "legal-transition": _always,
    "field-owner": _always,
    "one-holder": _always,
    "single-execution": _always,
    "slots": _always,
    "capability": _always,
    "eventually-stable": _always,
    "no-leak": _always,
    "agent-limit": lambda scenario: (
        scenario.operators.replicas == 1
        and any(agent.max_concurrent_tasks is not None for agent in scenario.agents.values())
    ),
    "linearizable-claims": lambda scenario: scenario.checks.linearizable,
}
"""The invariants that any run of a scenario must have met with, and when."""
