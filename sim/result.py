"""The outcome of a run as one plain object: what `--json` prints, what `expect:` is compared with, what decides the
exit code."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from foreman.api import Phase
from sim.checkers import LIVENESS

if TYPE_CHECKING:
    from sim.world import World

EXIT_CODES = {"ok": 0, "crash": 1, "safety": 3, "liveness": 4, "expectation": 5, "interrupted": 130}
RESULT_PATHS = frozenset(
    [
        "tasks.total", "tasks.succeeded", "tasks.failed", "tasks.pending", "tasks.scheduled", "tasks.running",
        "tasks.deleted", "verdicts", "conflicts", "attempts", "api_calls", "events", "writes", "reconciles", "relists",
        "assignments_refused", "executions.started", "executions.landed", "executions.discarded", "wait_seconds.p50",
        "wait_seconds.p95", "wait_seconds.max", "makespan_seconds", "virtual_seconds", "utilisation", "faults", "violates",
        "restarts", "differs", "workloads.total", "workloads.completed", "workloads.failed", "workloads.pending",
        "workloads.children", "workloads.iterations", "model.runs", "model.turns", "model.retries", "model.requests",
        "model.refusals", "model.transients", "model.prompt_tokens", "model.output_tokens", "heartbeats.elided",
    ]
)  # fmt: skip
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
COMPARISON = re.compile(r"(>=|<=|==|!=|>|<)\s*(-?\d+(?:\.\d+)?)$")


def result_of(world: World) -> dict[str, Any]:
    """Counts, times in seconds, digest and verdict of a finished run. Only the `wall_*` values differ between equal runs."""
    stats, phases, beats = world.stats, world.stats.phases, world.heartbeats
    makespan = stats.makespan()
    result: dict[str, Any] = {
        "scenario": world.scenario.name,
        "seed": world.seed,
        "policy": world.scenario.policy,
        "digest": world.digest.hexdigest(),
        "verdict": "",
        "violations": [violation._asdict() | {"at": violation.at / 1e6} for violation in world.checkers.violations],
        "unmet": [],
        "tasks": {
            "total": world.total,
            "succeeded": phases[Phase.SUCCEEDED],
            "failed": phases[Phase.FAILED],
            "pending": phases[Phase.PENDING] + phases[""],
            "scheduled": phases[Phase.SCHEDULED],
            "running": phases[Phase.RUNNING] + phases[Phase.VERIFYING],
            "deleted": stats.deleted,
            "uncreated": world.total - stats.created,
        },
        "workloads": world.pipelines.told(),
        "model": world.models.told(),
        "verdicts": {str(verdict): count for verdict, count in sorted(stats.verdicts.items())},
        "conflicts": conflicts(world, "Conflict"),
        "conflicts_by": {
            f"{role} {verb}": count
            for (role, verb, error), count in sorted(world.endpoint.refusals.items())
            if error == "Conflict"
        },
        "attempts": stats.attempts,
        "assignments_refused": world.counted["refused"],
        "api_calls": sum(world.endpoint.calls.values()),
        "api_calls_by": dict(sorted(world.endpoint.calls.items())),
        "writes": stats.writes,
        "heartbeats": {"elided": beats.elided if beats else 0, "exact_because": world.exact},
        "events": world.events,
        "reconciles": world.counted["reconciles"],
        "relists": world.counted["relists"],
        "restarts": sum(len(host.exits) for host in world.hosts.values()),
        "faults": [each._asdict() for each in world.faults.fired],
        "executions": {
            "started": world.executions,
            "landed": stats.landed,
            "discarded": world.counted["discarded"],
        },
        "wait_seconds": stats.wait_percentiles(),
        "makespan_seconds": makespan / 1e6,
        "virtual_seconds": world.now() / 1e6,
        "utilisation": utilisation(world),
        "invariants": dict(sorted(world.checkers.checks.items())),
        "crashes": [f"{host} in {task}: {type(error).__name__}: {error}" for host, task, error in world.crashes],
        "wall_seconds": round(world.wall_seconds, 3),
        "tasks_per_second": round((phases[Phase.SUCCEEDED] + phases[Phase.FAILED]) / max(world.wall_seconds, 1e-9), 1),
    }
    if not world.interrupted:
        result["unmet"] = list(unmet(world.scenario.expect, result))
    result["verdict"] = _verdict(world, result)
    return result


def conflicts(world: World, error: str) -> int:
    return sum(count for (_, _, name), count in world.endpoint.refusals.items() if name == error)


def utilisation(world: World) -> float:
    """Share of slot time spent Running between the first creation and the end of the last task (or of the run)."""
    stats = world.stats
    start = stats.first_created
    if start is None:
        return 0.0
    end = stats.last_ended if stats.settled >= world.total else world.now()
    span = max(end - start, 1) * world.slots
    return round(min(stats.busy_until(end) / span, 1.0), 4)


def exit_code(result: Mapping[str, Any]) -> int:
    return EXIT_CODES[result["verdict"]]


def _verdict(world: World, result: Mapping[str, Any]) -> str:
    if world.crashes:
        return "crash"
    if world.interrupted:
        return "interrupted"
    violated = {each["invariant"] for each in result["violations"]}
    if "violates" not in world.scenario.expect and violated:
        return "liveness" if violated <= set(LIVENESS) else "safety"
    return "expectation" if result["unmet"] else "ok"


def unmet(expect: Mapping[str, Any], result: Mapping[str, Any]) -> Iterable[str]:
    """One line for each expectation that does not hold."""
    for path, wanted in expect.items():
        if path == "differs":
            # Only a comparison of two runs can tell: see sim.differential.
            continue
        if path == "violates":
            got: Any = sorted({each["invariant"] for each in result["violations"]})
            holds = set([wanted] if isinstance(wanted, str) else wanted) <= set(got)
        else:
            got = fired(result, path) if path.partition(".")[0] == "faults" else lookup(result, path)
            holds = compare(got, wanted)
        if not holds:
            yield f"expected {path} {_told(wanted)}, got {got}"


def fired(result: Mapping[str, Any], path: str) -> int:
    """How often the fault called NAME in 'faults.NAME' struck; 'faults' is all of them."""
    name = path.partition(".")[2]
    return sum(each["fired"] for each in result["faults"] if name in ("", each["fault"]))


def lookup(result: Mapping[str, Any], path: str) -> Any:
    """The value at 'tasks.succeeded'; 0 for a verdict that did not occur."""
    value: Any = result
    for part in path.split("."):
        value = value.get(part, 0) if isinstance(value, Mapping) else 0
    return value


def compare(got: Any, wanted: Any) -> bool:
    """`wanted` is a value, or a comparison such as '>= 3'."""
    found = COMPARISON.match(wanted.strip()) if isinstance(wanted, str) else None
    if found is None:
        return bool(got == wanted)
    return _COMPARISONS[found[1]](got, float(found[2]))


def _told(wanted: Any) -> str:
    return wanted if isinstance(wanted, str) and COMPARISON.match(wanted.strip()) else f"= {wanted}"
