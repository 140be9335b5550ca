"""A scheduler that was refused knows that its view is old: it does not write the same again until it has a newer one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from support import parse

from foreman.api import AgenticTask
from foreman.operator import OperatorParts
from foreman.scheduler import Scheduler
from sim.mutations import Product
from sim.trace import Trace
from sim.world import World

SCENARIO = """
operators: {{replicas: 4}}
fleet: {{node: {{count: 4}}}}
workload: {{count: 8, arrivals: {{every: 1s}}}}
executor: {{duration: 2s}}
{stale}
until: 30m
"""
LATE = "network: {latency: 1ms, watch: 2s}"
LOST = "faults: [{fault: drop-event, probability: 0.5, on: {actor: operator-1, kind: AgenticTask}}]"
MOST = 12


class Insisting(Scheduler):
    async def catch_up(self, task: AgenticTask) -> None:
        return


def refused(stale: str, product: Product | None = None) -> int:
    """How often the most often refused task was refused to one operator."""
    trace = Trace()
    world = World(parse(SCENARIO.format(stale=stale), "test.yaml"), product=product, trace=trace)
    world.run()
    assert world.stats.settled == world.total
    assert not world.checkers.violations
    times = Counter((row["actor"], row["key"]) for row in trace.rows if _refused(row))
    return max(times.values(), default=0)


def _refused(row: Any) -> bool:
    return row["what"] == "patch_status" and row["outcome"] == "Conflict"


@pytest.mark.parametrize("stale", [LATE, LOST])
def test_a_refused_assignment_is_not_tried_again_on_the_same_view(stale: str) -> None:
    assert 0 < refused(stale) < MOST


@pytest.mark.parametrize("stale", [LATE, LOST])
def test_one_that_insists_is_refused_without_end(stale: str) -> None:
    insisting = replace(Product(), operator=OperatorParts(scheduler=Insisting))
    assert refused(stale, insisting) > 4 * MOST
