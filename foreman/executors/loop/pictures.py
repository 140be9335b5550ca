"""Images in a conversation: content in parts, as the chat-completions API takes it. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

TOKENS = 1500
"""What an image is taken to cost in the context; its base64 says nothing about that."""
_KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


class Picture(NamedTuple):
    path: str
    kind: str
    encoded: str
    """base64"""


def picture(path: str, data: bytes) -> Picture | None:
    """None for what is no PNG, JPEG, GIF or WebP, whatever its name says."""
    kind = next((kind for magic, kind in _KINDS if data.startswith(magic)), "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "image/webp"
    return Picture(path, kind, base64.b64encode(data).decode()) if kind else None


def content(text: str, pictures: Sequence[Picture]) -> str | list[dict[str, Any]]:
    """Plain text without any: not every server takes parts."""
    if not pictures:
        return text
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    for each in pictures:
        parts.append({"type": "text", "text": f"Image {each.path}:"})
        parts.append({"type": "image_url", "image_url": {"url": f"data:{each.kind};base64,{each.encoded}"}})
    return parts


def length(content: Any) -> int:
    """Characters, an image counted as its tokens."""
    if not isinstance(content, list):
        return len(content or "")
    return sum(len(part["text"]) if part["type"] == "text" else 4 * TOKENS for part in content)


def added(content: Any, text: str) -> Any:
    """The content with more text at its end."""
    return [*content, {"type": "text", "text": text}] if isinstance(content, list) else f"{content}{text}"


def without(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """For the transcript: that there was an image, and how long, but not the image."""
    if not isinstance(message.get("content"), list):
        return message
    return {**message, "content": [_told(part) for part in message["content"]]}


def _told(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if part["type"] != "image_url":
        return part
    kind, _, encoded = part["image_url"]["url"].partition(";base64,")
    return {"type": "image_url", "image_url": {"url": f"{kind};base64,[{len(encoded)} characters left out]"}}
