"""HTTP to one API server: requests, streams, credentials that rotate.

Nothing here knows what an object is. What went wrong on the way becomes Unavailable (the outcome is unknown); an answer of
any status is returned.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from pydantic_core import from_json

from foreman import __version__
from foreman.cluster import Unavailable
from foreman.kube.credentials import Credentials, NoCluster, fingerprint
from foreman.kube.logs import one_line

REQUEST_SECONDS = 10.0
CONNECT_SECONDS = 5.0
RELOAD_SECONDS = 60.0
MERGE_PATCH = "application/merge-patch+json"
_BROKEN = (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError, ssl.SSLError)


class Reply(NamedTuple):
    """An answer: HTTP status, seconds the server asks to wait (0 when it does not), and the decoded JSON."""

    status: int
    retry_after: float
    data: Any


class _Ask(NamedTuple):
    """A request as it goes out."""

    method: str
    path: str
    query: Mapping[str, str] | None
    body: Any
    content_type: str
    limit: aiohttp.ClientTimeout


class Connection:
    """Make one with `open`, end it with `close`. Unauthenticated answers (401) make it read its credentials anew, once."""

    def __init__(self, credentials: Credentials, configuration: Configuration) -> None:
        self.credentials = credentials
        self._client = _client(configuration)
        self._print = fingerprint(configuration)
        self._retired: list[ApiClient] = []
        self._loaded = time.monotonic()
        self._loading = asyncio.Lock()

    @classmethod
    async def open(cls, kubeconfig: str | None = None, context: str | None = None) -> Connection:
        """Raises NoCluster. Nothing is sent yet: whether the server is there shows with the first request."""
        credentials = Credentials(kubeconfig, context)
        configuration = await credentials.load()
        try:
            return cls(credentials, configuration)
        except (OSError, ValueError) as error:
            raise NoCluster(f"cannot use the certificates of {credentials.path or 'this pod'}: {error}") from error

    @property
    def server(self) -> str:
        """The server's address, e.g. 'https://10.0.0.1:6443'."""
        return str(self._client.configuration.host)

    async def close(self) -> None:
        for client in (self._client, *self._retired):
            await client.close()

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Reply:
        """One request and its whole answer, within REQUEST_SECONDS. Raises Unavailable."""
        limit = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
        try:
            response = await self._send(_Ask(method, path, query, body, content_type, limit))
            text = await response.read()
        except _BROKEN as error:
            raise Unavailable(f"{method} {path}: {describe(error)}") from error
        data = _decoded(text)
        if response.status < 300 and not isinstance(data, dict):
            raise Unavailable(f"{method} {path}: what answered is no API server: {_shown(text)}")
        return Reply(response.status, _retry_after(response), data)

    async def lines(self, path: str, query: Mapping[str, str], silence: float) -> AsyncIterator[Reply]:
        """A stream of JSON lines, each a Reply of status 200; another status comes as the only one.

        Ends when the server ends it, or has said nothing for `silence` seconds. Raises Unavailable when it breaks.
        """
        limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                response = await self._send(_Ask("GET", path, query, None, "application/json", limit))
            async with response:
                if response.status != 200:
                    yield Reply(response.status, _retry_after(response), _decoded(await response.read()))
                    return
                async for line in _split(response):
                    yield Reply(200, 0.0, from_json(line))
        except aiohttp.SocketTimeoutError:
            return
        except _BROKEN as error:
            raise Unavailable(f"watch {path}: {describe(error)}") from error
        except ValueError as error:
            raise Unavailable(f"watch {path}: the server sent no JSON: {error}") from error

    async def text(self, path: str, silence: float) -> AsyncIterator[tuple[int, bytes]]:
        """An answer that is no JSON, piece by piece, each with its HTTP status. Raises Unavailable."""
        limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        try:
            async with await self._send(_Ask("GET", path, None, None, "application/json", limit)) as response:
                async for chunk in response.content.iter_any():
                    yield response.status, chunk
        except _BROKEN as error:
            raise Unavailable(f"GET {path}: {describe(error)}") from error

    async def _send(self, ask: _Ask) -> aiohttp.ClientResponse:
        if time.monotonic() - self._loaded > RELOAD_SECONDS:
            await self._reload()
        response = await self._once(ask)
        if response.status == 401:
            response.release()
            await self._reload()
            response = await self._once(ask)
        return response

    async def _once(self, ask: _Ask) -> aiohttp.ClientResponse:
        client = self._client
        headers = {"Accept": "application/json", "Content-Type": ask.content_type, **client.default_headers}
        await client.update_params_for_auth(headers, None, ["BearerToken"], ask.path, ask.method, ask.body)
        url = f"{client.configuration.host}{ask.path}" + (f"?{urlencode(ask.query)}" if ask.query else "")
        answer = await client.rest_client.request(
            ask.method, url, headers=headers, body=ask.body, _request_timeout=ask.limit
        )
        return answer.response  # type: ignore[no-any-return]

    async def _reload(self) -> None:
        """Take in what has changed of the credentials. What cannot be read just now leaves the old ones in place."""
        asked = time.monotonic()
        async with self._loading:
            if self._loaded >= asked:
                return  # Somebody else has just done it.
            try:
                configuration = await self.credentials.load()
                self._adopt(configuration)
            except (NoCluster, OSError, ValueError):
                pass
            self._loaded = time.monotonic()

    def _adopt(self, configuration: Configuration) -> None:
        now = fingerprint(configuration)
        if now == self._print:
            self._client.configuration.api_key = configuration.api_key
            return
        # Streams that are open on the old client go on until they end by themselves.
        self._retired.append(self._client)
        self._client, self._print = _client(configuration), now


def describe(error: BaseException) -> str:
    """A network error in a few words."""
    if isinstance(error, asyncio.TimeoutError):
        return "timed out"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {_reason(error.os_error)}"
    return one_line(error)


def _reason(error: OSError) -> str:
    # asyncio's own text for a refused connection repeats the address instead of saying what is wrong.
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno).lower()
    return error.strerror or str(error)


def _client(configuration: Configuration) -> ApiClient:
    configuration.retries = None
    client = ApiClient(configuration)
    client.user_agent = f"foreman/{__version__}"
    return client


def _decoded(text: bytes) -> Any:
    """The JSON of an answer; what is none (a proxy's page) as the text it begins with."""
    try:
        return from_json(text) if text else {}
    except ValueError:
        return _shown(text)


def _shown(text: bytes) -> str:
    return " ".join(text.decode(errors="replace").split())[:200]


def _retry_after(response: aiohttp.ClientResponse) -> float:
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 0.0


async def _split(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a stream, however long they are."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
