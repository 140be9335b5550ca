"""A live cluster as a scenario: its nodes, its unfinished tasks, its Agents, and how long its tasks have taken so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from foreman.api import (
    TERMINAL,
    Agent,
    AgenticTask,
    FleetNode,
    FleetNodePhase,
    ModelEndpoint,
    TaskStatus,
    succeeded_on_target,
)
from foreman.api.wire import to_wire
from foreman.decide.snapshot import Snapshot
from sim.names import node_names

Data = dict[str, Any]
ENOUGH = 5
"""Finished tasks from which on their durations and verdicts are believed."""
ASSUMED = "10s"
_SHOWN = 5


class Copied(NamedTuple):
    """`data`: a scenario as in a file; `notes`: what of the original it does not hold, in sentences."""

    data: Data
    notes: list[str]


def scenario_of(snapshot: Snapshot, name: str, dead: bool = False, history: bool = False) -> Copied:
    """The scenario in which everything goes on from what `snapshot` shows; with `history`, in which all comes again as it came.
    `dead`: nodes that are not Ready come back to life.

    Raises ValueError when there is nothing to simulate.
    """
    notes: list[str] = []
    data: Data = {
        "name": name,
        "story": "A snapshot of a live cluster.",
        "fleet": _fleet(snapshot.nodes.values(), dead, notes),
        "agents": _agents(snapshot.agents.values(), notes),
        "tasks": _as_they_came(snapshot, notes) if history else _waiting(snapshot, notes),
        "executor": _executor(snapshot.tasks.values(), notes),
        "until": "24h",
    }
    lost = sorted(_missing(data))
    if lost:
        data["allowMissing"] = True
        notes.append(f"{_listed(lost)}: named by tasks and not there, so these wait as they do now (allowMissing)")
    return Copied({key: value for key, value in data.items() if value}, notes)


def _missing(data: Data) -> set[str]:
    found = set()
    for task in data["tasks"].values():
        found |= {each for each in task["spec"].get("dependsOn", ()) if each not in data["tasks"]}
        found |= {
            each for each in [task["spec"].get("agentRef", {}).get("name")] if each and each not in data["agents"]
        }
    return found


# nodes


def _fleet(nodes: Iterable[FleetNode], dead: bool, notes: list[str]) -> Data:
    """Equal nodes are a group, named after their accelerator."""
    groups: list[tuple[Data, list[str]]] = []
    left: list[str] = []
    for node in sorted(nodes, key=lambda node: node.key):
        name = node.metadata.name
        if node.status.capability is None or not (dead or node.status.phase is FleetNodePhase.READY):
            left.append(name)
            continue
        made = _group(node)
        equals = next((names for group, names in groups if group == made), None)
        if equals is None:
            groups.append((made, [name]))
        else:
            equals.append(name)
    if not groups:
        raise ValueError(f"no node is Ready: {_listed(left)}" if left else "the cluster has no FleetNode")
    if left:
        notes.append(f"not Ready and left out: {_listed(left)} (--dead takes in those whose capability is known)")
    fleet: Data = {}
    for group, names in groups:
        called = _unused(group.get("accelerator", "cpu"), fleet)
        fleet[called] = {"count": len(names), **group}
        notes.append(f"{_listed(names)} called {_listed(node_names(called, len(names)))}")
    return fleet


def _group(node: FleetNode) -> Data:
    capability = node.status.capability
    assert capability is not None
    group: Data = {
        "slots": node.spec.slots,
        "accelerator": str(capability.accelerator or ""),
        "ramGB": capability.total_ram_gb,
        "contextTokens": capability.max_context_tokens,
        "tokensPerSecond": capability.tokens_per_second,
        "models": list(capability.installed_models),
        "endpoints": {each.model: _endpoint(each) for each in capability.endpoints if each.tokens_per_second},
        "labels": dict(node.metadata.labels),
    }
    return {key: value for key, value in group.items() if value} | {"roles": list(node.spec.roles)}


def _endpoint(endpoint: ModelEndpoint) -> Data:
    return {
        "maxConcurrent": endpoint.max_concurrent,
        "tokensPerSecond": endpoint.tokens_per_second,
        "prefillTokensPerSecond": endpoint.prefill_tokens_per_second,
    }


# tasks


def _agents(agents: Iterable[Agent], notes: list[str]) -> Data:
    found: Data = {}
    for agent in sorted(agents, key=lambda agent: agent.key):
        name, spec = agent.metadata.name, agent.spec
        profile: Data = {"role": str(spec.role), "provider": str(spec.provider), "model": spec.model}
        if spec.required_capability is not None:
            profile["requires"] = to_wire(spec.required_capability)
        if spec.max_concurrent_tasks is not None:
            profile["maxConcurrentTasks"] = spec.max_concurrent_tasks
        if found.setdefault(name, profile) != profile:
            notes.append(f"Agent {agent.key} differs from its namesake, which is simulated for both")
    return found


def _waiting(snapshot: Snapshot, notes: list[str]) -> Data:
    """Unfinished tasks, all created at once, in the order of their age."""
    unfinished = [task for task in _by_age(snapshot) if task.status.phase not in TERMINAL]
    if not unfinished:
        raise ValueError("no task waits or runs: --history takes the finished ones, as they came")
    done = {key for key, task in snapshot.tasks.items() if succeeded_on_target(task.status)}
    phases = Counter(str(task.status.phase or "Pending") for task in unfinished)
    begun = phases.total() - phases["Pending"]
    if begun:
        notes.append(f"{begun:,} tasks under way begin anew, without the time and the attempts they have had")
    if len(unfinished) < len(snapshot.tasks):
        left = len(snapshot.tasks) - len(unfinished)
        notes.append(f"{left:,} finished tasks left out, and dependencies on those that succeeded")
    return _named([(task, {"spec": _spec(task, done)}) for task in unfinished], notes)


def _as_they_came(snapshot: Snapshot, notes: list[str]) -> Data:
    """All tasks at the times they were created at; the finished ones take as long as they took and end as they ended."""
    tasks = _by_age(snapshot)
    if not tasks:
        raise ValueError("the cluster has no tasks")
    first = tasks[0].metadata.creation_timestamp or 0
    told: list[tuple[AgenticTask, Data]] = []
    for task in tasks:
        seed: Data = {"at": f"{(task.metadata.creation_timestamp or first) - first}s", "spec": _spec(task, set())}
        took = _took(task.status)
        if took is not None:
            seed["executor"] = {"duration": f"{max(took, 1)}s"}
            if task.status.verdict:
                seed["executor"]["verdicts"] = {str(task.status.verdict): 1}
        told.append((task, seed))
    notes.append(
        "times are whole seconds: the API keeps no finer ones; a task that was tried again takes its last attempt"
    )
    return _named(told, notes)


def _by_age(snapshot: Snapshot) -> list[AgenticTask]:
    return sorted(snapshot.tasks.values(), key=lambda task: (task.metadata.creation_timestamp or 0, task.key))


def _spec(task: AgenticTask, done: Collection[str]) -> Data:
    """Without its payload: prompts are nobody's business who is given a scenario."""
    spec = to_wire(task.spec) | {"payload": {"agent": task.spec.payload.agent} if task.spec.payload.agent else {}}
    waits = [name for name in task.spec.depends_on if f"{task.metadata.namespace}/{name}" not in done]
    return {**spec, "dependsOn": waits} if waits else {key: spec[key] for key in spec if key != "dependsOn"}


def _named(told: Iterable[tuple[AgenticTask, Data]], notes: list[str]) -> Data:
    tasks: Data = {}
    for task, seed in told:
        called = _unused(task.metadata.name, tasks)
        if called != task.metadata.name:
            notes.append(f"task {task.key} is called {called}: there is one of its name in another namespace")
        tasks[called] = {"namespace": task.metadata.namespace, **seed}
    return tasks


def _took(status: TaskStatus) -> int | None:
    """Seconds that the last attempt of a finished task took."""
    if status.phase not in TERMINAL or status.started_at is None or status.finished_at is None:
        return None
    return max(status.finished_at - status.started_at, 0)


def _executor(tasks: Iterable[AgenticTask], notes: list[str]) -> Data:
    """Durations and verdicts as the finished tasks had them, each of them as likely as it was."""
    finished = [task.status for task in tasks if task.status.phase in TERMINAL]
    took = sorted(seconds for status in finished if (seconds := _took(status)) is not None)
    if len(took) < ENOUGH:
        notes.append(
            f"too few finished tasks to learn from ({len(took)}): each is taken to last {ASSUMED} and end in GO; set executor"
        )
        return {"duration": ASSUMED}
    verdicts = Counter(str(status.verdict) for status in finished if status.verdict and _took(status) is not None)
    notes.append(f"durations and verdicts drawn from {len(took):,} finished tasks, of all kinds alike")
    return {"duration": {"choices": [f"{max(each, 1)}s" for each in took]}, "verdicts": dict(sorted(verdicts.items()))}


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    return next(each for each in (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3))) if each not in taken)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"
