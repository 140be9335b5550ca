"""What is wrong with an object, said the way an API server says it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from pydantic import ValidationError

from .fields import fields_of
from .meta import Model

Cause = tuple[str, str]
"""(field path in wire names, message): ('spec.kind', 'Unsupported value: "fix": supported values: "verify", ...')."""

_TYPES = {
    "bool_type": "boolean",
    "dict_type": "object",
    "float_type": "number",
    "int_type": "integer",
    "list_type": "array",
    "model_attributes_type": "object",
    "model_type": "object",
    "string_type": "string",
    "tuple_type": "array",
}
_LONGEST_VALUE = 120


class InvalidObject(ValueError):
    """An object (or a patch to one) that the API refuses; `causes` has every reason, `str()` is one line."""

    def __init__(self, causes: Iterable[Cause], kind: str = "", name: str = "") -> None:
        self.causes: list[Cause] = list(causes)
        self.kind = kind
        self.name = name
        why = "; ".join(f"{path}: {message}" if path else message for path, message in self.causes)
        super().__init__(f"{kind} {json.dumps(name)} is invalid: {why}" if kind else why)

    @classmethod
    def at(cls, path: str, message: str) -> Self:
        return cls([(path, message)])

    def under(self, prefix: str) -> list[Cause]:
        """The causes as seen from the object that holds this one in its field `prefix`."""
        return [(_join(prefix, path), message) for path, message in self.causes]


def causes_of(error: ValidationError, model: type[Model] | None) -> list[Cause]:
    """Pydantic's complaints about a `model` (None: about a plain value) in Kubernetes' words."""
    return [(_path(each["loc"], model), _message(each)) for each in error.errors(include_url=False)]


def _join(prefix: str, path: str) -> str:
    return prefix + path if path.startswith("[") or not path else f"{prefix}.{path}"


def _path(location: Sequence[int | str], model: type[Model] | None) -> str:
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
            continue
        field = fields_of(model).get(step) if model else None
        model = field.holds if field else None
        path = _join(path, field.wire if field else step) if path else (field.wire if field else step)
    return path


def _message(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "Required value"
    shown = _shown(error["input"])
    if kind in ("enum", "literal_error"):
        supported = ", ".join(json.dumps(word) for word in re.findall(r"'([^']*)'", context["expected"]))
        return f"Unsupported value: {shown}: supported values: {supported}"
    return f"Invalid value: {shown}: {_complaint(kind, context, error['msg'])}"


def _complaint(kind: str, context: Mapping[str, Any], text: str) -> str:
    if kind in _TYPES:
        return f"must be of type {_TYPES[kind]}"
    if kind == "string_too_short":
        return f"should be at least {context['min_length']} chars long"
    if kind == "too_short":
        return f"should have at least {context['min_length']} items"
    if kind == "string_pattern_mismatch":
        return f"should match '{context['pattern']}'"
    text = text.removeprefix("Input ").removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."
