"""What tests share: small worlds, objects with sensible defaults, and a look at the state of the world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foreman.api import Agent, AgenticTask, FleetNode, from_wire
from sim.host import SECOND
from sim.load import parse
from sim.trace import Trace
from sim.world import World

GROUP = "foreman.llmkube.dev/v1alpha1"


def world(text: str, *sets: str, seed: int | None = None, trace: bool = False, **kwargs: Any) -> World:
    """The world of the scenario `text` (YAML), not run yet."""
    return World(parse(text, "test.yaml", sets), seed, trace=Trace() if trace else None, **kwargs)


def run(text: str, *sets: str, seed: int | None = None, **kwargs: Any) -> World:
    """The world of the scenario `text`, run to its end."""
    return world(text, *sets, seed=seed, **kwargs).run()


def advance(w: World, seconds: float) -> None:
    """Let `seconds` of virtual time pass."""
    w.advance(w.now() + round(seconds * SECOND))


def until(w: World, condition: Callable[[], bool], within: float = 600, step: float = 0.01) -> None:
    """Let time pass until `condition()` holds; fails when it does not within so many virtual seconds."""
    end = w.now() + round(within * SECOND)
    while not condition():
        assert w.now() < end, f"did not happen within {within}s of virtual time"
        advance(w, step)


def task(w: World, name: str, namespace: str = "default") -> AgenticTask:
    """The task as the API server has it now."""
    return w.server.get("test", "AgenticTask", name, namespace)


def node(w: World, name: str) -> FleetNode:
    return w.server.get("test", "FleetNode", name)


def new_task(name: str, namespace: str = "default", **spec: Any) -> AgenticTask:
    """An AgenticTask; `spec` in wire names, over kind freeform and an empty payload."""
    made = from_wire(
        {
            "apiVersion": GROUP,
            "kind": "AgenticTask",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"kind": "freeform", "payload": {}, **spec},
        }
    )
    assert isinstance(made, AgenticTask)
    return made


def new_node(
    name: str, capability: dict[str, Any] | None = None, labels: dict[str, str] | None = None, **spec: Any
) -> FleetNode:
    """A FleetNode without a heartbeat; `capability` and `spec` in wire names."""
    made = from_wire(
        {
            "apiVersion": GROUP,
            "kind": "FleetNode",
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {"nodeName": name, **spec},
            "status": {"capability": capability} if capability else {},
        }
    )
    assert isinstance(made, FleetNode)
    return made


def new_agent(name: str, namespace: str = "default", **spec: Any) -> Agent:
    made = from_wire(
        {
            "apiVersion": GROUP,
            "kind": "Agent",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"role": "coder", "tools": ["submit_result"], "systemPrompt": "x", **spec},
        }
    )
    assert isinstance(made, Agent)
    return made


def reason(obj: Any, type_: str) -> str:
    """The reason of the object's condition of that type, or ''."""
    return next((each.reason for each in obj.status.conditions if each.type == type_), "")


def unharmed(w: World) -> None:
    """No invariant was violated and nothing crashed."""
    assert not w.crashes, w.crashes
    assert not w.checkers.violations, w.checkers.violations[:3]
