"""SimExecutor: takes time and comes to a verdict, as the scenario says, instead of working."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from foreman.api import AgenticTask, Result
from foreman.executors import Cancelled, Execution
from foreman.executors.stub import stub_result
from foreman.runtime import Runtime
from sim.draw import Stream
from sim.host import SECOND
from sim.serving import Serving
from sim.talk import Conversation

SPELL = 5.0
"""Seconds after which an execution notices that the others have become more or fewer."""


class Plan(NamedTuple):
    """What a task's executions will be like. `duration` in microseconds; chances per attempt."""

    duration: int
    verdict: str
    errors: float = 0.0
    hangs: float = 0.0
    nothing: float = 0.0
    tokens: tuple[int, int] | None = None
    """Of the prompt, and of the output: then the speed of the model decides how long it takes, not `duration`."""
    conversation: Conversation | None = None
    """With a model: then the agent loop decides how long it takes, and whether `verdict` is what comes of it."""


Worker = Callable[[Execution, Plan], Awaitable[Result | None]]
"""Works on a task by a conversation with a model."""
Spoil = Callable[[str, Execution, Plan, str], tuple[Plan, str]]
"""(holder, execution, its plan, its fate) -> (plan, fate): 'work', 'error', 'hang' or 'nothing'."""


class Observer(Protocol):
    """Who wants to know what really ran where."""

    def execution_started(self, holder: str, execution: Execution) -> None: ...

    def execution_ended(self, holder: str, execution: Execution, completed: bool) -> None: ...


class Supervision(Protocol):
    """Who runs tasks as Jobs."""

    def takes(self, task: AgenticTask) -> bool: ...

    async def run(self, execution: Execution) -> Result: ...


class SimExecutor:
    """One process's executor. `plans` gives each task's Plan by key."""

    kind = "stub"

    def __init__(
        self,
        runtime: Runtime,
        plans: dict[str, Plan],
        luck: Stream,
        holder: str,
        observer: Observer,
        spoil: Spoil | None = None,
        serving: Serving | None = None,
        model_of: Callable[[AgenticTask], str] = lambda task: "",
        speed: Callable[[], float] | None = None,
        worker: Worker | None = None,
        jobs: Supervision | None = None,
    ) -> None:
        """`spoil` may change the plan and the fate of an execution; `serving` is what its machine serves, and `model_of`
        says by which model a task is run; `speed()` is what share of full speed each execution has now; `worker` holds the
        conversations, `jobs` runs what it takes."""
        self.runtime = runtime
        self.plans = plans
        self.luck = luck
        self.holder = holder
        self.observer = observer
        self.spoil = spoil
        self.speed = speed
        self.worker = worker
        self.jobs = jobs
        self.serving = serving
        self.model_of = model_of

    async def execute(self, execution: Execution) -> Result | None:
        plan = self.plans[execution.task.key]
        self.observer.execution_started(self.holder, execution)
        completed = False
        try:
            result = await self._work(plan, execution)
            completed = True
            return result
        finally:
            self.observer.execution_ended(self.holder, execution, completed)

    async def _work(self, plan: Plan, execution: Execution) -> Result | None:
        if self.jobs is not None and self.jobs.takes(execution.task):
            return await self.jobs.run(execution)
        fate = self._fate(plan)
        if self.spoil is not None:
            plan, fate = self.spoil(self.holder, execution, plan, fate)
        result = None
        if plan.conversation is not None and self.worker is not None and fate != "hang":
            result = await self.worker(execution, plan)
        elif plan.tokens is not None and self.serving is not None and fate != "hang":
            started = self.runtime.now()
            await self.serving.generate(execution, self.model_of(execution.task), *plan.tokens)
            plan = plan._replace(duration=round((self.runtime.now() - started) * SECOND))
        elif await self._labour(execution, None if fate == "hang" else plan.duration / SECOND):
            raise Cancelled("the execution was cancelled")
        if fate == "error":
            raise RuntimeError("simulated executor error")
        if fate == "nothing":
            return None
        if result is not None:
            return result
        result = stub_result(execution.task, plan.duration / SECOND, plan.duration / SECOND)
        if plan.verdict == "GO":
            return result
        verdict, _, outcome = plan.verdict.partition(":")
        extra = {**result.extra, "outcome": outcome} if outcome else result.extra
        return result.evolve(verdict=verdict, extra=extra)

    async def _labour(self, execution: Execution, seconds: float | None) -> bool:
        """Work for so long, at the speed there is; True if it was cancelled."""
        if self.speed is None or seconds is None:
            return await execution.cancelled.wait(timeout=seconds)
        left = seconds
        while left > 1e-6:
            speed = self.speed()
            spell = min(left / speed, SPELL)
            if await execution.cancelled.wait(timeout=spell):
                return True
            left -= spell * speed
        return False

    def _fate(self, plan: Plan) -> str:
        """Draws only for tasks that can go wrong, so that adding a faulty class does not shift every other draw."""
        if not (plan.errors or plan.hangs or plan.nothing):
            return "work"
        for fate, chance in (("error", plan.errors), ("hang", plan.hangs), ("nothing", plan.nothing)):
            if chance and self.luck.chance(chance):
                return fate
        return "work"
