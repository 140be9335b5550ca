"""How a run ended, as far as no fault may change it, and what differs between two ends.

Compared is what a user is promised whatever goes wrong on the way, object by object. Not compared is what a fault may rightly
change: which node ran a task and in which attempt, strikes, hand-backs and failures, times, versions, the wording and the times
of conditions, whether a node is up in the end, and the number of calls it all took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from foreman.api import IN_FLIGHT, AgenticTask
from sim.scenario import Scenario
from sim.schedule import Listed

if TYPE_CHECKING:
    from sim.world import World

ABSENT = "(absent)"
Tasks = Mapping[str, AgenticTask]


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
        return f"{self.key}: {self.told()}"

    def told(self) -> str:
        return f"{self.field} is {self.with_faults or '(none)'}, without faults {self.without or '(none)'}"


def differing(without: Tasks, with_faults: Tasks) -> Iterator[Difference]:
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


def announced(patterns: Sequence[str], key: str) -> bool:
    """Whether one of `expect: {differs}` means this task."""
    return any(fnmatchcase(key if "/" in each else key.partition("/")[2], each) for each in patterns)


def unannounced(scenario: Scenario, without: Tasks, with_faults: Tasks) -> Iterator[Difference]:
    """The differences that the scenario does not say its faults make."""
    patterns = differs(scenario)
    for each in differing(without, with_faults):
        if not announced(patterns, each.key):
            yield each


def calmed(world: World) -> Tasks:
    """The tasks at the end of the run without faults and with every message as quick as can be; none if it has no end."""
    checks = world.scenario.checks.model_copy(update={"differential": False})
    calm = world.scenario.model_copy(update={"faults": (), "expect": {}, "checks": checks})
    run = type(world)(calm, world.seed, product=world.product, schedule=Listed(()), check=False, digest=False).run()
    world.interrupted |= run.interrupted
    return run.server.tables["AgenticTask"] if run.done() else {}


def compare_with_calm(world: World) -> None:
    """Of a run that has ended: what `checks: {differential: true}` asks for."""
    calm = calmed(world) if world.calm is None else world.calm
    if calm and not world.interrupted:
        world.checkers.alike(len(calm), unannounced(world.scenario, calm, world.server.tables["AgenticTask"]))


def differs(scenario: Scenario) -> list[str]:
    """The tasks that `expect: {differs}` says a fault changes the outcome of."""
    named = scenario.expect.get("differs", [])
    return [named] if isinstance(named, str) else list(named)


def told_to_differ(scenario: Scenario) -> dict[str, Any]:
    """What is left of `expect` when only that is asked for."""
    return {key: value for key, value in scenario.expect.items() if key == "differs"}
