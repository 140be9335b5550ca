"""Tools of MCP servers: a real one of the official library, over HTTP on loopback."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from foreman.api.agent import Mcp
from foreman.executors.tools.mcp import mcp_tools

pytest.importorskip("mcp", reason="the optional library mcp is not installed")


@asynccontextmanager
async def server():
    import uvicorn
    from mcp.server import MCPServer

    made = MCPServer("notes")

    @made.tool()
    def add(a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    @made.tool()
    def fail() -> str:
        raise ValueError("no luck")

    @made.tool()
    def flood() -> str:
        return "x" * 100_000 + "END"

    @made.tool()
    async def hang() -> str:
        await asyncio.sleep(60)
        return ""

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    app = made.streamable_http_app()
    running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    task = asyncio.create_task(running.serve(sockets=[listening]))
    while not running.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    finally:
        running.should_exit = True
        running.force_exit = True
        await task


def config(*servers, **more):
    return Mcp.model_validate({"enabled": True, "servers": list(servers), **more})


def of(url, name="notes", **more):
    return {"name": name, "transport": "http", "url": url, **more}


def test_tools_of_a_server():
    async def go():
        async with server() as url, mcp_tools(config(of(url), callTimeout=2, maxResultBytes=1000), {}) as tools:
            assert sorted(tools) == [f"mcp__notes__{name}" for name in ("add", "fail", "flood", "hang")]
            add = tools["mcp__notes__add"]
            assert add.description == "Add two numbers."
            assert set(add.parameters["properties"]) == {"a", "b"}
            assert (await add.call({"a": 2, "b": 3})).text == "5"
            assert (await add.call({"a": "x"})).failed
            assert (await tools["mcp__notes__fail"].call({})).failed
            flood = await tools["mcp__notes__flood"].call({})
            assert flood.text.endswith("END")
            assert len(flood.text) < 1100
            late = await tools["mcp__notes__hang"].call({})
            assert late.failed
            assert "no answer within 2 s" in late.text

    asyncio.run(go())


def test_allowed_tools_and_servers_that_are_not_there(caplog):
    async def go():
        async with server() as url:
            given = config(
                of("http://127.0.0.1:1/mcp", "gone"), of(url, allowedTools=["add", "subtract"]), callTimeout=5
            )
            async with mcp_tools(given, {"notes": {"Authorization": "Bearer tok-secret"}}) as tools:
                assert list(tools) == ["mcp__notes__add"]

    asyncio.run(go())
    said = caplog.text
    assert "MCP server gone is left out" in said
    assert "MCP server notes has no tool subtract" in said
    assert "tok-secret" not in said


def test_none_asked_for():
    async def go():
        for given in (None, Mcp(), config()):
            async with mcp_tools(given, {}) as tools:
                assert tools == {}

    asyncio.run(go())
