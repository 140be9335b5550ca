"""How long has *this* operator not seen a node's heartbeat change?

Measured on the observer's own clock, so clocks that disagree do not matter (hazard L4), and only while the observer could
see: when its own view of the nodes breaks, every node starts with a fresh grace, so that a partition on the operator's side
does not look like the death of the fleet (Kubernetes #28832).
"""

from __future__ import annotations

from foreman.api import HEARTBEAT_TIMEOUT_SECONDS, FleetNode, FleetNodePhase
from foreman.cache import Cache
from foreman.runtime import Runtime


class Liveness:
    """When each node's heartbeat was last seen to change; a name never seen counts from the first time it is asked for."""

    timeout: float = HEARTBEAT_TIMEOUT_SECONDS

    def __init__(self, runtime: Runtime, nodes: Cache[FleetNode]) -> None:
        self.runtime = runtime
        self.nodes = nodes
        self._seen: dict[str, float] = {}
        self._heard: set[str] = set()
        nodes.listen(self._changed)
        nodes.on_recovery.append(self.forgive)

    def silence(self, name: str) -> float:
        """Seconds since a change was seen."""
        now = self.runtime.now()
        return now - self._seen.setdefault(name, now)

    def stale(self, name: str) -> bool:
        """Silent for longer than the timeout."""
        return self.silence(name) > self.timeout

    def fresh_until(self, name: str) -> float:
        """Until when it cannot become stale, on this operator's clock."""
        return self.runtime.now() + self.timeout - self.silence(name)

    def saw(self, name: str) -> None:
        """The heartbeat has changed just now."""
        self._seen[name] = self.runtime.now()
        self._heard.add(name)

    def heard(self, name: str) -> bool:
        """Whether a change was really seen since this operator started or was last blind: the proof of life."""
        return name in self._heard

    def forgive(self) -> None:
        """This operator was blind: nobody's silence so far counts."""
        now = self.runtime.now()
        self._heard.clear()
        for name in self._seen:
            self._seen[name] = now

    def _changed(self, name: str, old: FleetNode | None, new: FleetNode | None) -> None:
        if new is not None and old is not None and old.status.last_heartbeat_time != new.status.last_heartbeat_time:
            self.saw(name)
        elif old is None or new is None:
            # Come or gone: silence counts from here, but existing is no proof of life.
            self._seen[name] = self.runtime.now()
        if new is not None and _lost(new) and not _lost(old):
            # Another operator may have been listening for longer: only a heartbeat after its verdict proves it wrong. Two that
            # overrule each other at once would burn a task's strikes within milliseconds.
            self._heard.discard(name)


def _lost(node: FleetNode | None) -> bool:
    return node is not None and node.status.phase is FleetNodePhase.NOT_READY
