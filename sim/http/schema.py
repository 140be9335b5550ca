"""Structural schemas at work: what an API server drops, fills in and refuses when it reads a custom resource."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sim.http.status import Cause, Json

_FREE = "x-kubernetes-preserve-unknown-fields"
_NIL = "<nil>"
_FORMATS = {"int32": 2**31, "int64": 2**63}


def prune(value: Any, schema: Mapping[str, Any], path: str = "") -> list[str]:
    """Drop from `value`, in place, every field the schema does not know; the paths of what went."""
    if isinstance(value, dict):
        return [found for key in list(value) for found in _prune_key(value, key, schema, path)]
    if isinstance(value, list) and "items" in schema:
        return [found for i, each in enumerate(value) for found in prune(each, schema["items"], f"{path}[{i}]")]
    return []


def _prune_key(value: Json, key: str, schema: Mapping[str, Any], path: str) -> list[str]:
    where = f"{path}.{key}" if path else key
    inner = _inner(schema, key)
    if inner is not None:
        return prune(value[key], inner, where)
    if schema.get(_FREE):
        return []
    del value[key]
    return [where]


def _inner(schema: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    """The schema of the field `key` of an object, None when it is unknown."""
    known = schema.get("properties", {}).get(key)
    if known is not None:
        return known  # type: ignore[no-any-return]
    values = schema.get("additionalProperties")
    return values if isinstance(values, Mapping) else None


def fill(value: Any, schema: Mapping[str, Any]) -> None:
    """Set defaults in place, after dropping the nulls that stand for nothing."""
    if isinstance(value, dict):
        _drop_nulls(value, schema)
        for key, inner in schema.get("properties", {}).items():
            if "default" in inner and key not in value:
                value[key] = copy.deepcopy(inner["default"])
        for key, each in value.items():
            if (inner := _inner(schema, key)) is not None:
                fill(each, inner)
    elif isinstance(value, list) and "items" in schema:
        for each in value:
            fill(each, schema["items"])


def _drop_nulls(value: Json, schema: Mapping[str, Any]) -> None:
    for key in [key for key, each in value.items() if each is None]:
        inner = _inner(schema, key)
        if inner is not None and not inner.get("nullable"):
            del value[key]


def check_status(status: Any, schema: Mapping[str, Any]) -> Iterator[Cause]:
    """The same for what is written to the status alone: the messages begin their paths there."""
    for cause in check(status, schema["properties"]["status"]):
        inner = cause.field
        below = inner if inner == _NIL else "status" + (f".{inner}" if inner else "")
        yield cause._replace(field=below)


def check(value: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[Cause]:
    """What the schema objects to in `value`."""
    if value is None and schema.get("nullable"):
        return
    wanted = schema.get("type", "")
    if wanted and not _is_type(value, wanted):
        yield from _wrong_type(value, schema, path)
    elif wanted in _CHECKS:
        yield from _CHECKS[wanted](value, schema, path)
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(f'"{each}"' for each in schema["enum"])
        yield Cause("FieldValueNotSupported", path, f"Unsupported value: {shown(value)}: supported values: {supported}")


def _is_type(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    kinds: dict[str, Any] = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
    return isinstance(value, kinds.get(wanted, ()))


def _wrong_type(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """Where the schema has a format, the complaint is of formats: a float64 is no int32. A fraction gets a second one."""
    wanted, found = schema["type"], type_of(value)
    if "format" in schema and value is not None and not isinstance(value, (str, list)):
        wanted, found = schema["format"], {"integer": "int64", "number": "float64"}.get(found, "")
    message = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    yield Cause("FieldValueTypeInvalid", path, message)
    if found == "float64":
        yield _not_in_format(schema, path)


def _not_in_format(schema: Mapping[str, Any], path: str) -> Cause:
    what = f"{schema['type']} with format {schema['format']}"
    return Cause("FieldValueInvalid", _NIL, f'Invalid value: "": Checked value must be of type {what} in {path}')


def type_of(value: Any) -> str:
    """The JSON type of a value, in OpenAPI's words."""
    name = _TYPE_NAMES.get(type(value))
    if name is not None:
        return name
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "null"


_TYPE_NAMES = {
    bool: "boolean",
    str: "string",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}


def shown(value: Any) -> str:
    """A value as field errors print it: strings in quotes, the rest as it is."""
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _invalid(path: str, value: Any, what: str) -> Cause:
    return Cause("FieldValueInvalid", path, f"Invalid value: {shown(value)}: {path} in body {what}")


def _check_integer(value: int, schema: Mapping[str, Any], path: str) -> Iterator[Cause]:
    bound = _FORMATS.get(schema.get("format", ""))
    if bound is not None and not -bound <= value < bound:
        yield _not_in_format(schema, path)
    if "minimum" in schema and value < schema["minimum"]:
        yield _invalid(path, value, f"should be greater than or equal to {schema['minimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        yield _invalid(path, value, f"should be less than or equal to {schema['maximum']}")


def _check_string(value: str, schema: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        yield Cause("FieldValueTooLong", path, f"Too long: may not be more than {schema['maxLength']} bytes")
    if "minLength" in schema and len(value) < schema["minLength"]:
        yield _invalid(path, value, f"should be at least {schema['minLength']} chars long")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield _invalid(path, value, f"should match '{schema['pattern']}'")
    if schema.get("format") == "date-time" and not is_time(value):
        message = f'Invalid value: "{value}": {path} in body must be of type date-time: "{value}"'
        yield Cause("FieldValueTypeInvalid", path, message)


def _check_array(value: list[Any], schema: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if "minItems" in schema and len(value) < schema["minItems"]:
        yield _invalid(path, len(value), f"should have at least {schema['minItems']} items")
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        yield Cause("FieldValueTooMany", path, f"Too many: {len(value)}: must have at most {schema['maxItems']} items")
    for number, each in enumerate(value):
        yield from check(each, schema.get("items", {}), f"{path}[{number}]")
    yield from _check_keys(value, schema, path)


def _check_keys(value: list[Any], schema: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """Items of a list that is a map differ in their keys."""
    keys = schema.get("x-kubernetes-list-map-keys", ())
    seen = set()
    for number, each in enumerate(value if keys else ()):
        if not isinstance(each, dict) or any(key not in each for key in keys):
            continue
        identity = tuple(str(each[key]) for key in keys)
        if identity in seen:
            told = ",".join(f'"{key}":"{each[key]}"' for key in keys)
            yield Cause("FieldValueDuplicate", f"{path}[{number}]", f"Duplicate value: {{{told}}}")
        seen.add(identity)


def _check_object(value: Json, schema: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for key, each in value.items():
        inner = _inner(schema, key)
        if inner is not None and not (path == "" and key == "metadata"):
            yield from check(each, inner, f"{path}.{key}" if path else key)
    for key in schema.get("required", ()):
        if key not in value:
            yield Cause("FieldValueRequired", f"{path}.{key}" if path else key, "Required value")


_Check = Callable[[Any, Mapping[str, Any], str], Iterator[Cause]]
_CHECKS: Mapping[str, _Check] = {
    "integer": _check_integer,
    "string": _check_string,
    "array": _check_array,
    "object": _check_object,
}
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d([.,]\d+)?([Zz]|[+-]\d\d:\d\d)$")


def is_time(text: str) -> bool:
    """Whether `text` is an RFC 3339 time."""
    try:
        return bool(_TIME.match(text)) and datetime.fromisoformat(text.upper().replace(",", ".")) is not None
    except ValueError:
        return False
