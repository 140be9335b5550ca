"""A tool made of a schema and a coroutine: arguments are checked before, failures become answers after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from foreman.executors.tools.protocol import Answer
from foreman.executors.tools.workspace import Refused

TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "boolean": (bool,)}


@dataclass
class Function:
    """Implements `Tool`. `body` gets arguments that fit `parameters`; it may raise Refused and OSError."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    body: Callable[[Mapping[str, Any]], Awaitable[Answer]]

    async def call(self, arguments: Mapping[str, Any]) -> Answer:
        fault = misfit(self.parameters, arguments)
        if fault:
            return Answer(f"{self.name}: {fault}", failed=True)
        try:
            return await self.body({name: value for name, value in arguments.items() if value is not None})
        except Refused as refusal:
            return Answer(f"{self.name}: {refusal}", failed=True)
        except OSError as error:
            about = f"{arguments.get('path')}: " if arguments.get("path") else ""
            return Answer(f"{self.name}: {about}{(error.strerror or str(error)).lower()}", failed=True)


def schema(required: tuple[str, ...], **properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def misfit(parameters: Mapping[str, Any], arguments: Any) -> str:
    """What is wrong with the arguments and what was expected, in one line; '' when they fit. An optional null is left out."""
    properties = parameters["properties"]
    if not isinstance(arguments, Mapping):
        return f"the arguments must be an object with {_names(properties)}, not {_kind(arguments)}"
    for name, value in arguments.items():
        if name not in properties:
            return f"there is no argument {name!r}; it takes {_names(properties)}"
        if value is None and name not in parameters["required"]:
            continue
        if fault := _misfit(properties[name], value):
            return f"{name} must be {fault}, not {_kind(value)}"
    missing = [name for name in parameters["required"] if name not in arguments]
    return f"{_names(missing)} is missing" if missing else ""


def _misfit(wanted: Mapping[str, Any], value: Any) -> str:
    kind = wanted["type"]
    fits = isinstance(value, TYPES[kind]) and not (kind == "integer" and isinstance(value, bool))
    least = wanted.get("minimum")
    if fits and not (least is not None and value < least):
        return ""
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{article} {kind}" + (f" of at least {least}" if least is not None else "")


def _names(names: Any) -> str:
    return ", ".join(map(str, names))


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    shown = repr(value)
    return f"{type(value).__name__} {shown[:60]}" if len(shown) < 60 else type(value).__name__
