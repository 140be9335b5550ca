"""Objects to and from the JSON of the API server.

What Go marks `omitempty` is left out when it says nothing (None, "", 0, False, empty list or map); required fields and
those with a CRD default are always there, as after a round through a real API server. Unknown fields pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError

from .errors import InvalidObject, causes_of
from .fields import ModelField, declared, fields_of
from .kinds import KINDS
from .meta import Condition, Model, Resource
from .result import Result

R = TypeVar("R", bound=Resource)

# Go writes these even when empty.
_ALWAYS: dict[type[Model], frozenset[str]] = {
    Condition: frozenset({"last_transition_time", "reason", "message"}),
    Result: frozenset({"summary", "elapsed_sec"}),
}
_SCALARS = frozenset({str, int, float, bool, type(None)})
_Field = tuple[str, str, bool, Any, Callable[[Any], str] | None]
"""(name, wire name, whether it is left out at its default, default, value -> wire string or None)."""


def to_wire(model: Model) -> dict[str, Any]:
    """`model` as JSON-ready data under wire names."""
    values = model.__dict__
    wire: dict[str, Any] = {}
    for name, key, omitted, default, as_text in _plan(type(model)):
        value = values[name]
        if omitted and value is default:
            continue
        if type(value) in _SCALARS:
            if not omitted or value != default:
                wire[key] = as_text(value) if as_text and value is not None else value
            continue
        told = plain(value)
        # Of the empty, only what stands for "not set" (a default of None) differs from its default.
        if told or not omitted or default is None:
            wire[key] = told
    for name, value in (model.__pydantic_extra__ or {}).items():
        wire.setdefault(name, plain(value))
    return wire


def from_wire(data: Mapping[str, Any]) -> Resource:
    """The object in `data`, of the kind it names itself; `InvalidObject` when it is unknown or malformed."""
    if not isinstance(data, Mapping):
        raise InvalidObject.at("", f"expected an object, got {type(data).__name__}")
    kind = data.get("kind")
    if kind is None or kind == "":
        raise InvalidObject.at("kind", "Required value: e.g. AgenticTask")
    if not isinstance(kind, str) or kind not in KINDS:
        supported = ", ".join(f'"{name}"' for name in KINDS)
        raise InvalidObject.at("kind", f'Unsupported value: "{kind}": supported values: {supported}')
    if "apiVersion" not in data:
        raise InvalidObject([("apiVersion", "Required value")], kind, _name(data))
    return parse(KINDS[kind], data)


def parse(kind: type[R], data: Mapping[str, Any]) -> R:
    """The `kind` in `data`, which may leave out `kind` and `apiVersion` as items of a list do; else `InvalidObject`."""
    try:
        return kind.model_validate(data)
    except ValidationError:
        pass  # nulls are rare, so they are looked for only now
    try:
        return kind.model_validate(_null_is_absent(kind, data))
    except ValidationError as error:
        raise InvalidObject(causes_of(error, kind), kind.__name__, _name(data)) from None


def plain(value: Any) -> Any:
    """`value` as JSON-ready data: models, enums, tuples and maps unwrapped, at any depth."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if isinstance(value, Model):
        return to_wire(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    if kind is dict or isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return value


def says_nothing(value: Any) -> bool:
    """Whether `value`, as a field's default, goes without saying on the wire."""
    return not to_wire(value) if isinstance(value, Model) else not value


@cache
def _plan(model: type[Model]) -> tuple[_Field, ...]:
    always = _ALWAYS.get(model, frozenset())
    kept = {"metadata"} if issubclass(model, Resource) else always
    return tuple(
        (
            field.name,
            field.wire,
            not field.required and field.name not in kept and says_nothing(field.default),
            field.default,
            field.format,
        )
        for field in declared(model)
    )


def _null_is_absent(model: type[Model], data: Any) -> Any:
    """`data` as an API server reads it: null in a known field is as good as nothing; in free JSON it is a value."""
    if not isinstance(data, Mapping):
        return data
    fields = fields_of(model)
    return {
        name: _inside(fields.get(name), value)
        for name, value in data.items()
        if value is not None or name not in fields
    }


def _inside(field: ModelField | None, value: Any) -> Any:
    if field is None or field.holds is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_null_is_absent(field.holds, each) for each in value]
    return _null_is_absent(field.holds, value)


def _name(data: Mapping[str, Any]) -> str:
    metadata = data.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""
