"""Turns out of what an OpenAI-compatible server sends, chunk by chunk or whole. Lenient: servers differ in what they leave out.

Pure. Seen in the field: the whole name of a tool repeated in every chunk (llama.cpp #13774), index 0 for every call of a turn,
arguments as an object instead of text, reasoning under three names, no finish reason at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from foreman.api import FailureReason
from foreman.executors.loop.model import NO_USAGE, ToolCall, Transient, Turn, Usage, storable

REASONING = ("reasoning_content", "reasoning", "thinking")
ANSWER_MAX = 8 * 1024 * 1024
"""Characters of one answer; a server that sends more is not going to end."""


class Draft:
    """A turn that is still coming in."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls: list[dict[str, str]] = []
        self.finish = ""
        self.usage = NO_USAGE
        self.length = 0
        self._by_index: dict[Any, int] = {}

    def take(self, chunk: Mapping[str, Any]) -> None:
        """One chunk of a stream. Raises Transient when the whole has grown beyond measure."""
        usage = chunk.get("usage")
        if isinstance(usage, Mapping):
            self.usage = usage_of(usage)
        for choice in chunk.get("choices") or ():
            if choice.get("index") not in (0, None):
                continue
            self._delta(choice.get("delta") or {})
            self.finish = choice.get("finish_reason") or self.finish

    def _delta(self, delta: Mapping[str, Any]) -> None:
        self._grow(self.text, delta.get("content"))
        self._grow(self.reasoning, next((delta[name] for name in REASONING if delta.get(name)), None))
        for part in delta.get("tool_calls") or ():
            self._call(part)

    def _grow(self, into: list[str], piece: Any) -> None:
        if isinstance(piece, str) and piece:
            into.append(piece)
            self._measure(len(piece))

    def _measure(self, more: int) -> None:
        self.length += more
        if self.length > ANSWER_MAX:
            raise Transient(f"the answer has more than {ANSWER_MAX} characters and does not end")

    def _call(self, part: Mapping[str, Any]) -> None:
        index, identity = part.get("index"), part.get("id") or ""
        function = part.get("function") or {}
        name, arguments = function.get("name") or "", text_of(function.get("arguments"))
        place = self._by_index.get(index)
        if place is None or _another(self.calls[place], identity, name):
            place = self._by_index[index] = len(self.calls)
            self.calls.append({"id": "", "name": "", "arguments": ""})
        call = self.calls[place]
        call["id"] = call["id"] or identity
        if name != call["name"]:
            call["name"] += name
        call["arguments"] += arguments
        self._measure(len(arguments))

    def turn(self) -> Turn:
        made = tuple(ToolCall(*(storable(each[part]) for part in ("id", "name", "arguments"))) for each in self.calls)
        finish = self.finish or ("tool_calls" if made else "stop")
        return Turn(storable("".join(self.text)), storable("".join(self.reasoning)), made, finish, self.usage)


def _another(call: Mapping[str, str], identity: str, name: str) -> bool:
    """Whether a part under the same index begins another call: a new id, and a name with it."""
    return bool(identity and name and call["id"] and identity != call["id"])


def whole(data: Mapping[str, Any]) -> Turn:
    """The turn in an answer that came in one piece. Raises Transient when it has no choices."""
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise Transient("the endpoint's answer has no choices")
    message = choices[0].get("message") or {}
    draft = Draft()
    calls = [{**each, "index": place} for place, each in enumerate(message.get("tool_calls") or ())]
    delta = {**message, "tool_calls": calls}
    draft.take(
        {"usage": data.get("usage"), "choices": [{"delta": delta, "finish_reason": choices[0].get("finish_reason")}]}
    )
    return draft.turn()


def usage_of(data: Mapping[str, Any]) -> Usage:
    counts = (data.get("prompt_tokens"), data.get("completion_tokens"))
    return Usage(*(each if isinstance(each, int) and each > 0 else 0 for each in counts))


def text_of(arguments: Any) -> str:
    """Arguments as text: some servers send the object itself."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def checked(turn: Turn) -> Turn:
    """The turn, unless the arguments of a call are broken: that is llama.cpp's parser's fault more often than the model's, so
    it is Transient (#22072) and carries the turn. A turn that was cut off has its own correction in the loop."""
    if turn.truncated:
        return turn
    for call in turn.calls:
        if call.arguments.strip() and not _is_json(call.arguments):
            said = f"the arguments of {call.name} are not valid JSON"
            raise Transient(said, turn=turn, reason=FailureReason.MODEL_MISUNDERSTOOD)
    return turn


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return False
    except ValueError:
        return False
    return True
