"""The product on the original's CRDs, in virtual time: a cluster that drops what it does not know.

No attempt, no holder, no strikes: claims are told apart by node and time, expiries are counted in the annotation.
The invariants speak of the dropped fields, so these runs are judged by what became of the tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from real_server import OURS
from support import advance, node, task, until, world

from foreman.api import ANNOTATION_CLAIM_EXPIRIES, Phase, condition, to_wire
from foreman.api.fields import fields_of
from foreman.cluster import Cluster
from sim.mutations import Product
from sim.world import World

FLEET = """
fleet: {a: {count: 1}, b: {count: 1}, c: {count: 1}}
tasks: {task-0: {spec: {kind: freeform, payload: {}}}}
executor: {duration: 20m}
until: 3h
"""


class Pruning:
    """A Cluster without our additions to the API."""

    def __init__(self, inner: Cluster) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def patch_status(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        unknown = OURS.get(obj.PLURAL, {}).get("status", ())
        fields = fields_of(type(obj.status))
        known = {name: value for name, value in changes.items() if fields[name].wire not in unknown}
        return await self.inner.patch_status(obj, known, if_version=if_version)


def pruned(text: str, *sets: str) -> World:
    w = world(text, *sets, product=replace(Product(), wrap=Pruning), check=False)
    advance(w, 1)
    return w


def running_on(w: World) -> str:
    """The node that runs the task, once one does."""
    until(w, lambda: task(w, "task-0").status.phase is Phase.RUNNING)
    return task(w, "task-0").status.assigned_node


def test_a_quiet_day() -> None:
    w = pruned(FLEET, "workload={count: 50}", "executor.duration=5s").run()
    assert w.stats.verdicts == {"GO": 51}
    assert not w.crashes
    assert {each.status.attempt for each in w.server.tables["AgenticTask"].values()} == {0}


def test_three_expiries_end_a_task() -> None:
    w = pruned(FLEET)
    for expiries in ("1", "2", "2"):
        w.hosts[running_on(w)].crash()
        until(w, lambda: task(w, "task-0").status.phase is not Phase.RUNNING, within=200)
        advance(w, 1)
        assert task(w, "task-0").metadata.annotations[ANNOTATION_CLAIM_EXPIRIES] == expiries
    ended = task(w, "task-0").status
    told = condition(ended.conditions, "Failed")
    assert told is not None
    assert (ended.phase, told.reason) == (Phase.FAILED, "ClaimExpiryLimitReached")
    assert "strikes" not in to_wire(ended)


@pytest.mark.parametrize("seed", range(5))
def test_a_restarted_agent_gives_its_orphan_back(seed: int) -> None:
    w = pruned(FLEET, f"seed={seed}", "agent.restartDelay=5s")
    host = running_on(w)
    w.hosts[host].crash()
    w.hosts[host].boot()
    until(w, lambda: task(w, "task-0").status.phase is Phase.SUCCEEDED, within=3000)
    assert node(w, host).status.instance == ""


def test_a_result_from_behind_a_partition_is_dropped() -> None:
    w = pruned(FLEET, "executor.duration=5m")
    zombie = running_on(w)
    link = w.links[zombie]
    link.cut_in = link.cut_out = True
    until(w, lambda: task(w, "task-0").status.assigned_node not in ("", zombie), within=200)
    heir = running_on(w)
    advance(w, 250)
    link.cut_in = link.cut_out = False
    until(w, lambda: task(w, "task-0").status.phase is Phase.SUCCEEDED, within=600)
    assert task(w, "task-0").status.assigned_node == heir
    assert (w.stats.landed, w.agents[zombie].watcher.landed) == (1, 0)
