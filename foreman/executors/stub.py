"""StubExecutor: sleeps, then says GO. For trying out a fleet without a model."""

from __future__ import annotations

from foreman.api import AgenticTask, Result
from foreman.executors.protocol import Cancelled, Execution
from foreman.runtime import Runtime

DEFAULT_SECONDS = 10.0


class StubExecutor:
    """Sleeps `seconds` (default, and whenever it is not positive: 10 s)."""

    kind = "stub"

    def __init__(self, runtime: Runtime, seconds: float = DEFAULT_SECONDS) -> None:
        self.runtime = runtime
        self.seconds = seconds if seconds > 0 else DEFAULT_SECONDS

    async def execute(self, execution: Execution) -> Result:
        started = self.runtime.now()
        if await execution.cancelled.wait(timeout=self.seconds):
            raise Cancelled(f"stub executor was cancelled after {self.runtime.now() - started:.3f}s")
        return stub_result(execution.task, self.seconds, self.runtime.now() - started)


def stub_result(task: AgenticTask, slept: float, elapsed: float) -> Result:
    """The stub's envelope; `slept` and `elapsed` in seconds."""
    extra = {"taskKind": str(task.spec.kind), "agentName": task.spec.payload.agent, "modelRef": task.spec.model_ref}
    return _BLANK.evolve(
        summary=f"stub executor slept {go_duration(slept)} on task {task.key}",
        extra=extra,
        elapsed_sec=round(elapsed, 6),
    )


def go_duration(seconds: float) -> str:
    """Seconds rounded to 1 ms in the notation of Go's time.Duration: '10s', '1.5s', '250ms', '1m30s', '0s'."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if not minutes:
        return text
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"


_BLANK = Result(kind="stub", verdict="GO")
