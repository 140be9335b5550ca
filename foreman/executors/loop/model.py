"""What the loop asks of a model, and what it gets: one turn for one request. Nothing here knows of HTTP.

`foreman.executors.endpoint.Endpoint` is a model behind an OpenAI-compatible server; a test or the simulator scripts one.
Messages are mappings in the chat-completions wire form and are never changed once made: they may be shared and compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from foreman.api import FailureReason

Message = Mapping[str, Any]


class Usage(NamedTuple):
    """Tokens, as the endpoint counts them; zeros when it does not say."""

    prompt: int = 0
    completion: int = 0

    def plus(self, other: Usage) -> Usage:
        return Usage(self.prompt + other.prompt, self.completion + other.completion)


NO_USAGE = Usage()


class ToolCall(NamedTuple):
    """`arguments` is JSON text as the model wrote it; it may be broken."""

    id: str
    name: str
    arguments: str


def storable(text: str) -> str:
    """The text without halves of surrogate pairs: a model can write one as an escape, a file can have one in its name, and no
    request and no file can hold one."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class Request:
    """`tools` in wire form; `temperature` None: the endpoint's own."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]]
    max_output_tokens: int = 8192
    temperature: float | None = None


@dataclass(frozen=True)
class Turn:
    """What the model said. `finish`: 'stop', 'length', 'tool_calls' ..., as the endpoint puts it; `retries` came before."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    usage: Usage = NO_USAGE
    retries: int = 0

    @property
    def truncated(self) -> bool:
        return self.finish == "length"


class Model(Protocol):
    async def complete(self, request: Request) -> Turn:
        """The next turn. Raises ModelError."""
        ...


class ModelError(Exception):
    """The model gave no turn. `reason` is what becomes of it in the task's status; `retries`: how often it was tried again."""

    reason = FailureReason.INFERENCE_SERVICE_UNAVAILABLE
    retries = 0


class Transient(ModelError):
    """May succeed when tried again. `retry_after`: seconds the endpoint asked for; `turn`: what came, if that is of use."""

    def __init__(
        self,
        said: str,
        retry_after: float | None = None,
        turn: Turn | None = None,
        reason: FailureReason = FailureReason.INFERENCE_SERVICE_UNAVAILABLE,
    ) -> None:
        super().__init__(said)
        self.retry_after = retry_after
        self.turn = turn
        self.reason = reason


class Refused(ModelError):
    """The endpoint will not answer this request, however often it is asked."""


class Unauthorized(ModelError):
    """The endpoint refused the credentials; the text names the secret, never its value."""

    reason = FailureReason.AUTH_UNAVAILABLE


class NoTools(ModelError):
    """The model, or its server, does not do function calls."""

    reason = FailureReason.MODEL_MISUNDERSTOOD


class Overflow(ModelError):
    """The request is longer than the model's context."""

    reason = FailureReason.CONSTRAINT_VIOLATED
