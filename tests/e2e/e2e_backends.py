"""API servers that can be taken down and brought back, with their state, at the same address."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kubeconfigs import kubeconfig
from real_server import (
    LEASE,
    MISSING,
    TOKEN,
    Missing,
    assets,
    free_port,
    install_crds,
    our_crds,
    server_command,
    start,
    start_etcd,
    wait_until_ready,
)

from sim.apiserver import ApiServer
from sim.http.serve import Server


class Simulated:
    """The simulator's API server over HTTP. The store outlives the server, as etcd does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._store = ApiServer(lambda: int(time.time()))
        self._server: Server | None = None

    async def up(self) -> None:
        self._server = Server(self._store)
        await self._server.start(self.port)

    async def down(self) -> None:
        if self._server is not None:
            await self._server.stop()

    async def close(self) -> None:
        await self.down()

    def kubeconfig(self, port: int) -> str:
        """A kubeconfig for this server as it is reached at another port of this machine."""
        return kubeconfig(self.folder, f"http://127.0.0.1:{port}")


class Real:
    """A real API server of its own; killed, and started again over the same etcd."""

    def __init__(self, folder: Path) -> None:
        found = assets()
        if found is None:
            raise Missing(MISSING)
        self.folder = folder
        self.port = free_port()
        self._stack = ExitStack()
        self._scratch = Path(tempfile.mkdtemp(prefix="foreman-e2e-"))
        self._stack.callback(shutil.rmtree, self._scratch, ignore_errors=True)
        etcd = start_etcd(found[0] / "etcd", self._scratch, self._stack)
        self._command = server_command(found[0] / found[1], etcd, self.port, self._scratch)
        self._own_leases = found[1] == "kube-apiserver"
        self._process: Any = None

    async def up(self) -> None:
        log = self._scratch / "server.log"
        first = self._process is None
        self._process = start(self._command, log, self._stack)
        server, authority = f"https://127.0.0.1:{self.port}", self._scratch / "certs" / "apiserver.crt"
        await asyncio.to_thread(wait_until_ready, server, authority, log)
        if first:
            crds = our_crds() if self._own_leases else [*our_crds(), LEASE]
            await asyncio.to_thread(install_crds, server, authority, crds)

    async def down(self) -> None:
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    async def close(self) -> None:
        await asyncio.to_thread(self._stack.close)

    def kubeconfig(self, port: int) -> str:
        trusted = {"certificate-authority": str(self._scratch / "certs" / "apiserver.crt")}
        return kubeconfig(self.folder, f"https://127.0.0.1:{port}", {"token": TOKEN}, **trusted)
