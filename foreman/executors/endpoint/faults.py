"""What an endpoint's refusal means: try again, give up, drop a parameter, name the secret. Pure.

Only what may go differently the next time is transient. A plain 500 is not: llama-cpp-python answers invalid requests with it.
llama.cpp's own 500 with its parser's text is (#22072): the model wrote a tool call that the server could not parse, and the
next sample usually can be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from foreman.api import FailureReason
from foreman.executors.loop.model import ModelError, NoTools, Overflow, Refused, Transient, Unauthorized
from foreman.executors.loop.patience import RETRY_AFTER_MAX

SAID_MAX = 300
BUSY = frozenset({408, 425, 429, 502, 503, 504, 529})
_PARSER = re.compile(
    r"failed to parse (tool call|input|messages|function|json)|parse_error|json\.exception|"
    r"unexpected end of input|invalid (tool call|function call)|tool.?call.{0,40}(parse|json)|"
    r"(while|error) parsing",
    re.IGNORECASE,
)
_NO_TOOLS = re.compile(
    r"does not support (tools|tool|function)|tool choice requires|--enable-auto-tool-choice|tools? param requires|"
    r"(tools|tool use|function calling|tool calling) (is|are) not supported|no endpoints found that support tool use|"
    r"unsupported param(eter)?:? .?tools",
    re.IGNORECASE,
)
_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|exceeds? (the )?(available )?context|"
    r"context (size|window|length) (exceeded|of)|requested tokens .{0,40}exceed|prompt is too long|too many tokens",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota|billing", re.IGNORECASE)
_DROPPABLE = ("temperature", "stream_options", "max_tokens")


class Reply(NamedTuple):
    """What is known of a refusal: HTTP status (0 for an error inside a stream), body text, headers in lower case."""

    status: int
    text: str
    headers: Mapping[str, str] = {}


class Place(NamedTuple):
    """What messages say of the endpoint: its address, where its key is from ('' when no place was named), and whether one
    was there."""

    address: str
    secret: str = ""
    keyed: bool = True


def fault(reply: Reply, place: Place, now: float) -> ModelError:
    """The error that the reply is. `now`: unix time, for a Retry-After that is a date."""
    said = told(reply.text)
    status = f"HTTP {reply.status}" if reply.status else "an error in the stream"
    if reply.status in (401, 403):
        return Unauthorized(refusal(reply.status, place))
    if _NO_TOOLS.search(reply.text):
        return NoTools(f"{place.address}: the model cannot call tools: {said}")
    if reply.status == 413 or _OVERFLOW.search(reply.text):
        return Overflow(f"{place.address}: the request is longer than the context window: {said}")
    if reply.status in (0, 500) and _PARSER.search(reply.text):
        return Transient(
            f"{place.address}: the server could not parse the model's tool call: {said}",
            reason=FailureReason.MODEL_MISUNDERSTOOD,
        )
    if reply.status == 429 and _QUOTA.search(reply.text):
        return Refused(f"{place.address}: the quota is used up: {said}")
    if reply.status in BUSY or reply.status == 0:
        wanted = retry_after(reply.headers, now)
        late = wanted is not None and wanted > RETRY_AFTER_MAX
        asks = f" (it asks to wait {wanted:.0f}s: longer than a run waits)" if late else ""
        return Transient(f"{place.address}: {status}{asks}: {said}", wanted)
    return Refused(f"{place.address}: {status}: {said}")


def told(text: str) -> str:
    """What a body says: its message, where it is an error in OpenAI's shape; else the beginning of it."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return one_line(text)
    error = data.get("error", data) if isinstance(data, dict) else data
    said = error.get("message") if isinstance(error, dict) else error
    return one_line(said if isinstance(said, str) and said.strip() else text)


def refusal(status: int, place: Place) -> str:
    """Without a word of the body: servers quote the key they refuse."""
    if place.secret and place.keyed:
        return f"{place.address} refused the key of {place.secret} (HTTP {status}): put a valid one there"
    if place.secret:
        return f"{place.address} wants a key (HTTP {status}), and {place.secret} holds none: put one there"
    return f"{place.address} wants a key (HTTP {status}), and none is configured: set providerConfig.apiKeySecretRef"


def refused_parameter(status: int, text: str, sent: Mapping[str, object]) -> str:
    """The parameter that a 400 or 422 complains of and that one can do without; '' when there is none."""
    if status not in (400, 422):
        return ""
    return next((name for name in _DROPPABLE if name in sent and name in text), "")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds, of a number or a date; None when the header is not there or says nothing."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return max(seconds, 0.0) if seconds == seconds else None


def one_line(text: str) -> str:
    """The beginning of a body as one line."""
    line = " ".join(text.split())
    return line if len(line) <= SAID_MAX else line[: SAID_MAX - 1] + "…"


def scrubbed(text: str, key: str) -> str:
    """The text without the key, should a server have quoted it."""
    return text.replace(key, "[key]") if len(key) >= 4 else text
