"""What the counterparts of the original's tests share: fleets in one line, tasks made by hand, a node gone silent."""

from __future__ import annotations

from typing import Any

from support import advance, new_task, node, task, until, world

from foreman.api import ANNOTATION_CLAIM_EXPIRIES, AgenticTask, Phase
from foreman.executors import Execution
from sim.executor import Plan
from sim.hold import Hold
from sim.host import SECOND
from sim.world import World


def fleet(*groups: str, more: str = "") -> World:
    """A world some seconds old whose nodes, '<group>-0', are Ready. A group is 'name' or 'name: {...}'; `more` is YAML."""
    lines = "".join(f"  {group if ':' in group else f'{group}: {{}}'}\n" for group in groups)
    w = world(f"fleet:\n{lines}workload: {{count: 0}}\n{more}")
    advance(w, 5)
    return w


def deserted(more: str = "") -> World:
    """A world without any node."""
    w = fleet("gone", more=more)
    w.hosts["gone-0"].crash()
    w.server.delete("janitor", node(w, "gone-0"))
    advance(w, 1)
    return w


def put(w: World, name: str, seconds: float = 10, verdict: str = "GO", errors: float = 0, **spec: Any) -> AgenticTask:
    """Create a task whose execution takes `seconds` and comes to `verdict`; `spec` in wire names."""
    w.plans[f"default/{name}"] = Plan(round(seconds * SECOND), verdict, errors)
    return w.server.create("user", new_task(name, **spec))


def put_struck(w: World, name: str, expiries: int, seconds: float = 10, **spec: Any) -> AgenticTask:
    """Create a task that, by the original's annotation, has lost its claim `expiries` times."""
    w.plans[f"default/{name}"] = Plan(round(seconds * SECOND), "GO")
    fresh = new_task(name, **spec)
    meta = fresh.metadata.evolve(annotations={ANNOTATION_CLAIM_EXPIRIES: str(expiries)})
    return w.server.create("user", fresh.evolve(metadata=meta))


def phase(w: World, name: str) -> Phase | None:
    return task(w, name).status.phase


def until_phase(w: World, name: str, wanted: Phase, within: float = 600) -> AgenticTask:
    until(w, lambda: phase(w, name) is wanted, within)
    return task(w, name)


def heartbeats_lost(w: World, host: str) -> Hold:
    """The host works, but its heartbeats never arrive."""
    return w.hold(verb="patch_status", actor=f"{host}/", kind="FleetNode", fate="drop")


class Saying:
    """The host's executor, with `extra` added to the result of the tasks named."""

    def __init__(self, w: World, host: str, extras: dict[str, dict[str, Any]]) -> None:
        watcher = w.agents[host].watcher
        self.inner: Any = watcher.executor
        self.kind: str = self.inner.kind
        self.extras = extras
        watcher.executor = self

    async def execute(self, execution: Execution) -> Any:
        result = await self.inner.execute(execution)
        extra = self.extras.get(execution.task.metadata.name, {})
        return result.evolve(extra={**result.extra, **extra})
