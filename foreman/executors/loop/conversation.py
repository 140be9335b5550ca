"""The conversation of one run: everything that was said, and the part of it that goes into the next request.

Sizes and places of turns are kept as messages come, so that a turn costs the same in a long conversation as in a short one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foreman.api import ContextStrategy
from foreman.executors.loop import compaction
from foreman.executors.loop.corrections import PLACEHOLDER
from foreman.executors.loop.limits import Limits
from foreman.executors.loop.model import Message, ToolCall, Turn, storable
from foreman.executors.loop.pictures import Picture, content


class Conversation:
    """`messages` is the whole, append-only. `notes` says more of some, by index: what is kept but never sent back."""

    def __init__(self, limits: Limits, system: str, task: str, shown: Sequence[Picture] = ()) -> None:
        self.limits = limits
        self.messages: list[Message] = []
        self.notes: dict[int, dict[str, Any]] = {}
        self.budget = limits.context_tokens
        self._sizes: list[int] = []
        self._starts: list[int] = []
        self._view: list[Message] = []
        self._elided_to = 0
        self._dropped_to = 0
        self._add({"role": "system", "content": system})
        self._add({"role": "user", "content": content(task, shown)})

    def _add(self, message: Message) -> None:
        if message["role"] == "assistant":
            self._starts.append(len(self.messages))
        self.messages.append(message)
        self._view.append(message)
        self._sizes.append(compaction.size(message))

    def said(self, number: int, turn: Turn, calls: tuple[ToolCall, ...], keep_reasoning: bool) -> None:
        """The model's turn. Reasoning is not sent back, unless the turn was cut off in the midst of it. An empty message, or
        one without text, would make some servers refuse every request from then on."""
        message: dict[str, Any] = {"role": "assistant", "content": turn.text}
        if calls:
            message["tool_calls"] = [
                {"id": each.id, "type": "function", "function": {"name": each.name, "arguments": each.arguments}}
                for each in calls
            ]
        elif not turn.text.strip():
            message["content"] = PLACEHOLDER
        note: dict[str, Any] = {"turn": number, "finish": turn.finish, "usage": turn.usage._asdict()}
        if turn.retries:
            note["retries"] = turn.retries
        if turn.reasoning:
            note["reasoning"] = turn.reasoning
            if keep_reasoning:
                message["reasoning_content"] = turn.reasoning
        self.notes[len(self.messages)] = note
        self._add(message)

    def answered(self, call: ToolCall, text: str) -> None:
        self._add({"role": "tool", "tool_call_id": call.id, "name": call.name, "content": text})

    def told(self, text: str) -> None:
        """A word to the model. Two in a row become one message: not every chat template takes two."""
        text = storable(text)
        last = self.messages[-1]
        if last["role"] != "user" or len(self.messages) <= 2:
            self._add({"role": "user", "content": text})
            return
        joined = {**last, "content": f"{last['content']}\n\n{text}"}
        self.messages[-1] = self._view[-1] = joined
        self._sizes[-1] = compaction.size(joined)

    def view(self) -> list[Message]:
        """The messages of the next request."""
        if self.limits.strategy is ContextStrategy.WINDOW:
            self._elide()
        if self.limits.strategy is ContextStrategy.SESSION or self._dropped_to:
            self._dropped_to = compaction.drop_point(self._sizes, self._starts, self._dropped_to, self.budget)
        return compaction.without_dropped(self._view, self._starts, self._dropped_to)

    def _elide(self) -> None:
        until = compaction.shown_from(self._starts, self.limits.observed_turns)
        for i in range(self._elided_to, until):
            if self._view[i]["role"] == "tool":
                self._view[i] = compaction.elided(self._view[i])
                self._sizes[i] = compaction.size(self._view[i])
        self._elided_to = max(self._elided_to, until)

    def shrink(self) -> bool:
        """The endpoint says that it is too long: drop what can be dropped, by our own count; whether anything could be."""
        before = self._dropped_to
        self.budget = min(self.budget, int(self.tokens() * compaction.COMPACT_TO))
        self._dropped_to = compaction.drop_point(self._sizes, self._starts, before, self.budget)
        return self._dropped_to > before

    def tokens(self) -> int:
        """An estimate of the size of what would be sent now."""
        if not self._dropped_to:
            return compaction.tokens(sum(self._sizes))
        return compaction.tokens(sum(self._sizes[: self._starts[0]]) + sum(self._sizes[self._dropped_to :]))
