"""Differential end state: a run with faults must end like the same run without them (Sieve's oracle). See sim.ending."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from foreman.api import AgenticTask
from sim.ending import Difference, announced, differing, differs
from sim.host import SECOND
from sim.result import EXIT_CODES, result_of
from sim.scenario import Scenario
from sim.world import World

SETTLING = 60 * SECOND
"""Both runs go on at least so long after the last task has ended, for what is still to be written then."""


class Comparison(NamedTuple):
    """`result`, `baseline`: results (see `result_of`) with and without faults; `unexpected`: differences the scenario's
    `expect: {differs}` does not announce; `missing`: announced patterns that nothing differs under."""

    result: dict[str, Any]
    baseline: dict[str, Any]
    differences: list[Difference]
    unexpected: list[Difference]
    missing: list[str]

    @property
    def verdict(self) -> str:
        """The worst of both runs; then 'liveness' for an unexpected difference: what was to be in the end is not."""
        verdicts = [self.result["verdict"], self.baseline["verdict"]]
        for each in ("crash", "interrupted", "safety", "liveness"):
            if each in verdicts:
                return each
        if self.unexpected:
            return "liveness"
        return "expectation" if self.missing or self.result["verdict"] != "ok" else "ok"

    def told(self) -> dict[str, Any]:
        """As one JSON object."""
        return {
            "scenario": self.result["scenario"],
            "seed": self.result["seed"],
            "verdict": self.verdict,
            "differences": [each._asdict() for each in self.differences],
            "unexpected": [each._asdict() for each in self.unexpected],
            "missing": self.missing,
            "with_faults": self.result,
            "without": self.baseline,
        }

    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]


def compare(scenario: Scenario, seed: int | None = None) -> Comparison:
    """Run `scenario` with and without its faults: the same seed, so the same tasks, arrivals, durations and verdicts.

    Raises ValueError when it has no faults.
    """
    if not scenario.faults:
        raise ValueError(f"{scenario.name}: has no faults: there is nothing to compare a run without faults with")
    settled = scenario.model_copy(update={"linger": max(scenario.linger, SETTLING)})
    faulty = World(settled, seed).run()
    # What the scenario expects, it expects of the run with faults.
    calm = World(settled.model_copy(update={"faults": (), "expect": {}}), seed).run()
    differences = list(differing(_tasks(calm), _tasks(faulty)))
    told = differs(scenario)
    unexpected = [each for each in differences if not announced(told, each.key)]
    missing = [pattern for pattern in told if not any(announced([pattern], each.key) for each in differences)]
    return Comparison(result_of(faulty), result_of(calm), differences, unexpected, missing)


def _tasks(world: World) -> Mapping[str, AgenticTask]:
    return world.server.tables["AgenticTask"]
