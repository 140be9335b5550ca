"""The tool calls of one turn, made fit to be kept, carried out, and sent back."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from foreman.executors.loop.model import ToolCall, Turn, storable
from foreman.executors.tools.protocol import Answer, Tool


class Prepared(NamedTuple):
    """A call with an id of its own and arguments that are a JSON object; else `problem` says what was wrong with them."""

    call: ToolCall
    arguments: Mapping[str, Any]
    problem: str = ""


def prepared(turn: Turn, number: int) -> list[Prepared]:
    """The calls of turn `number`. Broken arguments are replaced by '{}': servers parse the history anew with every request,
    and some answer a broken one with an error for the rest of the run. Of a turn that was cut off, the broken call (the
    last) is left out."""
    found: list[Prepared] = []
    taken: set[str] = set()
    for place, call in enumerate(turn.calls):
        identity = call.id if call.id and call.id not in taken else f"call_{number}_{place}"
        taken.add(identity)
        try:
            arguments = arguments_of(call.arguments)
        except ValueError as error:
            if turn.truncated:
                continue
            blank = ToolCall(identity, call.name or "unnamed", "{}")
            found.append(Prepared(blank, {}, f"{blank.name}: {error}; nothing was done. Call it again."))
        else:
            found.append(
                Prepared(ToolCall(identity, call.name or "unnamed", call.arguments.strip() or "{}"), arguments)
            )
    return found


def arguments_of(text: str) -> Mapping[str, Any]:
    """The object that `text` is; nothing at all means no arguments. Raises ValueError with a line for the model."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("the arguments are nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"the arguments are not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"the arguments must be a JSON object, got {type(value).__name__}")
    if "\\u" in text and (said := json.dumps(value, ensure_ascii=False)) != storable(said):
        raise ValueError("the arguments hold half of a surrogate pair: write both halves, or the character itself")
    return value


def unknown(name: str, tools: Mapping[str, Tool], offered: Collection[str]) -> str:
    """Why a tool cannot be called now; '' when it can."""
    if name in offered:
        return ""
    choice = ", ".join(sorted(offered))
    if name in tools:
        return f"{name} is not offered in this turn; offered are: {choice}"
    return f"there is no tool {name!r}; there are: {choice}"


def content(answer: Answer) -> str:
    """An answer as the model gets it. Never empty: a message without content is refused by some servers ever after."""
    if answer.failed:
        return storable(json.dumps({"error": answer.text}, ensure_ascii=False))
    return storable(answer.text) or "(no output)"
