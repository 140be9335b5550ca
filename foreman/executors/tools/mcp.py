"""Tools of MCP servers, through the official library (`pip install 'llmkube-foreman[mcp]'`).

They appear as `mcp__<server>__<tool>`. A server that cannot be reached costs one line in the log, not the run; an answer that
the server marks as an error is a failed one here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from foreman.api.agent import Mcp, McpServer
from foreman.executors.sandbox.tail import tail
from foreman.executors.tools.protocol import Answer, Tool

log = logging.getLogger("foreman.mcp")

CALL_SECONDS = 30
RESULT_BYTES = 32_768


class McpMissing(Exception):
    """The library is not installed."""


@dataclass
class McpTool:
    """Implements `Tool`."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    client: Any
    remote: str
    seconds: float
    limit: int

    async def call(self, arguments: Mapping[str, Any]) -> Answer:
        try:
            async with asyncio.timeout(self.seconds):
                result = await self.client.call_tool(self.remote, dict(arguments))
        except TimeoutError:
            return Answer(f"{self.name}: no answer within {self.seconds:g} s", failed=True)
        except Exception as error:
            return Answer(f"{self.name}: {type(error).__name__}: {error}"[:500], failed=True)
        text = "\n".join(map(_text, result.content))
        return Answer(tail(text, self.limit), failed=bool(result.is_error))


def _text(part: Any) -> str:
    return part.text if getattr(part, "type", "") == "text" else f"[{getattr(part, 'type', 'something')} left out]"


@asynccontextmanager
async def mcp_tools(config: Mcp | None, headers: Mapping[str, Mapping[str, str]]) -> AsyncIterator[dict[str, Tool]]:
    """The tools of every server that answers, while the context lasts; enter and leave it in the same coroutine.

    `headers`: for each server's name, its HTTP headers with the secrets filled in. Raises McpMissing.
    """
    if config is None or not config.enabled or not config.servers:
        yield {}
        return
    try:
        import mcp  # noqa: F401
    except ImportError:
        raise McpMissing(
            "the agent has MCP servers, and the library mcp is not installed: pip install 'llmkube-foreman[mcp]'"
        ) from None
    seconds, limit = config.call_timeout or CALL_SECONDS, config.max_result_bytes or RESULT_BYTES
    tools: dict[str, Tool] = {}
    async with AsyncExitStack() as stack:
        for server in config.servers:
            try:
                client = await _connected(stack, server, headers.get(server.name, {}), seconds)
                offered = (await client.list_tools()).tools
            except Exception as error:
                log.warning("MCP server %s is left out: %s", server.name, _first(error))
                continue
            tools |= _of(server, offered, client, seconds, limit)
        yield tools


async def _connected(stack: AsyncExitStack, server: McpServer, headers: Mapping[str, str], seconds: float) -> Any:
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    http = await stack.enter_async_context(create_mcp_http_client(headers=dict(headers)))
    transport = streamable_http_client(server.url, http_client=http)
    async with asyncio.timeout(seconds):
        return await stack.enter_async_context(Client(transport))


def _of(server: McpServer, offered: Any, client: Any, seconds: float, limit: int) -> dict[str, Tool]:
    allowed = set(server.allowed_tools)
    if missing := sorted(allowed - {tool.name for tool in offered}):
        log.warning("MCP server %s has no tool %s", server.name, ", ".join(missing))
    chosen = [tool for tool in offered if not allowed or tool.name in allowed]
    named = ((f"mcp__{server.name}__{tool.name}", tool) for tool in chosen)
    return {
        name: McpTool(name, tool.description or tool.name, tool.input_schema, client, tool.name, seconds, limit)
        for name, tool in named
    }


def _first(error: BaseException) -> str:
    """What went wrong, out of the groups that libraries wrap it in; without addresses' secrets, for headers are never in it."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]
