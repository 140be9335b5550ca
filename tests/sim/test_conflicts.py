"""Who was refused with a Conflict waits until his cache has passed the version he wrote on: before that he is refused again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from foreman.cluster import Conflict
from foreman.controller import BELIEF_SECONDS, Controller
from sim.load import parse
from sim.mutations import Product
from sim.result import result_of
from sim.world import World

OPERATORS = 8
STEPS = 3
"""Of a task, that every operator takes as soon as it sees the one before: taken in, placed, marked as recorded. What operators
write to nodes that come up is divided among the tasks as one more."""
IDLE = """
fleet: {node: {count: 20, slots: 2}}
workload: {count: 50, arrivals: {every: 2s}}
executor: {duration: 5s}
operators: {replicas: 8}
network: {latency: 1ms, watch: 500ms}
"""
BUSY = IDLE.replace("count: 20, slots: 2", "count: 2").replace("every: 2s", "every: 1s")


def conflicts(text: str, product: Product | None = None) -> int:
    """Of the operators' writes to tasks, for each task."""
    result = result_of(World(parse(text, "conflicts.yaml"), product=product).run())
    assert result["verdict"] == "ok"
    assert result["tasks"]["succeeded"] == result["tasks"]["total"]
    refused = {who: count for who, count in result["conflicts_by"].items() if who.startswith("operator")}
    return round(sum(refused.values()) / result["tasks"]["total"])


@pytest.mark.parametrize(
    ("text", "steps"),
    # Why a task waits is written down as well, of several that wait by whoever comes first.
    [(IDLE, STEPS + 1), (BUSY, STEPS + 3)],
    ids=["idle", "busy"],
)
@pytest.mark.parametrize("delay", ["5ms", "500ms"])
def test_each_operator_is_refused_once_for_each_step_however_late_it_hears(text: str, steps: int, delay: str) -> None:
    assert conflicts(text.replace("500ms", delay)) <= (OPERATORS - 1) * steps


def test_a_controller_that_does_not_wait_is_refused_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Controller, "_still_outdated", lambda self, key, seen: False)
    assert conflicts(IDLE) > 2 * (OPERATORS - 1) * (STEPS + 1)


class Erring:
    """A client whose server once refuses to take a task in, for no reason."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.erred = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)

    async def patch_status(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        if changes.get("phase") == "Pending" and not self.erred:
            self.erred = True
            raise Conflict("the object has been modified")
        return await self.cluster.patch_status(obj, changes, if_version=if_version)


def test_a_refusal_that_nothing_confirms_is_not_believed_for_ever() -> None:
    text = IDLE.replace("replicas: 8", "replicas: 1").replace("count: 50", "count: 1")
    w = World(parse(text, "conflicts.yaml"), product=Product(wrap=Erring)).run()
    result = result_of(w)
    assert result["tasks"]["succeeded"] == 1
    assert BELIEF_SECONDS < result["wait_seconds"]["max"] < 2 * BELIEF_SECONDS
