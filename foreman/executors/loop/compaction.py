"""What of the conversation the model is shown. Pure: the messages go in, the messages to send come out.

`window`: what tools answered more than the last few turns ago shrinks to a line. `session`: nothing changes until the whole
outgrows the context window; then the oldest turns go at once, well below the limit, so that the beginning of the prompt (and
the server's cache of it) stays the same for many turns until the next time (#1287).

A turn is an assistant message and all that follows it up to the next one; the messages before the first are always shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from foreman.executors.loop import pictures
from foreman.executors.loop.model import Message

CHARACTERS_PER_TOKEN = 4
COMPACT_TO = 0.6
_PER_MESSAGE = 16
"""Characters a chat template spends on the frame of a message."""


def size(message: Message) -> int:
    """Characters, frame included."""
    characters = _PER_MESSAGE + pictures.length(message.get("content")) + len(message.get("reasoning_content") or "")
    for call in message.get("tool_calls") or ():
        function = call["function"]
        characters += len(function["name"]) + len(function["arguments"])
    return characters


def tokens(characters: int) -> int:
    return characters // CHARACTERS_PER_TOKEN


def starts_of_turns(messages: Sequence[Message]) -> list[int]:
    """Where each turn begins."""
    return [i for i, message in enumerate(messages) if message["role"] == "assistant"]


def elided(message: Message) -> Message:
    """A tool's answer as one line, unless it is no longer than that."""
    content = message["content"]
    line = f"[{message.get('name', 'tool')}: an earlier answer of {len(content.encode())} bytes, no longer shown]"
    return {**message, "content": line} if len(line) < len(content) else message


def shown_from(starts: Sequence[int], observed_turns: int) -> int:
    """Index from which tools' answers are shown in full."""
    return starts[-observed_turns] if len(starts) > observed_turns else 0


def drop_point(sizes: Sequence[int], starts: Sequence[int], dropped_to: int, budget: int) -> int:
    """The index up to which turns are dropped: `dropped_to` again while the rest fits `budget` tokens, else further.

    `dropped_to` 0: nothing yet. The head (all before the first turn) and the last turn stay whatever their size.
    """
    if not starts:
        return dropped_to
    head = sum(sizes[: starts[0]])
    total = head + sum(sizes[max(dropped_to, starts[0]) :])
    if tokens(total) <= budget:
        return dropped_to
    target = int(budget * COMPACT_TO)
    place = max(dropped_to, starts[0])
    for following in starts:
        if following <= place:
            continue
        if tokens(total) <= target:
            break
        total -= sum(sizes[place:following])
        place = following
    return place if place > starts[0] else dropped_to


def without_dropped(messages: Sequence[Message], starts: Sequence[int], dropped_to: int) -> list[Message]:
    """The messages without turns before `dropped_to`. That something is missing is said in the last message of the head: a
    message of its own would break the alternation of user and assistant that some chat templates insist on."""
    if not dropped_to:
        return list(messages)
    head = list(messages[: starts[0]])
    gone = sum(1 for start in starts if start < dropped_to)
    note = f"\n\n[{gone} earlier turns are no longer shown: the context window is full. Their effects on files remain.]"
    head[-1] = {**head[-1], "content": pictures.added(head[-1]["content"], note)}
    return head + list(messages[dropped_to:])
