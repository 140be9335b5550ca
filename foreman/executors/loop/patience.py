"""Retries: how long to wait after which failure, and a model that does so. On Runtime, so that tests do not wait."""

from __future__ import annotations

from collections.abc import Callable

from foreman.executors.loop.model import Model, ModelError, Request, Transient, Turn
from foreman.runtime import Runtime

BACKOFFS = (0.05, 0.25, 1.0)
"""Seconds before the first, second, third retry; the last one repeats."""
JITTER = 0.2
RETRY_AFTER_MAX = 120.0
"""Seconds. An endpoint that wants more than this is down, not busy."""
SPREAD_MAX = 60.0
STEPS = 1000

Draw = Callable[[int], int]
"""A uniform integer in 0 .. n - 1."""
OnRetry = Callable[[int, Transient, float], None]
"""(which retry, why, seconds until then)"""


def pause(failures: int, retries: int, asked: float | None, draw: Draw) -> float | None:
    """Seconds to wait after so many failures in a row; None when it is over. `asked`: what the endpoint wants (Retry-After), or
    more: all who were told the same would come back at the same moment, and all but a few be refused again. The more often
    that has happened, the more there are, so the window they spread over doubles. (Of 200 runs of `model-budgets`, with seeds
    1, 2, 3, so many end refused: without a spread 11, 12, 7; once to twice what was asked 20, 22, 31; like this 0, 1, 1.)"""
    if failures > retries or (asked is not None and asked > RETRY_AFTER_MAX):
        return None
    backoff = BACKOFFS[min(failures, len(BACKOFFS)) - 1]
    drawn = draw(STEPS + 1) / STEPS
    spread = min(2.0 ** (failures - 1), SPREAD_MAX) if asked else 0.0
    return max(backoff * (1 - JITTER + 2 * JITTER * drawn), (asked or 0.0) + spread * drawn)


class Patient:
    """A model that tries again: transients only, `retries` times at most."""

    def __init__(
        self, model: Model, runtime: Runtime, retries: int, draw: Draw, on_retry: OnRetry | None = None
    ) -> None:
        self.model = model
        self.runtime = runtime
        self.retries = retries
        self.draw = draw
        self.on_retry = on_retry

    async def complete(self, request: Request) -> Turn:
        """A turn that came malformed to the very end is given as it is: the loop can tell the model what is wrong with it."""
        failures = 0
        while True:
            try:
                turn = await self.model.complete(request)
            except Transient as error:
                failures += 1
                seconds = pause(failures, self.retries, error.retry_after, self.draw)
                if seconds is None:
                    return _last_word(error, failures - 1)
                if self.on_retry is not None:
                    self.on_retry(failures, error, seconds)
                await self.runtime.sleep(seconds)
            except ModelError as error:
                error.retries = failures
                raise
            else:
                return with_retries(turn, failures)


def _last_word(error: Transient, retries: int) -> Turn:
    if error.turn is not None:
        return with_retries(error.turn, retries)
    error.retries = retries
    raise error


def with_retries(turn: Turn, retries: int) -> Turn:
    return Turn(turn.text, turn.reasoning, turn.calls, turn.finish, turn.usage, retries) if retries else turn
