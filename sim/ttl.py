"""Finished tasks and their records go after a while, as a TTL controller would have it."""

from __future__ import annotations

from collections import deque

from foreman.api import AgenticTask
from sim.apiserver import ApiServer
from sim.clock import Clock
from sim.garbage import JANITOR
from sim.host import SECOND


class TimeToLive:
    """`ttl` in microseconds from a task's end to its deletion; 0 keeps it."""

    def __init__(self, env: Clock, server: ApiServer, ttl: int) -> None:
        self.env = env
        self.server = server
        self.ttl = ttl
        self._expiring: deque[tuple[int, AgenticTask]] = deque()

    def settled(self, task: AgenticTask) -> None:
        if self.ttl:
            if not self._expiring:
                self.env.at(self.ttl, self._delete_expired)
            self._expiring.append((self.env.now + self.ttl, task))

    def _delete_expired(self, _: None) -> None:
        while self._expiring and self._expiring[0][0] <= self.env.now:
            _at, task = self._expiring.popleft()
            self._delete("ConfigMap", f"{task.metadata.namespace}/foreman-audit-{task.metadata.name}")
            self._delete("AgenticTask", task.key)
        if self._expiring:
            self.env.at(max(self._expiring[0][0] - self.env.now, SECOND), self._delete_expired)

    def _delete(self, kind: str, key: str) -> None:
        obj = self.server.tables[kind].get(key)
        if obj is not None:
            self.server.delete(JANITOR, obj)
