"""/healthz, /readyz and /metrics over HTTP, on the process's own loop: a loop that hangs does not answer either."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from foreman.runtime import ProcessExit

OFF = "0"
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")


class Check(NamedTuple):
    """One thing that must be so for the process to be ready; `detail` says why it is not, or what it is."""

    name: str
    ok: bool
    detail: str = ""


Checks = Callable[[], Iterable[Check]]


class AddressTaken(ProcessExit):
    """What this process should listen on cannot be had."""


class Address(NamedTuple):
    """Where to listen; `host` '' is every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address | None:
    """':8081', '127.0.0.1:8081', '[::1]:8081'; None for '0', which stands for not at all. Raises ValueError."""
    if text == OFF:
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"{text!r} is no address to listen on: write :8081, 127.0.0.1:8081, [::1]:8081, or 0 for none")
    return Address(match["six"] or match["host"] or "", int(match["port"]))


class Endpoints:
    """An async context manager: serves while it is open. `health` and `metrics` may be the same address."""

    def __init__(
        self, health: Address | None, metrics: Address | None, checks: Checks, registry: CollectorRegistry
    ) -> None:
        self.health = health
        self.metrics = metrics
        self.checks = checks
        self.registry = registry
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Endpoints:
        """Raises AddressTaken."""
        routes: dict[Address, list[web.RouteDef]] = {}
        if self.health is not None:
            routes[self.health] = [web.get("/healthz", self._alive), web.get("/readyz", self._ready)]
        if self.metrics is not None:
            routes.setdefault(self.metrics, []).append(web.get("/metrics", self._metrics))
        try:
            for address, defined in routes.items():
                await self._listen(address, defined)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _listen(self, address: Address, routes: list[web.RouteDef]) -> None:
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        try:
            await web.TCPSite(runner, address.host or None, address.port).start()
        except OSError as error:
            raise AddressTaken(f"cannot listen on {address}: {_plain(error)}") from error

    async def _alive(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:
        checks = list(self.checks())
        ready = all(check.ok for check in checks)
        lines = [f"{'+' if c.ok else '-'} {c.name}{': ' + c.detail if c.detail else ''}\n" for c in checks]
        return web.Response(text="".join(lines) + ("ready\n" if ready else "not ready\n"), status=200 if ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _plain(error: OSError) -> str:
    """The system's words without asyncio's around them."""
    taken = "is it another agent or operator of this machine? Give this one another address, or 0 for none"
    said = (error.strerror or str(error)).rpartition("] ")[2] or str(error)
    words = re.sub(r"^error while attempting to bind on address \(.*?\): ", "", said)
    return f"{words}: {taken}" if "in use" in words else words
