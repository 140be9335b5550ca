"""What a scenario refers to must exist: tasks, agents, hosts, results. And tasks must not wait for each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter

from foreman.api import FailureReason, TaskSpec, Verdict
from sim.checkers import LIVENESS, SAFETY
from sim.fault import HOSTLESS, fault_names
from sim.kinds import did_you_mean
from sim.names import all_node_names, apiserver_names, generated_name, host_names, is_generated
from sim.result import COMPARISON, RESULT_PATHS
from sim.scenario import Scenario
from sim.source import Path, Problem

Specs = Mapping[str, TaskSpec]
"""The explicit tasks whose spec is valid, by name."""

_INVARIANTS = [*SAFETY, *LIVENESS]
_SHOWN = 8
_COMPARED = 1_000
_ALLOW = "; with allowMissing: true it may be missing"


def dependencies(scenario: Scenario, specs: Specs) -> Iterator[Problem]:
    near: defaultdict[str, set[str]] = defaultdict(set)
    for name, seed in scenario.tasks.items():
        near[seed.namespace].add(name)
    workload = scenario.workload
    for name, spec in specs.items() if not scenario.allow_missing else ():
        namespace = scenario.tasks[name].namespace
        for number, wanted in enumerate(spec.depends_on):
            generated = workload and workload.namespace == namespace and is_generated(workload, wanted)
            if wanted not in near[namespace] and not generated:
                path: Path = ("tasks", name, "spec", "dependsOn", number)
                yield path, _missing("task", wanted, near[namespace], f" in namespace {namespace!r}") + _ALLOW


def cycles(scenario: Scenario, specs: Specs) -> Iterator[Problem]:
    """One cycle, if there is any."""
    space = {name: seed.namespace for name, seed in scenario.tasks.items()}
    graph = {name: [up for up in spec.depends_on if space.get(up) == space[name]] for name, spec in specs.items()}
    try:
        TopologicalSorter({} if scenario.allow_cycles else graph).prepare()
    except CycleError as error:
        # Python gives it from dependency to dependent, and closes it with the first.
        ring = error.args[1][:0:-1]
        first = ring.index(min(ring))
        ring = ring[first:] + ring[: first + 1]
        path: Path = ("tasks", ring[0], "spec", "dependsOn")
        yield path, f"tasks wait for each other: {' -> '.join(ring)}; with allowCycles: true they may"


def agents(scenario: Scenario, specs: Specs) -> Iterator[Problem]:
    if scenario.allow_missing:
        return
    wanted: list[tuple[Path, str]] = [
        (("tasks", name, "spec", "agentRef", "name"), spec.agent_ref.name)
        for name, spec in specs.items()
        if spec.agent_ref
    ]
    for name, each in scenario.workload.mix.items() if scenario.workload else ():
        wanted.append((("workload", "mix", name, "agent"), each.agent))
    for name, sown in scenario.workloads.items():
        wanted += [((*_WORKLOADS, name, "spec", *path), agent) for path, agent in _agent_refs(sown.spec)]
    for path, agent in wanted:
        if agent and agent not in scenario.agents:
            yield path, _missing("agent", agent, scenario.agents) + _ALLOW


_WORKLOADS: Path = ("workloads",)


def _agent_refs(data: object) -> Iterator[tuple[Path, str]]:
    """Where in a Workload's spec an Agent is named: in every field that ends so."""
    for key, value in data.items() if isinstance(data, Mapping) else ():
        if str(key).lower().endswith("agentref") and isinstance(value, Mapping):
            yield (key, "name"), str(value.get("name", ""))
        elif isinstance(value, list):
            named = str(key).lower().endswith("agentrefs")
            for number, each in enumerate(value):
                inner = (
                    [(("name",), str(each.get("name", "")))]
                    if named and isinstance(each, Mapping)
                    else _agent_refs(each)
                )
                yield from (((key, number, *path), agent) for path, agent in inner)


def targets(scenario: Scenario, specs: Specs) -> Iterator[Problem]:
    """Faults that would strike nothing."""
    names: dict[str, list[str]] = {}
    for number, fault in enumerate(scenario.faults):
        if not fault.host or (fault.fault in HOSTLESS and not fault.on_messages):
            continue
        kind, listed = _OBJECTS.get(fault.fault, ("host", host_names))
        known = names.get(kind) or names.setdefault(kind, listed(scenario))
        hit = fault.host in known or any(fnmatchcase(name, fault.host) for name in known)
        if not hit and not (kind == "task" and _strikes_generated(scenario, fault.host)):
            yield ("faults", number, "host"), _missing(kind, fault.host, known)


def triggers(scenario: Scenario, specs: Specs) -> Iterator[Problem]:
    """Occasions that cannot come: of tasks, nodes or actors that there are not; and names that are taken."""
    names = fault_names(scenario.faults)
    hosts = host_names(scenario)
    for number, fault in enumerate(scenario.faults):
        path: Path = ("faults", number)
        if fault.name and names.index(fault.name) != number:
            yield (*path, "name"), f"another fault is called {fault.name!r} too: choose another name"
        if fault.after:
            yield from _no_task(scenario, fault.after.task, (*path, "after", "task"))
        if not fault.on:
            continue
        if fault.on.kind == "AgenticTask":
            yield from _no_task(scenario, fault.on.key, (*path, "on", "key"))
        elif fault.on.kind == "FleetNode" and not _any_is(all_node_names(scenario), fault.on.key):
            yield (*path, "on", "key"), _missing("node", fault.on.key, all_node_names(scenario))
        if not _any_is(hosts, fault.on.actor) and not _any_is(hosts, fault.on.actor.partition("/")[0]):
            yield (*path, "on", "actor"), _missing("host", fault.on.actor, hosts)


def _any_is(names: list[str], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _no_task(scenario: Scenario, pattern: str, path: Path) -> Iterator[Problem]:
    name = pattern.rpartition("/")[2]
    if not _any_is(list(scenario.tasks), name) and not _strikes_generated(scenario, name):
        yield path, _missing("task", pattern, _some_tasks(scenario))


def _strikes_generated(scenario: Scenario, pattern: str) -> bool:
    """Whether `pattern` may stand for a task of the workload, or of a Workload; they are too many to try each."""
    workload, stem = scenario.workload, pattern.partition("*")[0]
    if any(stem.startswith(f"{name}-") or (stem != pattern and name.startswith(stem)) for name in scenario.workloads):
        return True
    if not workload or not workload.count:
        return False
    return is_generated(workload, pattern) or (
        "*" in pattern and f"{workload.name}-".startswith(stem[: len(workload.name) + 1])
    )


def _some_tasks(scenario: Scenario) -> list[str]:
    """The explicit tasks, and the first and the last that the workload makes."""
    workload = scenario.workload
    ends = {0, workload.count - 1} if workload and workload.count else ()
    return [*scenario.tasks, *(generated_name(workload, number) for number in sorted(ends) if workload)]


_OBJECTS: dict[str, tuple[str, Callable[[Scenario], list[str]]]] = {
    "delete-task": ("task", _some_tasks),
    "delete-node": ("node", all_node_names),
    "delete-workload": ("Workload", lambda scenario: list(scenario.workloads)),
    "replica-lag": ("API server", apiserver_names),
}


def _missing(kind: str, name: str, known: Iterable[str], where: str = "") -> str:
    names = sorted(known)
    some = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    near = did_you_mean(name, names[:_COMPARED])
    return f"there is no {kind} {name!r}{where}: expected {some or 'none'}{near}"


def expectations(scenario: Scenario, specs: Specs) -> Iterator[Problem]:
    for key, wanted in scenario.expect.items():
        path: Path = ("expect", key)
        named_fault = key.startswith("faults.")
        if named_fault and key.removeprefix("faults.") not in fault_names(scenario.faults):
            yield path, _unknown("fault", key.removeprefix("faults."), fault_names(scenario.faults))
        elif not named_fault and key not in expectable():
            yield path, _unknown("result", key, expectable())
        elif key == "violates":
            named = wanted if isinstance(wanted, list) else [wanted]
            yield from ((path, _unknown("invariant", each, _INVARIANTS)) for each in named if each not in _INVARIANTS)
        elif key == "differs":
            yield from ((path, message) for message in _differing(scenario, wanted))
        elif isinstance(wanted, str) and not COMPARISON.match(wanted.strip()):
            yield path, f"expected a value or a comparison such as '>= 3', not {wanted[:40]!r}"


def _differing(scenario: Scenario, wanted: object) -> Iterator[str]:
    """What is wrong with the tasks that faults are said to change the outcome of."""
    if not scenario.faults:
        yield "differs says what faults change, and there are none: leave it out"
    known = _some_tasks(scenario)
    for each in wanted if isinstance(wanted, list) else [wanted]:
        name = str(each).rpartition("/")[2]
        hit = any(fnmatchcase(task, name) for task in known) or _strikes_generated(scenario, name)
        if not isinstance(each, str) or not hit:
            yield _missing("task", str(each)[:40], known)


def _unknown(what: str, word: object, valid: Iterable[str]) -> str:
    words = sorted(valid)
    return f"unknown {what} {str(word)[:40]!r}: expected {', '.join(words)}{did_you_mean(word, words)}"


def expectable() -> frozenset[str]:
    """The result paths that `expect` may name."""
    ends = (*Verdict, *FailureReason)
    return RESULT_PATHS | {f"verdicts.{verdict}" for verdict in Verdict} | {f"model.ends.{end}" for end in ends}
