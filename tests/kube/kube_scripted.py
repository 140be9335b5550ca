"""A server on loopback that answers what it is told to: what a real one does only on a bad day."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubeconfigs import kubeconfig

from foreman.kube.cluster import KubeCluster
from foreman.kube.connection import Connection

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TASKS = "/apis/foreman.llmkube.dev/v1alpha1/namespaces/default/agentictasks"


def task_json(name: str, version: int = 1, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": str(version)}
    spec = {"kind": "freeform", "payload": {}}
    return {
        "apiVersion": "foreman.llmkube.dev/v1alpha1",
        "kind": "AgenticTask",
        "metadata": meta,
        "spec": spec,
        **more,
    }


def status(code: int, message: str = "no", reason: str = "", **headers: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}
    return web.json_response({**body, "code": code}, status=code, headers=headers)


def listing(*items: dict[str, Any], version: int = 9, token: str = "") -> web.Response:
    meta = {"resourceVersion": str(version)} | ({"continue": token} if token else {})
    return web.json_response({"kind": "AgenticTaskList", "metadata": meta, "items": list(items)})


class Script:
    """Answers request after request from `answers`; the last one is repeated. Remembers what was asked."""

    def __init__(self, *answers: web.Response | Handler) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.headers: list[dict[str, str]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        self.asked.append((request.method, dict(request.query), text))
        self.headers.append(dict(request.headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, web.Response):
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        return await answer(request)


def stream(*lines: bytes, hang: bool = False, cut: bool = False) -> Handler:
    """A watch that sends these lines, and then ends, hangs, or breaks off."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        if hang:
            await asyncio.Event().wait()
        if cut:
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0)
        return response

    return answer


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[str]:
    """The URL under which `handler` answers everything."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app, host="127.0.0.1", port=port or None, scheme="https" if tls else "http")
    await server.start_server(ssl=tls, shutdown_timeout=0.1)
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


@asynccontextmanager
async def scripted(folder: Path, *answers: web.Response | Handler) -> AsyncIterator[tuple[KubeCluster, Script]]:
    """A client of a server with this script."""
    script = Script(*answers)
    async with serving(script) as url:
        connection = await Connection.open(kubeconfig(folder, url))
        try:
            yield KubeCluster(connection), script
        finally:
            await connection.close()
