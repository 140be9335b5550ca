"""The agent loop with one safeguard taken out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from foreman.api import AgentSpec, ModelProfileSpec
from foreman.executors.loop import Limits, Patient, limits_of
from foreman.executors.native import NativeExecutor
from sim.mutations.product import Mutation, Product

MOMENT = 0.001


class _Hurried:
    """A Runtime on which nobody waits."""

    def __init__(self, runtime: Any) -> None:
        self.runtime = runtime

    async def sleep(self, seconds: float) -> None:
        await self.runtime.sleep(min(seconds, MOMENT))


class Impatient(Patient):
    """Tries again at once, and without end."""

    def __init__(self, model: Any, runtime: Any, retries: int, *more: Any) -> None:
        super().__init__(model, _Hurried(runtime), max(retries, 1000), *more)  # type: ignore[arg-type]


class ImpatientExecutor(NativeExecutor):
    patient = Impatient


class BoundlessExecutor(NativeExecutor):
    """Does not know of maxTurns."""

    @staticmethod
    def limits(agent: AgentSpec, profile: ModelProfileSpec | None = None) -> Limits:
        return replace(limits_of(agent, profile), max_turns=10_000)


def native(executor: type[NativeExecutor]) -> Callable[[Product], Product]:
    return lambda product: replace(product, native=executor)


MODELS: dict[str, Mutation] = {
    "no-backoff": Mutation("refused requests are sent again at once", "retry-after", native(ImpatientExecutor)),
    "no-turn-budget": Mutation("a run may take any number of turns", "run-budget", native(BoundlessExecutor)),
}
