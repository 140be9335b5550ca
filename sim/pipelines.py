"""The Workloads of a scenario: when they are created, how their tasks will go, and whether they have come to their end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from foreman.api import AgenticTask, Workload, WorkloadPhase, parse
from foreman.decide.pipeline.render import owner_uid, step_of
from sim.apiserver import ApiServer
from sim.draw import Stream
from sim.executor import Plan
from sim.host import SECOND, Process
from sim.once import once
from sim.scenario import Behaviour, Scenario, WorkloadSeed
from sim.schedule import Schedule
from sim.selection import Change
from sim.workload import Chances

ENDS = frozenset({WorkloadPhase.COMPLETED, WorkloadPhase.FAILED})


class Sown(NamedTuple):
    """A Workload to create at `at` microseconds."""

    at: int
    workload: Workload


@once
def sown(workloads: Mapping[str, WorkloadSeed]) -> list[Sown]:
    """All Workloads in order of creation."""
    found = [Sown(seed.at, _workload(name, seed)) for name, seed in workloads.items()]
    return sorted(found, key=lambda each: each.at)


async def sow(scenario: Scenario, process: Process, create: Callable[[Workload], Awaitable[None]]) -> None:
    """Create each Workload at its time, counted from now."""
    begun = process.now()
    for at, workload in sown(scenario.workloads):
        await process.sleep(max(begun + at / SECOND - process.now(), 0))
        await create(workload)


def _workload(name: str, seed: WorkloadSeed) -> Workload:
    return parse(Workload, {"metadata": {"name": name, "namespace": seed.namespace}, "spec": seed.spec})


class ChildPlans(dict[str, Plan]):
    """How executions will go; that of a Workload's task is drawn when it first runs, from a stream of its own: whatever else
    happens, it is the same."""

    def __init__(self, scenario: Scenario, seed: int, server: ApiServer, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.scenario = scenario
        self.seed = seed
        self.server = server

    def __missing__(self, key: str) -> Plan:
        task: AgenticTask = self.server.tables["AgenticTask"][key]
        chances = Chances(self._behaviour(task), Stream(self.seed, f"child/{key}"), self.schedule)
        plan = self[key] = chances.plan(key)
        return plan

    def _behaviour(self, task: AgenticTask) -> Behaviour:
        owner = next((each.name for each in task.metadata.owner_references if each.controller), "")
        workload = self.server.tables["Workload"].get(f"{task.metadata.namespace}/{owner}")
        seed = self.scenario.workloads.get(owner)
        if seed is not None and workload is not None:
            step = step_of(workload, task.metadata.name, task)
            for pattern, behaviour in seed.executor.items():
                if pattern == task.spec.kind or fnmatchcase(step, pattern):
                    return behaviour
        return self.scenario.executor


class Pipelines:
    """Observes commits. `on_child()` hears of each task an operator makes, `on_end()` of each Workload that ends."""

    def __init__(self, total: int, on_child: Callable[[], None], on_end: Callable[[], None]) -> None:
        self.total = total
        self.on_child = on_child
        self.on_end = on_end
        self.phases: dict[str, WorkloadPhase | None] = {}
        self.iterations: dict[str, int] = {}
        self.children = 0
        self.made = 0

    def committed(self, change: Change) -> None:
        if change.kind == "AgenticTask":
            if change.old is None and owner_uid(change.new):
                self.children += 1
                self.on_child()
        elif change.kind == "Workload":
            self._workload(change)

    def _workload(self, change: Change) -> None:
        self.made += change.old is None
        if change.new is None:
            self.phases.pop(change.key, None)
            self.on_end()
            return
        status = change.new.status
        self.iterations[change.key] = status.review_iterations
        before, self.phases[change.key] = self.phases.get(change.key), status.phase
        if status.phase in ENDS and before is not status.phase:
            self.on_end()

    def settled(self) -> bool:
        """Whether every Workload has been made, and has ended or is gone."""
        return self.made >= self.total and all(phase in ENDS for phase in self.phases.values())

    def told(self) -> dict[str, int]:
        """Counts for the result."""
        phases = list(self.phases.values())
        ended = {phase: phases.count(phase) for phase in ENDS}
        return {
            "total": self.total,
            "completed": ended[WorkloadPhase.COMPLETED],
            "failed": ended[WorkloadPhase.FAILED],
            "pending": len(phases) - sum(ended.values()),
            "children": self.children,
            "iterations": sum(self.iterations.values()),
        }
