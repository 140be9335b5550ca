"""A cluster on this machine: a store that may outlive the process, its garbage collector, and the server in front of it."""

from __future__ import annotations

import time
from pathlib import Path

from sim.apiserver import ApiServer
from sim.cascade import Cascade
from sim.garbage import GarbageCollector
from sim.http.archive import Archive
from sim.http.clock import LoopClock
from sim.http.serve import Server


class Home:
    """Start it with `open`, end it with `close`."""

    def __init__(self, data: Path | None = None) -> None:
        """Raises BadArchive."""
        self.store = ApiServer(lambda: int(time.time()))
        self.archive = Archive(data) if data is not None else None
        self.clock = LoopClock()
        self.server = Server(self.store)
        self.restored = 0
        if self.archive is not None:
            docs = self.server.handlers.docs
            self.restored = self.archive.restore(self.store, docs)
            self.archive.keep(self.store, docs)
        GarbageCollector(self.clock, self.store)
        Cascade(self.clock, self.store)

    async def open(self, port: int = 0) -> None:
        """Raises OSError when the port is in use."""
        await self.server.start(port)

    async def close(self) -> None:
        await self.server.stop()
        self.clock.stop()
        if self.archive is not None:
            self.archive.close()
