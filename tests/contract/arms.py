"""Arms: the clusters that the one contract is tested on.

An arm gives `cluster` (a foreman.cluster.Cluster), `run(coro)` (the coroutine's result), `pause(seconds)` (a coroutine that
lets time pass), `compact()` (the server forgets its history), a `namespace` nobody else writes to, and says whether a
garbage collector `collects`. It is a context manager. The contract uses nothing else.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Self

from lab import Lab


class SimArm:
    """SimCluster over ApiServer, in virtual time."""

    collects = True
    namespace = "contract"

    def __init__(self) -> None:
        self._lab = Lab()
        self.cluster = self._lab.client(self._lab.process())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return self._lab.run(coro)

    async def pause(self, seconds: float) -> None:
        await self._lab.process().sleep(seconds)

    def compact(self) -> None:
        self._lab.server.compact()


ARMS = (SimArm,)
