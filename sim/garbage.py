"""The garbage collector: what is owned by nobody that lives goes, a moment later.

An owner in another namespace counts as absent, and so does a namesake with another uid. An object with several owners
stays until the last of them is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sim.apiserver import ApiServer
from sim.host import SECOND
from sim.selection import Address, Change

JANITOR = "janitor"
DELAY = 1 * SECOND


class Timer(Protocol):
    """All that it needs of a clock."""

    def at(self, delay: int, call: Callable[[Any], None], argument: Any = None) -> None: ...


class GarbageCollector:
    """Looks at the dependents of what is deleted, and at the owners of what is created."""

    def __init__(self, env: Timer, server: ApiServer) -> None:
        self.env = env
        self.server = server
        server.census.append(self.committed)

    def committed(self, change: Change) -> None:
        if change.new is None:
            self._look_at(self.server.dependents(change.old.metadata.uid))
        elif change.old is None and change.new.metadata.owner_references:
            self._look_at([(change.kind, change.key)])

    def _look_at(self, suspects: Sequence[Address]) -> None:
        if suspects:
            self.env.at(DELAY, self._collect, suspects)

    def _collect(self, suspects: Sequence[Address]) -> None:
        for kind, key in suspects:
            obj = self.server.tables[kind].get(key)
            if obj is not None and self.server.orphaned(obj):
                self.server.delete(JANITOR, obj)
