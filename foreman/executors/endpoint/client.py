"""Endpoint: a model behind any OpenAI-compatible server (llama.cpp, vLLM, Ollama, a cloud), through the official client.

One request is tried once: retries are `Patient`'s, on Runtime. Nothing here can hang: headers, and every silence after them,
are bounded by `turn_seconds`. The key leaves this file only in the Authorization header.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import openai

from foreman.executors.address import Address
from foreman.executors.endpoint.assembly import Draft, checked, whole
from foreman.executors.endpoint.faults import Place, Reply, fault, one_line, refused_parameter, scrubbed
from foreman.executors.loop.model import ModelError, Refused, Request, Transient, Turn

CONNECT_SECONDS = 5.0
USAGE_SECONDS = 2.0
BODY_MAX = 64 * 1024
NO_KEY = "none"


@dataclass(frozen=True)
class Habits:
    """How to talk to it. `turn_seconds`: how long headers, and any silence, may last; `usage_seconds`: how long to wait for
    the count of tokens when the answer is complete."""

    streaming: bool = True
    turn_seconds: float = 120.0
    usage_seconds: float = USAGE_SECONDS
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)


class Endpoint:
    """A Model. Close it when done."""

    def __init__(self, address: Address, habits: Habits | None = None) -> None:
        self.address = address
        self.habits = habits or Habits()
        self.place = Place(address.base_url, address.secret, bool(address.key))
        self._without: set[str] = set()
        seconds = self.habits.turn_seconds
        self._client = openai.AsyncOpenAI(
            base_url=address.base_url,
            api_key=address.key or NO_KEY,
            max_retries=0,
            timeout=httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
            # Neither this process's environment nor its users' may speak in the name of another organisation.
            organization="",
            project="",
        )

    async def close(self) -> None:
        await self._client.close()

    async def complete(self, request: Request) -> Turn:
        """One turn. A parameter that the server refuses is left out, and so for the rest of this endpoint's life."""
        while True:
            sent = self._body(request)
            try:
                return checked(await self._once(sent))
            except openai.APIStatusError as error:
                text = error.response.text[:BODY_MAX]
                without = refused_parameter(error.status_code, text, sent)
                if not without:
                    raise self._fault(error.status_code, text, error.response.headers) from None
                self._without.add(without)
            except openai.APITimeoutError:
                raise Transient(f"{self._where}: no answer within {self.habits.turn_seconds:g}s") from None
            except openai.APIConnectionError as error:
                raise Transient(f"{self._where}: cannot be reached: {_reason(error)}") from None
            except openai.APIError as error:
                raise self._fault(0, f"{error.message} {json.dumps(error.body, default=str)}", {}) from None
            except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
                raise Transient(f"{self._where}: the connection broke: {_reason(error)}") from None
            except (json.JSONDecodeError, UnicodeDecodeError):
                raise Transient(f"{self._where}: the answer is not JSON") from None

    @property
    def _where(self) -> str:
        return self.place.address

    def _fault(self, status: int, text: str, headers: Mapping[str, str]) -> ModelError:
        low = {name.lower(): value for name, value in headers.items()}
        return fault(Reply(status, scrubbed(text, self.address.key), low), self.place, time.time())

    def _body(self, request: Request) -> dict[str, Any]:
        """What is sent, as arguments of the client's `create`."""
        body: dict[str, Any] = {
            "model": self.address.model,
            "messages": request.messages,
            "max_tokens": request.max_output_tokens,
            "stream": self.habits.streaming,
        }
        if request.tools:
            body["tools"] = request.tools
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if self.habits.streaming:
            body["stream_options"] = {"include_usage": True}
        if "max_tokens" in self._without:
            body["max_completion_tokens"] = body["max_tokens"]
        if self.habits.chat_template_kwargs:
            body["extra_body"] = {"chat_template_kwargs": dict(self.habits.chat_template_kwargs)}
        return {name: value for name, value in body.items() if name not in self._without}

    async def _once(self, body: dict[str, Any]) -> Turn:
        create = cast(Any, self._client.chat.completions.with_streaming_response.create)
        try:
            async with asyncio.timeout(self.habits.turn_seconds) as limit, create(**body) as response:
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind == "text/event-stream":
                    # From here on a silence ends it, not the length of the answer.
                    limit.reschedule(None)
                    return await self._stream(response.http_response)
                if kind in ("application/json", ""):
                    return self._whole(await response.read())
                raise Refused(f"{self._where}: is no OpenAI-compatible endpoint: it answers with {kind}")
        except TimeoutError:
            raise Transient(f"{self._where}: no answer within {self.habits.turn_seconds:g}s") from None

    def _whole(self, data: bytes) -> Turn:
        answer = json.loads(data)
        if not isinstance(answer, dict):
            raise Transient(f"{self._where}: the answer is no JSON object")
        if answer.get("error"):
            raise self._fault(0, json.dumps(answer), {})
        return whole(answer)

    async def _stream(self, response: httpx2.Response) -> Turn:
        """The turn out of server-sent events. Ends on [DONE], or on a finish reason and the usage, or nothing more after it."""
        draft = Draft()
        events = _data_lines(response)
        while True:
            try:
                async with asyncio.timeout(self.habits.usage_seconds if draft.finish else self.habits.turn_seconds):
                    data = await anext(events, None)
            except TimeoutError:
                if draft.finish:
                    break
                raise
            except httpx2.HTTPError:
                if draft.finish:
                    break
                raise
            if data is None or data == "[DONE]":
                break
            chunk = json.loads(data)
            if isinstance(chunk, dict):
                if chunk.get("error"):
                    raise self._fault(0, json.dumps(chunk), {})
                draft.take(chunk)
            if draft.finish and draft.usage.prompt:
                break
        if not draft.finish and data != "[DONE]":
            raise Transient(f"{self._where}: the answer ended before it was complete")
        return draft.turn()


async def _data_lines(response: httpx2.Response) -> AsyncIterator[str]:
    """The data of each event. Comments (keep-alives), event names and ids are of no use here."""
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            yield line.removeprefix("data:").strip()


def _reason(error: BaseException) -> str:
    """What is at the bottom of it: the client's own text is 'Connection error.'."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(str(error)) or type(error).__name__
