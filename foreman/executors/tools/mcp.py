"""Tools of MCP servers, through the official library (`pip install 'llmkube-foreman[mcp]'`).

They appear as `mcp__<server>__<tool>`. A run does not begin without a server that it was given; an answer that the server marks
as an error, a call that takes too long, a server that dies in the middle: each is an answer to the model.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from foreman.executors.sandbox.tail import tail
from foreman.executors.tools.protocol import Answer, Tool
from foreman.executors.tools.servers import Bounds, Server

log = logging.getLogger("foreman.mcp")

NAME_MAX = 64
"""Longer names of functions are refused by endpoints, and the whole request with them."""
END_SECONDS = 10.0


class McpFailed(Exception):
    """One line: which server, what is wrong, how to mend it."""


@dataclass
class McpTool:
    """Implements `Tool`."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    client: Any
    remote: str
    bounds: Bounds

    async def call(self, arguments: Mapping[str, Any]) -> Answer:
        try:
            async with asyncio.timeout(self.bounds.seconds):
                result = await self.client.call_tool(self.remote, dict(arguments))
        except TimeoutError:
            return Answer(f"{self.name}: no answer within {self.bounds.seconds:g} s", failed=True)
        except Exception as error:
            return Answer(f"{self.name}: {_first(error)}"[:500], failed=True)
        text = "\n".join(map(_text, result.content))
        return Answer(tail(text, self.bounds.result), failed=bool(result.is_error))


def _text(part: Any) -> str:
    return part.text if getattr(part, "type", "") == "text" else f"[{getattr(part, 'type', 'something')} left out]"


class McpSession:
    """The servers of one run, kept by a task of their own: the library wants them opened and closed by the same one."""

    def __init__(self, servers: Sequence[Server], bounds: Bounds, folder: str | None = None) -> None:
        self.servers = servers
        self.bounds = bounds
        self.folder = folder
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> dict[str, Tool]:
        """The tools of all servers. Raises McpFailed; then nothing is left running."""
        ready: asyncio.Future[dict[str, Tool]] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(ready))
        try:
            return await asyncio.shield(ready)
        except BaseException:
            await self.stop()
            raise

    async def _keep(self, ready: asyncio.Future[dict[str, Tool]]) -> None:
        try:
            async with mcp_tools(self.servers, self.bounds, self.folder) as tools:
                if not ready.done():
                    ready.set_result(tools)
                await self._over.wait()
        except BaseException as error:
            if not ready.done():
                failed = error if isinstance(error, McpFailed) else McpFailed(f"MCP: {_first(error)}")
                ready.set_exception(failed)
                ready.exception()  # It may be that nobody waits any more.
            elif not isinstance(error, Exception):
                raise
            else:
                log.warning("MCP servers did not end cleanly: %s", _first(error))

    async def stop(self) -> None:
        """End the servers; one that will not is left to its killed transport."""
        self._over.set()
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=END_SECONDS)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


@asynccontextmanager
async def mcp_tools(
    servers: Sequence[Server], bounds: Bounds, folder: str | None = None
) -> AsyncIterator[dict[str, Tool]]:
    """The tools of the servers, while the context lasts; enter and leave it in the same task. Their programs run in
    `folder`. Raises McpFailed."""
    if not servers:
        yield {}
        return
    try:
        import mcp  # noqa: F401
    except ImportError:
        said = "there are MCP servers to use, and the library mcp is not installed: pip install 'llmkube-foreman[mcp]'"
        raise McpFailed(said) from None
    tools: dict[str, Tool] = {}
    async with AsyncExitStack() as stack:
        for server in servers:
            heard = stack.enter_context(_scratch())
            try:
                async with asyncio.timeout(bounds.seconds):
                    client = await stack.enter_async_context(_client(server, heard, folder))
                    offered = (await client.list_tools()).tools
            except TimeoutError:
                raise McpFailed(
                    f"MCP server {server.name}: no answer within {bounds.seconds:g} s{_last(heard)}"
                ) from None
            except Exception as error:
                raise McpFailed(f"MCP server {server.name}: {_first(error)}{_last(heard)}") from None
            tools |= _of(server, offered, client, bounds)
        yield tools


@asynccontextmanager
async def _client(server: Server, said: IO[str], folder: str | None) -> AsyncIterator[Any]:
    from mcp.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    if server.command:
        program = StdioServerParameters(
            command=server.command, args=list(server.args), env=dict(server.env), cwd=folder
        )
        async with Client(stdio_client(program, errlog=said)) as client:  # type: ignore[arg-type]
            yield client
        return
    async with (
        create_mcp_http_client(headers=dict(server.headers)) as http,
        Client(streamable_http_client(server.url, http_client=http)) as client,
    ):
        yield client


def _of(server: Server, offered: Any, client: Any, bounds: Bounds) -> dict[str, Tool]:
    missing = sorted(set(server.tools) - {tool.name for tool in offered})
    if missing and server.strict:
        there = ", ".join(sorted(tool.name for tool in offered))
        raise McpFailed(f"MCP server {server.name} has no tool {missing[0]}; it has: {there}")
    if missing:
        log.warning("MCP server %s has no tool %s", server.name, ", ".join(missing))
    found: dict[str, Tool] = {}
    for tool in offered:
        name = f"mcp__{server.name}__{tool.name}"
        if server.tools and tool.name not in server.tools:
            continue
        if len(name) > NAME_MAX:
            log.warning("the tool %s is left out: its name is longer than %d characters", name, NAME_MAX)
            continue
        found[name] = McpTool(name, tool.description or tool.name, tool.input_schema, client, tool.name, bounds)
    return found


def _scratch() -> IO[str]:
    return tempfile.TemporaryFile(mode="w+", errors="replace")


def _last(said: IO[str]) -> str:
    """The last line that a server's program wrote to its stderr."""
    said.seek(0)
    lines = said.read().strip().splitlines()
    return f" (it said: {lines[-1].strip()[:200]})" if lines else ""


def _first(error: BaseException) -> str:
    """What went wrong, out of the groups that libraries wrap it in; headers, which hold secrets, are in none of them."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]
