"""Races of dispatchers of agents: claims that are looked at and then taken, workers that outlive their claim, answers that
did not come taken for answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from foreman.agent.run import Run
from foreman.agent.watcher import Watcher
from foreman.api import AgenticTask
from foreman.cluster import Cluster, ClusterError, Conflict, Unavailable
from foreman.decide import claims
from foreman.decide.custody import CLAIM_CLEARED
from foreman.executors import Execution
from foreman.runtime import Signal
from foreman.scheduler import Scheduler
from sim.mutations.product import Mutation, Product, agent, operator


class CheckThenAct:
    """A Cluster that reads whether the task is as it was, and writes if so: two steps instead of one."""

    def __init__(self, inner: Cluster) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def patch_status(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        live = await self.inner.get(obj.kind, obj.metadata.name, obj.metadata.namespace)
        if if_version is not None and live.version != if_version:
            raise Conflict(f"{obj.kind} {obj.key} is at version {live.version}, the write was for {if_version}")
        return await self.inner.patch_status(obj, changes, if_version=None)


class AbandoningRun(Run):
    """Gives up a worker without stopping it: the slot is free, the process goes on."""

    async def execute(self) -> claims.Outcome:
        found: list[claims.Outcome] = []
        over = self.runtime.event()
        self.runtime.spawn(self._work(found, over), "worker")
        self.runtime.spawn(self._given_up(over), "giving-up")
        await over.wait()
        return found[0] if found else claims.Outcome(error="abandoned", timed_out=self.timed_out)

    async def _work(self, found: list[claims.Outcome], over: Signal) -> None:
        deaf = Execution(self.task, self.attempt, self.runtime.event())
        try:
            found.append(claims.Outcome(result=await self.executor.execute(deaf)))
        except Exception as error:
            found.append(claims.Outcome(error=str(error)))
        over.set()

    async def _given_up(self, over: Signal) -> None:
        await self.cancelled.wait()
        over.set()


class AbandoningWatcher(Watcher):
    run_type = AbandoningRun


class ResettingScheduler(Scheduler):
    """Takes an assignment without an answer for one that failed, and resets the task to try again."""

    def __init__(self, cluster: Cluster, *others: Any) -> None:
        super().__init__(Resetting(cluster), *others)  # type: ignore[arg-type]


class Resetting:
    def __init__(self, inner: Cluster) -> None:
        self.inner = inner

    async def patch_status(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        try:
            return await self.inner.patch_status(obj, changes, if_version=if_version)
        except Unavailable:
            await self.inner.patch_status(obj, CLAIM_CLEARED, if_version=None)
            raise


class HookCheckingWatcher(Watcher):
    """Looks on its hook for the task it has just claimed, by whichever replica answers, and leaves when it is not there."""

    async def _carry_out(self, task: AgenticTask) -> None:
        if await self._hooked(task):
            await super()._carry_out(task)
        else:
            del self._claiming[task.key]
            self._done[task.key] = task.status.attempt
            self._pump()

    async def _hooked(self, task: AgenticTask) -> bool:
        try:
            listing = await self.cluster.list("AgenticTask", fields={"status.assignedNode": self.node})
        except ClusterError:
            return False
        return any(isinstance(each, AgenticTask) and each.status.holder == self.holder for each in listing.items)


def _check_then_act(product: Product) -> Product:
    return replace(product, wrap=CheckThenAct)


DISPATCHERS: dict[str, Mutation] = {
    "check-then-act": Mutation("a claim is looked at, then taken", "single-execution", _check_then_act),
    "abandoned-workers": Mutation(
        "a claim taken back does not stop its worker", "executor-slots", agent(watcher=AbandoningWatcher)
    ),
    "timeout-is-failure": Mutation(
        "an assignment without an answer is taken for a failed one and reset",
        "earned-expiry",
        operator(scheduler=ResettingScheduler),
    ),
    "hook-from-replica": Mutation(
        "an agent asks a replica for its own claim and believes it", "attended", agent(watcher=HookCheckingWatcher)
    ),
}
