"""Differential end state: a run with faults must end like the same run without them (Sieve's oracle).

Compared is what a user is promised whatever goes wrong on the way, object by object. Not compared is what a fault may rightly
change: which node ran a task and in which attempt, strikes, hand-backs and failures, times, versions, the wording and the times
of conditions, whether a node is up in the end, and the number of calls it all took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from foreman.api import IN_FLIGHT, AgenticTask
from sim.host import SECOND
from sim.result import EXIT_CODES, result_of
from sim.scenario import Scenario
from sim.world import World

SETTLING = 60 * SECOND
"""Both runs go on at least so long after the last task has ended, for what is still to be written then."""

ABSENT = "(absent)"


def _result(field: str) -> Callable[[AgenticTask], Any]:
    return lambda task: (task.status.result or {}).get(field, "")


COMPARED: dict[str, Callable[[AgenticTask], Any]] = {
    # What became of the task. Of its dependents too: each is an object of its own.
    "phase": lambda task: task.status.phase or "",
    "verdict": lambda task: task.status.verdict or "",
    # What the executor's envelope says to whom reads it; its times and its text belong to one attempt.
    "result.schemaVersion": _result("schemaVersion"),
    "result.kind": _result("kind"),
    "result.verdict": _result("verdict"),
    # Whether it still holds a node.
    "holds": lambda task: task.status.phase in IN_FLIGHT,
}


class Difference(NamedTuple):
    """`field` of the object `key` (namespace/name), in the run without faults and in the one with them."""

    key: str
    field: str
    without: Any
    with_faults: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.field} is {self.with_faults or '(none)'}, without faults {self.without or '(none)'}"


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
    announced = patterns(scenario)
    unexpected = [each for each in differences if not any(_names(pattern, each.key) for pattern in announced)]
    missing = [pattern for pattern in announced if not any(_names(pattern, each.key) for each in differences)]
    return Comparison(result_of(faulty), result_of(calm), differences, unexpected, missing)


def patterns(scenario: Scenario) -> list[str]:
    """The tasks that `expect: {differs}` says a fault changes the outcome of."""
    named = scenario.expect.get("differs", [])
    return [named] if isinstance(named, str) else list(named)


def _names(pattern: str, key: str) -> bool:
    return fnmatchcase(key if "/" in pattern else key.partition("/")[2], pattern)


def _tasks(world: World) -> Mapping[str, AgenticTask]:
    return world.server.tables["AgenticTask"]


def differing(without: Mapping[str, AgenticTask], with_faults: Mapping[str, AgenticTask]) -> Iterator[Difference]:
    """What differs between two end states, in the order of keys."""
    for key in sorted({*without, *with_faults}):
        calm, faulty = without.get(key), with_faults.get(key)
        if calm is None or faulty is None:
            yield Difference(
                key, "object", ABSENT if calm is None else "present", ABSENT if faulty is None else "present"
            )
            continue
        yield from _fields(key, calm, faulty)


def _fields(key: str, calm: AgenticTask, faulty: AgenticTask) -> Iterable[Difference]:
    for field, of in COMPARED.items():
        was, now = of(calm), of(faulty)
        if was != now:
            yield Difference(key, field, was, now)
