"""The server: aiohttp in front of the handlers. One event loop, no threads; the store is never awaited on."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from aiohttp import web

from sim.apiserver import ApiServer
from sim.http.access import REVIEWS, Access
from sim.http.documents import encode
from sim.http.faults import Door, Dropped
from sim.http.handlers import Answer, Handlers, unhandled
from sim.http.reading import any_document
from sim.http.request import Request
from sim.http.status import Refusal
from sim.http.views import Form, form_of, rendered
from sim.http.watches import BOOKMARK_SECONDS, BUFFER, Watch, Watches, plan
from sim.http.writes import Admit

log = logging.getLogger("sim.http")
BODY_MAX = 3 * 1024 * 1024
PART = 500
"""Items of a list that are written in one go."""
_LONG = ("items", "rows")
_BROWSERS = ("curl", "Wget", "Mozilla/5.0")


class Server:
    """An API server over `store` on loopback. `admit` and `access` stand for admission control and authorization.

    `watch_buffer`: events a watcher may be behind; `tls`: serve https with this context.
    """

    def __init__(
        self,
        store: ApiServer,
        *,
        access: Access | None = None,
        admit: Admit | None = None,
        watch_buffer: int = BUFFER,
        bookmark_seconds: float = BOOKMARK_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if store.version == 0:
            store.version = store.compacted = (
                1  # To clients 0 means "whatever you have": no list may be of that version.
            )
        self.store = store
        self.access = access or Access()
        self.door = Door()
        self.handlers = Handlers(store, admit)
        self.watches = Watches(store, self.handlers.docs, self.handlers.lists, watch_buffer, bookmark_seconds)
        self.requests = 0
        self._tls = tls
        self._runner: web.ServerRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen; port 0 takes a free one. Raises OSError when it is in use."""
        served = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(served, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=self._tls, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.handlers.address = f"{host}:{self.port}"

    async def stop(self) -> None:
        """End all watches, then everything else."""
        self.watches.end_all()
        if self._runner is not None:
            await asyncio.sleep(0)
            await self._runner.cleanup()

    def end_watches(self) -> None:
        self.watches.end_all()

    # requests

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        self.requests += 1
        request = Request(incoming.method, incoming.path, dict(incoming.query), incoming.headers)
        try:
            return await self._let_through(incoming, request)
        except Refusal as refusal:
            return self._refused(request, refusal)
        except Dropped:
            _cut(incoming)
            raise asyncio.CancelledError from None
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            log.exception("%s %s", incoming.method, incoming.path)
            return self._refused(request, unhandled(error))

    async def _let_through(self, incoming: web.BaseRequest, request: Request) -> web.StreamResponse:
        request.user = self.access.user_of(incoming.headers)
        self.access.check(request)
        fate = await self.door.let_in(request)
        if request.verb == "watch" and request.target is not None:
            if request.target.served is not None:
                return await self._watch(incoming, request, self._planned(request))
            if (lines := self.handlers.still(request)) is not None:
                return await self._stream(incoming, request, lines)
        request.body = await _read(incoming)
        if request.method == "POST" and request.path == f"/apis/{REVIEWS[0]}/v1/{REVIEWS[1]}":
            return await self._send(incoming, request, self._review(request))
        answer = self.handlers.answer(request)
        if fate == "lose-reply":
            raise Dropped
        return await self._send(incoming, request, answer)

    def _review(self, request: Request) -> Answer:
        return Answer(201, self.access.review(request.user, any_document(request)))

    async def _send(self, incoming: web.BaseRequest, request: Request, answer: Answer) -> web.StreamResponse:
        if _is_long(answer) and not _pretty(request):
            return await self._send_in_parts(incoming, request, answer)
        if isinstance(answer.body, str):
            body, content_type = answer.body.encode(), answer.content_type
        else:
            body, content_type = rendered(answer.body, answer.form, _pretty(request))
        headers = _headers(request, answer.content_type or content_type)
        if answer.content_type.startswith("application/json;"):
            headers.append(("Vary", "Accept"))
        return web.Response(status=answer.code, body=body, headers=headers)

    async def _send_in_parts(self, incoming: web.BaseRequest, request: Request, answer: Answer) -> web.StreamResponse:
        """A long list, with other requests in between; the list is of the moment it was taken all the same."""
        response = web.StreamResponse(status=answer.code, headers=_headers(request, "application/json"))
        response.enable_chunked_encoding()
        await response.prepare(incoming)
        for part in in_parts(answer.body):
            await response.write(part)
            await asyncio.sleep(0)
        return response

    def _refused(self, request: Request, refusal: Refusal) -> web.Response:
        try:
            form = form_of(request.headers.get("Accept", ""))
        except Refusal:
            form = Form()
        body, content_type = rendered(refusal.body(), form, _pretty(request))
        headers = _headers(request, content_type)
        if refusal.retry_after:
            headers.append(("Retry-After", str(refusal.retry_after)))
        if refusal.code == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        return web.Response(status=refusal.code, body=body, headers=headers)

    def _planned(self, request: Request) -> Watch:
        target = request.target
        assert target is not None
        assert target.served is not None
        form = form_of(request.headers.get("Accept", ""), watching=True)
        planned = plan(target.served, target.namespace, request.query)
        self.handlers.tables(request)
        return self.watches.start(planned, form, lambda: self.handlers.tables(request))

    async def _watch(self, incoming: web.BaseRequest, request: Request, watch: Watch) -> web.StreamResponse:
        try:
            return await self._stream(incoming, request, watch.lines())
        finally:
            self.watches.forget(watch)

    async def _stream(
        self, incoming: web.BaseRequest, request: Request, lines: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=_headers(request, "application/json"))
        response.enable_chunked_encoding()
        try:
            await response.prepare(incoming)
            async for line in lines:
                await response.write(line)
        except ConnectionError:
            pass
        return response


async def _read(incoming: web.BaseRequest) -> bytes:
    """The body. Raises Refusal when it is too large."""
    refusal = Refusal(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_MAX}")
    if (incoming.content_length or 0) > BODY_MAX:
        raise refusal
    body = bytearray()
    async for chunk in incoming.content.iter_any():
        body += chunk
        if len(body) > BODY_MAX:
            raise refusal
    return bytes(body)


def _headers(request: Request, content_type: str) -> list[tuple[str, str]]:
    warnings = [("Warning", f'299 - "{_escaped(each)}"') for each in request.warnings]
    return [("Content-Type", content_type), ("Cache-Control", "no-cache, private"), *warnings]


def _is_long(answer: Answer) -> bool:
    body = answer.body
    return isinstance(body, dict) and not answer.form.yaml and any(len(body.get(name) or ()) > PART for name in _LONG)


def in_parts(body: Mapping[str, Any]) -> Iterator[bytes]:
    """The JSON of a list or a table, so many items at a time."""
    (name,) = (name for name in _LONG if name in body)
    items = body[name]
    head, tail = encode({**body, name: []}).split(f'"{name}":[]'.encode(), 1)
    yield head + f'"{name}":['.encode()
    for start in range(0, len(items), PART):
        yield (b"," if start else b"") + encode(items[start : start + PART])[1:-1]
    yield b"]" + tail + b"\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _pretty(request: Request) -> bool:
    asked = request.query.get("pretty")
    if asked is not None:
        return asked not in ("false", "0")
    return request.headers.get("User-Agent", "").startswith(_BROWSERS)


def _cut(incoming: web.BaseRequest) -> None:
    """End the connection without an answer."""
    if incoming.transport is not None:
        incoming.transport.abort()
