"""What makes no sense in a scenario although every value is of the right kind: bad specs, names, clashes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from foreman.api import AgenticTask, InvalidObject, Model, TaskSpec, Workload, WorkloadSpec, parse
from foreman.api.fields import declared
from sim import conversing
from sim.heartbeats.fit import unfit
from sim.kinds import did_you_mean
from sim.memory import too_large
from sim.names import host_names, is_generated, is_label, node_names
from sim.references import agents, cycles, dependencies, expectations, targets, triggers
from sim.scenario import Scenario
from sim.schedule import OF_TASKS
from sim.source import Path, Problem


def problems(scenario: Scenario) -> list[Problem]:
    """All that is wrong; when it is too large only that, for the other checks write out its nodes."""
    found = too_large(scenario)
    if found:
        return found
    specs: dict[str, TaskSpec] = {}
    for name, seed in scenario.tasks.items():
        try:
            specs[name] = parse(AgenticTask, {"metadata": {"name": name}, "spec": seed.spec}).spec
        except InvalidObject as error:
            found += [(("tasks", name, *_steps(path)), message) for path, message in error.causes]
        found += _unknown_fields(TaskSpec, seed.spec, ("tasks", name, "spec"))
    for name, workload in scenario.workloads.items():
        try:
            parse(Workload, {"metadata": {"name": name}, "spec": workload.spec})
        except InvalidObject as error:
            found += [(("workloads", name, *_steps(path)), message) for path, message in error.causes]
        found += _unknown_fields(WorkloadSpec, workload.spec, ("workloads", name, "spec"))
    for check in _CHECKS:
        found += check(scenario)
    for reference_check in _REFERENCE_CHECKS:
        found += reference_check(scenario, specs)
    return found


def _steps(path: str) -> Path:
    """'spec.dependsOn[0]' -> ('spec', 'dependsOn', 0)."""
    return tuple(int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path))


def _unknown_fields(model: type[Model], data: Any, path: Path) -> Iterator[Problem]:
    """The API keeps what it does not know; in a scenario that is a slip."""
    if isinstance(data, list):
        for number, each in enumerate(data):
            yield from _unknown_fields(model, each, (*path, number))
    if not isinstance(data, Mapping):
        return
    fields = {field.wire: field for field in declared(model)}
    for key, value in data.items():
        if key not in fields:
            yield (*path, key), f"unknown field {key!r}: expected {', '.join(fields)}{did_you_mean(key, fields)}"
        elif (inner := fields[key].holds) is not None:
            yield from _unknown_fields(inner, value, (*path, key))


def _work(scenario: Scenario) -> Iterator[Problem]:
    if scenario.workload is None and not scenario.tasks and not scenario.workloads:
        yield (), "nothing to do: expected a workload, e.g. workload: {count: 10}, or tasks, or workloads"
    lags, replicas = len(scenario.apiserver.lag), scenario.apiserver.replicas
    if lags not in (0, 1, replicas):
        several = f" or {replicas}, one for each replica," if replicas > 1 else ""
        yield ("apiserver", "lag"), f"expected 1 value{several} not {lags}"


def _names(scenario: Scenario) -> Iterator[Problem]:
    for path, name, longest in _named(scenario):
        if not is_label(name):
            yield path, f"{name!r} is not a name: expected a-z, 0-9 and '-', with no '-' at either end, at most 63"
        elif not is_label(longest):
            yield path, f"the name {longest!r} is too long: expected at most 63 characters"


def _named(scenario: Scenario) -> Iterator[tuple[Path, str, str]]:
    """(path, name, the longest name made from it)."""
    for group, nodes in scenario.fleet.items():
        yield ("fleet", group), group, node_names(group, nodes.count)[-1]
    for agent in scenario.agents:
        yield ("agents", agent), agent, agent
    for name, seed in scenario.tasks.items():
        yield ("tasks", name), name, name
        yield ("tasks", name, "namespace"), seed.namespace, seed.namespace
    for name, sown in scenario.workloads.items():
        yield ("workloads", name), name, name
        yield ("workloads", name, "namespace"), sown.namespace, sown.namespace
    if (workload := scenario.workload) is not None:
        yield ("workload", "name"), workload.name, f"{workload.name}-{max(workload.count - 1, 0)}"
        yield ("workload", "namespace"), workload.namespace, workload.namespace


def _clashes(scenario: Scenario) -> Iterator[Problem]:
    for group in scenario.fleet:
        if group in ("operator", "apiserver"):
            yield ("fleet", group), f"its nodes would be named like the hosts {group}-0 ...: choose another name"
    workload = scenario.workload
    for name, seed in scenario.tasks.items():
        if workload and seed.namespace == workload.namespace and is_generated(workload, name):
            yield ("tasks", name), f"the workload makes a task {name!r} too: choose another name"


def _late(scenario: Scenario) -> Iterator[Problem]:
    known = host_names(scenario) if scenario.schedule else []
    listed: set[tuple[str, str, int]] = set()
    for number, each in enumerate(scenario.schedule or ()):
        path: Path = ("schedule", number)
        if each.way in OF_TASKS:
            if not _has_task(scenario, each.who):
                yield (*path, "task"), f"no task {each.task!r}{did_you_mean(each.task, scenario.tasks)}"
        elif each.host not in known:
            near = did_you_mean(each.host, known)
            yield (*path, "host"), f"no host {each.host!r}: expected {', '.join(known[:8])}{near}"
        elif each.way == "boot" and each.host == "user":
            yield (*path, "host"), "the user is there from the start: expected an operator or an agent"
        elif each.way == "decision" and not (each.host.startswith("operator-") and scenario.operators.thinks()):
            yield (*path, "way"), "a decision is of an operator, where operators: {decision: 50ms} has it take time"
        if (each.who, each.way, each.nth) in listed:
            yield path, "listed twice: expected each message, boot, arrival and work once"
        listed.add((each.who, each.way, each.nth))


def _has_task(scenario: Scenario, key: str) -> bool:
    """Whether there is such a task; those of a Workload are named when it is rendered."""
    namespace, _, name = key.partition("/")
    if name in scenario.tasks and scenario.tasks[name].namespace == namespace:
        return True
    made = scenario.workload is not None and scenario.workload.namespace == namespace
    if made and is_generated(scenario.workload, name):  # type: ignore[arg-type]
        return True
    return any(seed.namespace == namespace and name.startswith(f"{each}-") for each, seed in scenario.workloads.items())


def _speeds(scenario: Scenario) -> Iterator[Problem]:
    """Where runs are counted in tokens, every machine must say how fast it is."""
    if not any(each.tokens is not None for each in scenario.behaviours()):
        return
    for group, nodes in scenario.fleet.items():
        if not nodes.tokens_per_second and not nodes.endpoints:
            yield ("fleet", group), "runs are counted in tokens: expected tokensPerSecond, or endpoints with theirs"


_CHECKS: tuple[Callable[[Scenario], Iterable[Problem]], ...] = (
    _work,
    _names,
    _clashes,
    _late,
    _speeds,
    conversing.agents,
    conversing.conversations,
    conversing.models,
    unfit,
)
_REFERENCE_CHECKS = (dependencies, cycles, agents, targets, triggers, expectations)
