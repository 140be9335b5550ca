"""A scripted OpenAI-compatible server on loopback, able to behave as badly as servers have been seen to.

A script is a list of steps, one for each request in order; the last one repeats. What was asked is kept in `asked`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PARSER_ERROR = (
    "[json.exception.parse_error.101] parse error at line 1, column 47: syntax error while parsing value - "
    "invalid string: missing closing quote; last read: '\"path"
)
KEY = "sk-very-secret-0123456789"
Step = Callable[["ScriptedEndpoint", web.Request, dict[str, Any]], Any]


def call(name: str, arguments: Any, identity: str = "") -> dict[str, Any]:
    """A tool call; arguments that are text are sent as they are, broken or not."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": text}}


@dataclass
class Say:
    """A good answer, streamed or not as asked. `cut`: the stream ends after so many chunks, cleanly; `break_off`: with the
    connection torn; `hold`: the connection stays open after the finish reason, without usage or [DONE]."""

    text: str = ""
    calls: Sequence[dict[str, Any]] = ()
    finish: str | None = None
    reasoning: str = ""
    usage: dict[str, int] | None = field(default_factory=lambda: {"prompt_tokens": 100, "completion_tokens": 10})
    cut: int | None = None
    break_off: int | None = None
    hold: bool = False
    done: bool = True
    pieces: int = 3
    ignore_stream: bool = False

    async def __call__(
        self, server: ScriptedEndpoint, request: web.Request, body: dict[str, Any]
    ) -> web.StreamResponse:
        finish = self.finish or ("tool_calls" if self.calls else "stop")
        if not body.get("stream") or self.ignore_stream:
            return await self._whole(request, finish)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for place, chunk in enumerate(self._chunks(finish)):
            if place == self.cut:
                return response
            if place == self.break_off:
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        if self.hold:
            await server.ending.wait()
        elif self.done:
            await response.write(b"data: [DONE]\n\n")
        return response

    async def _whole(self, request: web.Request, finish: str) -> web.StreamResponse:
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.calls:
            message["tool_calls"] = [{**each, "id": each["id"] or f"c{i}"} for i, each in enumerate(self.calls)]
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        answer = {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": self.usage}
        text = json.dumps(answer)
        if self.cut is None and self.break_off is None:
            return web.Response(text=text, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if self.break_off is not None:
            response.content_length = len(text)
        await response.prepare(request)
        await response.write(text[: len(text) // 2].encode())
        if self.break_off is not None:
            assert request.transport is not None
            request.transport.abort()
        return response

    def _chunks(self, finish: str) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning_content": part} for part in _parts(self.reasoning, self.pieces)]
        deltas += [{"content": part} for part in _parts(self.text, self.pieces)]
        for index, each in enumerate(self.calls):
            function = each["function"]
            first = {"index": index, "id": each["id"] or f"c{index}", "type": "function"}
            deltas.append({"tool_calls": [{**first, "function": {"name": function["name"], "arguments": ""}}]})
            for part in _parts(function["arguments"], self.pieces):
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": each}]} for each in deltas]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if self.usage is not None and not self.hold:
            chunks.append({"choices": [], "usage": self.usage})
        return chunks


def _parts(text: str, pieces: int) -> list[str]:
    if not text:
        return []
    length = max(1, len(text) // pieces)
    return [text[i : i + length] for i in range(0, len(text), length)]


@dataclass
class Status:
    """An HTTP error with a body: text as it is, anything else as JSON."""

    code: int
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(
        self, server: ScriptedEndpoint, request: web.Request, body: dict[str, Any]
    ) -> web.StreamResponse:
        if isinstance(self.body, str):
            return web.Response(status=self.code, text=self.body, headers=self.headers)
        return web.json_response(self.body, status=self.code, headers=self.headers)


def error(code: int, message: str, **headers: str) -> Status:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Status(code, {"error": {"message": message, "code": code, "type": "server_error"}}, named)


@dataclass
class InStream:
    """HTTP 200, and an error where a chunk should be."""

    message: str

    async def __call__(
        self, server: ScriptedEndpoint, request: web.Request, body: dict[str, Any]
    ) -> web.StreamResponse:
        if not body.get("stream"):
            return web.json_response({"error": {"message": self.message}})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"data: {json.dumps({'error': {'message': self.message}})}\n\n".encode())
        return response


@dataclass
class Raw:
    """Any body of any type, with status 200."""

    body: bytes
    content_type: str

    async def __call__(
        self, server: ScriptedEndpoint, request: web.Request, body: dict[str, Any]
    ) -> web.StreamResponse:
        return web.Response(body=self.body, content_type=self.content_type)


class SlowHeaders:
    """Takes the request and says nothing until the server ends."""

    async def __call__(
        self, server: ScriptedEndpoint, request: web.Request, body: dict[str, Any]
    ) -> web.StreamResponse:
        await server.ending.wait()
        return web.Response(status=503)


class Silence:
    """Begins an answer, streamed or not, and then says nothing more until the server ends."""

    async def __call__(
        self, server: ScriptedEndpoint, request: web.Request, body: dict[str, Any]
    ) -> web.StreamResponse:
        kind = "text/event-stream" if body.get("stream") else "application/json"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        await response.write(
            b'data: {"choices":[{"index":0,"delta":{"content":"He"}}]}\n\n' if body.get("stream") else b"{"
        )
        await server.ending.wait()
        return response


class Hangup:
    """Closes the connection instead of answering."""

    async def __call__(
        self, server: ScriptedEndpoint, request: web.Request, body: dict[str, Any]
    ) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


class ScriptedEndpoint:
    def __init__(self, script: Sequence[Step], key: str = "") -> None:
        """`key`: what must be in the Authorization header; '' for anything."""
        self.script = list(script)
        self.key = key
        self.asked: list[dict[str, Any]] = []
        self.authorizations: list[str] = []
        self.ending = asyncio.Event()
        self.base_url = ""

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.authorizations.append(request.headers.get("Authorization", ""))
        if self.key and self.authorizations[-1] != f"Bearer {self.key}":
            return web.json_response(
                {"error": {"message": f"Incorrect API key provided: {self.authorizations[-1]}"}}, status=401
            )
        step = self.script[min(len(self.asked), len(self.script) - 1)]
        self.asked.append(body)
        answer: web.StreamResponse = await step(self, request, body)
        return answer


@asynccontextmanager
async def serving(*script: Step, key: str = "") -> AsyncIterator[ScriptedEndpoint]:
    """The server on a free port of loopback, for as long as the context lasts."""
    server = ScriptedEndpoint(script, key)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", server._completions)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        server.ending.set()
        await runner.cleanup()
