"""An assignment without an answer may be in: until the API server has said so, its place is not given away again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support import parse

from foreman.operator import OperatorParts
from foreman.scheduler import Scheduler
from sim.mutations import Product
from sim.result import result_of
from sim.world import World

SCENARIO = """
fleet: {node: {count: 4}}
agents: {coder: {maxConcurrentTasks: 1}}
workload: {count: 10, arrivals: {every: 3s}, mix: {coded: {agent: coder}}}
executor: {duration: 5s}
network: {latency: {choices: [1ms, 1ms, 9ms]}, watch: {choices: [1ms, 9ms, 80ms]}}
faults:
  - {name: unknown, fault: error-after-commit, probability: 0.3, on: {verb: patch_status, kind: AgenticTask, actor: operator-0}}
  - {name: lost, fault: lose-reply, probability: 0.1, on: {verb: patch_status, kind: AgenticTask, actor: operator-0}}
checks: {crowding: true, idle: 1m}
until: 20m
"""


LATE = """
fleet: {node: {count: 2}}
workload: {count: 6, arrivals: {every: 3s}}
executor: {duration: 20s}
faults: [{fault: delay-request, by: 12s, on: {verb: patch_status, kind: AgenticTask, actor: operator-0, nth: 2}}]
checks: {crowding: true}
until: 20m
"""


class Guessing:
    """A cache that is not asked what became of a write."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def find_out(self, obj: Any) -> None:
        return None


class GuessingScheduler(Scheduler):
    def __init__(self, cluster: Any, runtime: Any, tasks: Any, *others: Any) -> None:
        super().__init__(cluster, runtime, Guessing(tasks), *others)  # type: ignore[arg-type]


def violated(seed: int, product: Product | None = None, text: str = SCENARIO) -> set[str]:
    result = result_of(World(parse(text, "test.yaml"), seed, product=product).run())
    assert result["tasks"]["succeeded"] == result["tasks"]["total"]
    return {each["invariant"] for each in result["violations"]}


@pytest.mark.parametrize("seed", range(8))
def test_an_assignment_without_an_answer_keeps_its_place_until_it_is_known(seed: int) -> None:
    assert violated(seed) == set()


def test_forgotten_at_once_its_place_is_given_away_a_second_time() -> None:
    guessing = replace(Product(), operator=OperatorParts(scheduler=GuessingScheduler))
    seen = set().union(*(violated(seed, guessing) for seed in range(8)))
    assert {"agent-limit", "overcommit"} <= seen


def test_an_assignment_that_comes_after_its_sender_has_given_up_finds_its_place_kept() -> None:
    assert violated(0, text=LATE) == set()


class Trusting:
    """A cache that takes an object unchanged for the word that the write is lost."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def find_out(self, obj: Any) -> None:
        await self.inner.find_out(obj)


class TrustingScheduler(Scheduler):
    def __init__(self, cluster: Any, runtime: Any, tasks: Any, *others: Any) -> None:
        super().__init__(cluster, runtime, Trusting(tasks), *others)  # type: ignore[arg-type]


def test_with_its_place_given_away_when_it_was_not_in_yet_the_node_is_given_too_much() -> None:
    trusting = replace(Product(), operator=OperatorParts(scheduler=TrustingScheduler))
    assert violated(0, trusting, LATE) == {"overcommit"}
