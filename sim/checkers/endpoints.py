"""Model endpoints: none ever has more runs than it takes, and each run the speed that it was promised."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, ClassVar

from foreman.api import IN_FLIGHT, AgenticTask, ModelEndpoint
from foreman.decide.requirement import agent_key, requirement_of
from sim.selection import Change

if TYPE_CHECKING:
    from sim.checkers.checkers import Checkers
    from sim.scenario import Scenario


class EndpointCheck:
    """Counts what is in flight by node and model. With several schedulers active at once the limit is not exact, as
    maxConcurrentTasks is not: then nothing is judged."""

    invariants: ClassVar[tuple[str, ...]] = ("endpoint-limit",)

    def __init__(self, court: Checkers, scenario: Scenario) -> None:
        self.court = court
        self._floors: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)

    @staticmethod
    def concerns(scenario: Scenario) -> bool:
        alone = scenario.operators.replicas == 1
        return alone and any(group.endpoints for group in scenario.fleet.values())

    def committed(self, change: Change) -> None:
        if change.kind != "AgenticTask":
            return
        was, now = _node(change.old), _node(change.new)
        if was == now:
            return
        if was:
            for (node, _), runs in self._floors.items():
                if node == was:
                    runs.pop(change.key, None)
        if now:
            self._assigned(change, now)

    def _assigned(self, change: Change, node: str) -> None:
        task: AgenticTask = change.new
        want = requirement_of(task, self.court.server.tables["Agent"].get(agent_key(task)))
        endpoint = self._endpoint(node, want.endpoint)
        if endpoint is None:
            return
        runs = self._floors[node, want.endpoint]
        runs[change.key] = want.min_tokens_per_second
        self.court.exercised("endpoint-limit")
        if endpoint.max_concurrent and len(runs) > endpoint.max_concurrent:
            told = f"{len(runs)} runs by {want.endpoint} on {node}, which takes {endpoint.max_concurrent}"
            self.court.fail("endpoint-limit", change.key, told)
        share = endpoint.tokens_per_second // len(runs)
        if share < max(runs.values()):
            told = f"{want.endpoint} on {node} leaves {share} tokens/s to each, promised were {max(runs.values())}"
            self.court.fail("endpoint-limit", change.key, told)

    def _endpoint(self, node: str, model: str) -> ModelEndpoint | None:
        found = self.court.server.tables["FleetNode"].get(node)
        capability = found.status.capability if found is not None else None
        served = capability.endpoints if capability is not None else ()
        return next((each for each in served if each.model == model), None) if model else None

    def ended(self, wall: int) -> None:
        """Nothing is left to judge at the end."""


def _node(task: AgenticTask | None) -> str:
    return task.status.assigned_node if task is not None and task.status.phase in IN_FLIGHT else ""
