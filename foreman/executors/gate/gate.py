"""The Gate protocol, and the Executor made of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from foreman.api import Result
from foreman.executors.gate.request import GateReport, GateRequest, request_of
from foreman.executors.gate.verdict import Seen, verdict_of
from foreman.executors.protocol import Cancelled, Execution
from foreman.runtime import Runtime, Signal


class Gate(Protocol):
    async def run(self, request: GateRequest, cancelled: Signal | None = None) -> GateReport:
        """Check a branch. Every failure is a report. Ends what it started once `cancelled`, or when it is cancelled itself."""
        ...


class GateExecutor:
    """A deterministic agent: it runs no model. Phase Succeeded whatever the verdict; a cancelled run has none."""

    kind = "gate"

    def __init__(
        self, runtime: Runtime, gate: Gate, bite: Callable[[Execution], bool] = lambda execution: False
    ) -> None:
        self.runtime = runtime
        self.gate = gate
        self.bite = bite

    async def execute(self, execution: Execution) -> Result:
        started = self.runtime.now()
        task = execution.task
        request = request_of(task, execution.attempt, bite=self.bite(execution))
        try:
            report = await self.gate.run(request, execution.cancelled)
        except Exception as error:
            report = GateReport(Seen.DISPATCH_ERROR, f"the gate could not be run: {type(error).__name__}: {error}")
        if report.seen is Seen.CANCELLED:
            raise Cancelled(report.summary)
        return result_of(report, request, self.runtime.now() - started)


def result_of(report: GateReport, request: GateRequest, elapsed: float) -> Result:
    verdict, reason = verdict_of(report.seen)
    extra = {"repo": request.repo, "branch": request.branch, **report.extra()}
    return Result(
        kind="gate",
        verdict=str(verdict),
        summary=report.summary,
        extra=extra,
        elapsed_sec=round(max(elapsed, 0.0), 6),
        failure_reason=str(reason) if reason else None,
    )
