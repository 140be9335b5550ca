"""Models that are served on a simulated machine: runs that use one at the same time share its speed.

A run reads its prompt at one speed and writes its output at another; with n runs at a time each goes at an n-th. That is
processor sharing, followed in steps of at most a second: what joins or leaves is felt at the next step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

from foreman.api import ModelEndpoint
from foreman.executors import Cancelled
from foreman.runtime import Signal
from sim.host import SECOND

PREFILL = 10
"""How many times faster a prompt is read than output is written, where the endpoint does not say."""
STEP = SECOND


class Asker(Protocol):
    """Who waits for a model's answer, until it is `cancelled`."""

    @property
    def cancelled(self) -> Signal: ...


class Serving:
    """The endpoints of one process's machine. `speed`: tokens/s of a model that has no endpoint of its own here."""

    def __init__(self, endpoints: Iterable[ModelEndpoint], speed: int) -> None:
        self.endpoints = {each.model: each for each in endpoints}
        self.speed = speed
        self.runs: defaultdict[str, int] = defaultdict(int)

    def alone(self, model: str, prompt: int, output: int) -> int:
        """Microseconds a run of so many tokens takes when it is the only one."""
        endpoint = self.endpoints.get(model)
        writing = (endpoint.tokens_per_second if endpoint is not None else 0) or self.speed or 1
        reading = (endpoint.prefill_tokens_per_second if endpoint is not None else 0) or PREFILL * writing
        return prompt * SECOND // reading + output * SECOND // writing

    async def generate(self, asker: Asker, model: str, prompt: int, output: int) -> None:
        """Take the time it takes. Raises Cancelled."""
        left = self.alone(model, prompt, output)
        self.runs[model] += 1
        try:
            while left > 0:
                share = self.runs[model]
                step = min(left * share, STEP)
                if await asker.cancelled.wait(timeout=step / SECOND):
                    raise Cancelled("the execution was cancelled")
                left -= max(step // share, 1)
        finally:
            self.runs[model] -= 1
