"""Watches that tell a trace what they deliver: a class of its own, so that an untraced run has nothing to ask."""

from __future__ import annotations

from foreman.cluster import Event
from sim.cluster import Watch
from sim.trace import Trace


def told_to(trace: Trace) -> type[Watch]:
    """The class of watches that do."""

    class Traced(Watch):
        def _deliver(self, event: Event) -> None:
            if not (self._ended or self._doomed or self.link.cut_in):
                trace.delivered(self.cluster.actor, event)
            super()._deliver(event)

    return Traced
