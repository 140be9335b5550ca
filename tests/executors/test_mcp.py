"""Tools of MCP servers: real ones of the official library, over HTTP on loopback and as programs."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import asynccontextmanager

import pytest

from foreman.executors.tools.mcp import McpFailed, McpSession, mcp_tools
from foreman.executors.tools.servers import Bounds, Server

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


PROGRAM = """
import os, sys
from mcp.server import MCPServer

made = MCPServer("notes")

@made.tool()
def add(a: int, b: int) -> str:
    return str(a + b)

@made.tool()
def die() -> str:
    os._exit(3)

@made.tool()
def environment() -> str:
    return "\\n".join(f"{name}={value}" for name, value in os.environ.items()) + "\\ncwd=" + os.getcwd()

open(os.environ["PID_FILE"], "w").write(str(os.getpid()))
made.run("stdio")
"""


def program(tmp_path, text=PROGRAM, **more):
    path = tmp_path / "server.py"
    path.write_text(text)
    env = {"PID_FILE": str(tmp_path / "pid")}
    return Server("notes", command=sys.executable, args=(str(path),), env=env, **more)


def session(server, use, seconds=20.0, folder=None):
    """What `use` returns, given the tools; or the failure."""

    async def go():
        made = McpSession([server], Bounds(seconds), folder)
        try:
            return await use(await made.start())
        except McpFailed as failed:
            return failed
        finally:
            await made.stop()

    return asyncio.run(asyncio.wait_for(go(), 60))


def gone(tmp_path):
    """Whether the program has ended."""
    try:
        os.kill(int((tmp_path / "pid").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def test_tools_of_a_server():
    async def go():
        async with server() as url, mcp_tools([Server("notes", url)], Bounds(2, 1000)) as tools:
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


def test_tools_of_a_program(tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "tok-secret")

    async def use(tools):
        told = await tools["mcp__notes__environment"].call({})
        return (await tools["mcp__notes__add"].call({"a": 2, "b": 3})).text, told.text

    total, told = session(program(tmp_path), use, folder=str(tmp_path))
    assert total == "5"
    assert "PID_FILE=" in told
    assert f"cwd={tmp_path}" in told
    assert "tok-secret" not in told
    assert gone(tmp_path)


def test_a_program_that_dies_in_the_middle_is_an_answer(tmp_path):
    async def use(tools):
        return [
            await tools[f"mcp__notes__{name}"].call(given) for name, given in (("die", {}), ("add", {"a": 1, "b": 1}))
        ]

    first, second = session(program(tmp_path), use)
    assert first.failed
    assert second.failed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys; sys.exit('no licence')", "it said: no licence"),
        ("import time; time.sleep(60)", "no answer within 3 s"),
        ("print('this is no JSON-RPC', flush=True); import time; time.sleep(60)", "no answer within 3 s"),
    ],
)
def test_a_program_that_is_no_server(tmp_path, text, said):
    failed = session(program(tmp_path, text), None, seconds=3)
    assert isinstance(failed, McpFailed)
    assert str(failed).startswith("MCP server notes: ")
    assert said in str(failed)


@pytest.mark.parametrize(
    "server", [Server("gone", command="/no/such/program"), Server("gone", "http://127.0.0.1:1/mcp")]
)
def test_a_server_that_is_not_there(server):
    failed = session(server, None)
    assert isinstance(failed, McpFailed)
    assert str(failed).startswith("MCP server gone: ")


def test_only_the_tools_that_were_asked_for(tmp_path):
    async def names(tools):
        return list(tools)

    assert session(program(tmp_path, tools=("add",), strict=True), names) == ["mcp__notes__add"]
    failed = session(program(tmp_path, tools=("subtract",), strict=True), names)
    assert "has no tool subtract; it has: add, die, environment" in str(failed)


def test_an_allowed_tool_that_a_server_lacks_is_said_and_no_header_ever(caplog):
    async def go():
        async with server() as url:
            given = Server("notes", url, {"Authorization": "Bearer tok-secret"}, tools=("add", "subtract"))
            async with mcp_tools([given], Bounds()) as tools:
                assert list(tools) == ["mcp__notes__add"]

    asyncio.run(go())
    assert "MCP server notes has no tool subtract" in caplog.text
    assert "tok-secret" not in caplog.text


def test_a_name_that_endpoints_refuse_is_left_out(tmp_path, caplog):
    text = PROGRAM.replace("def add(", f"def {'x' * 60}(")

    async def names(tools):
        return sorted(tools)

    assert session(program(tmp_path, text), names) == ["mcp__notes__die", "mcp__notes__environment"]
    assert "longer than 64" in caplog.text


def test_none_asked_for():
    async def go():
        async with mcp_tools([], Bounds()) as tools:
            assert tools == {}

    asyncio.run(go())


def test_stopped_while_it_starts_nothing_is_left(tmp_path):
    text = PROGRAM.replace("made.run(", "import time; time.sleep(60); made.run(")

    async def go():
        made = McpSession([program(tmp_path, text)], Bounds(30))
        starting = asyncio.create_task(made.start())
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        starting.cancel()
        await asyncio.wait({starting})

    asyncio.run(asyncio.wait_for(go(), 60))
    assert gone(tmp_path)
