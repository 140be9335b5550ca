"""The transcript of a run: `foreman.transcript.v1`, under a cap. Where it is kept is `foreman.executors.transcripts`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from foreman.executors.loop.conversation import Conversation
from foreman.executors.loop.model import storable
from foreman.executors.loop.pictures import without

SCHEMA = "foreman.transcript.v1"
CAP = 1024 * 1024 - 16 * 1024
"""Bytes: what a ConfigMap holds, less room for the rest of it."""
HEAD, TAIL = 2, 10
_SHORTEST = 256


def entries(conversation: Conversation, since: int = 0) -> list[dict[str, Any]]:
    """The messages from number `since` on as they were said, not as they were shown later, with what was never sent back
    (reasoning, usage, turn)."""
    notes, messages = conversation.notes, conversation.messages
    return [{**without(messages[i]), **notes.get(i, {})} for i in range(since, len(messages))]


def document(messages: Sequence[Mapping[str, Any]], cap: int = CAP) -> str:
    """The JSON text, at most `cap` bytes. Over it the first two and last ten messages are kept; are these too long, so are
    only the two ends of each text in them."""
    text = _dumped(messages)
    if _bytes(text) <= cap:
        return text
    kept = list(messages)
    if len(messages) > HEAD + TAIL:
        marker = {"role": "marker", "content": f"[{len(messages) - HEAD - TAIL} messages left out: too large]"}
        kept = [*messages[:HEAD], marker, *messages[-TAIL:]]
    limit = cap // 2
    while _bytes(text := _dumped([shortened(each, limit) for each in kept])) > cap and limit > _SHORTEST:
        limit //= 2
    if _bytes(text) > cap:
        return _dumped([{"role": "marker", "content": f"[{len(messages)} messages left out: too large]"}])
    return text


def _dumped(messages: Sequence[Mapping[str, Any]]) -> str:
    text = json.dumps({"schemaVersion": SCHEMA, "messages": messages}, ensure_ascii=False, separators=(",", ":"))
    return storable(text)


def _bytes(text: str) -> int:
    return len(text.encode())


def shortened(value: Any, limit: int) -> Any:
    """The value with only the two ends of each text longer than `limit` characters."""
    if isinstance(value, str):
        if len(value) <= limit:
            return value
        half = limit // 2
        return f"{value[:half]}[{len(value) - 2 * half} characters left out]{value[-half:]}"
    if isinstance(value, Mapping):
        return {key: shortened(each, limit) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [shortened(each, limit) for each in value]
    return value
