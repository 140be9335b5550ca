"""Request bodies: JSON and YAML in, plain data out, with the complaints of Go's decoders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

INT64 = 2**63
# Every escape of a JSON text in turn, so that what follows an escaped backslash is none.
_ESCAPE = re.compile(
    r"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


class Malformed(ValueError):
    """The text is no JSON; `str()` says so in Go's words."""


class Object(dict[str, Any]):
    """A decoded JSON object that remembers which of its keys the text gave more than once."""

    repeated: tuple[str, ...] = ()


def from_json(text: bytes) -> Any:
    """The data in `text`, numbers as Go keeps them. Raises Malformed."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"invalid character {_quoted(chr(text[error.start]))} looking for beginning of value") from None
    try:
        return json.loads(
            _ESCAPE.sub(_whole, decoded),
            object_pairs_hook=_object,
            parse_float=_float,
            parse_int=_int,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise Malformed(_in_go(error)) from None
    except RecursionError:
        raise Malformed("exceeded max depth") from None


def from_yaml(text: bytes) -> Any:
    """The data of a YAML document; JSON is YAML too. Raises Malformed."""
    try:
        loaded = yaml.load(text, _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(_yaml_complaint(error)) from None
    return from_json(json.dumps(loaded, default=str).encode())


def repeated_fields(data: Any, path: str = "") -> Iterator[str]:
    """Where in `data` a key was given more than once."""
    if isinstance(data, Object):
        yield from (f"{path}{key}" for key in data.repeated)
    if isinstance(data, dict):
        for key, value in data.items():
            yield from repeated_fields(value, f"{path}{key}.")
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from repeated_fields(value, f"{path.removesuffix('.')}[{number}].")


def kind_of(value: Any) -> str:
    """What Go's decoder calls the type of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    return {str: "string", int: "number", float: "number", list: "array", dict: "object"}.get(_plain(value), "null")


def _plain(value: Any) -> type:
    return dict if isinstance(value, dict) else type(value)


class _Loader(yaml.SafeLoader):
    """YAML whose times stay text, as JSON has none."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _whole(escape: re.Match[str]) -> str:
    """Half a surrogate pair is no character: like Go, the replacement character in its place."""
    return "\\ufffd" if escape[2] else escape[0]


def _object(pairs: list[tuple[str, Any]]) -> Object:
    made = Object(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        made.repeated = tuple(dict.fromkeys(key for place, key in enumerate(keys) if key in keys[:place]))
    return made


def _float(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < INT64 else value


def _int(text: str) -> int | float:
    value = int(text)
    return value if -INT64 <= value < INT64 else float(value)


def _no_constant(text: str) -> Any:
    raise json.JSONDecodeError("Expecting value", text, 0)


def _in_go(error: json.JSONDecodeError) -> str:
    rest = error.doc[error.pos :].lstrip(" \t\r\n")
    if not rest or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    where = _WHERE.get(error.msg.partition(" at")[0], "looking for beginning of value")
    if where == "after" and error.msg.startswith("Expecting ','"):
        where = "after array element" if _in_array(error) else "after object key:value pair"
    return f"invalid character {_quoted(rest[0])} {where}"


_WHERE = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after",
    "Extra data": "after top-level value",
    "Invalid control character": "in string literal",
    "Invalid \\escape": "in string escape code",
}


def _in_array(error: json.JSONDecodeError) -> bool:
    """Whether the innermost bracket open where it went wrong is '['. Brackets in strings are not counted out."""
    open_ = []
    for sign in error.doc[: error.pos]:
        if sign in "[{":
            open_.append(sign)
        elif sign in "]}" and open_:
            open_.pop()
    return bool(open_) and open_[-1] == "["


def _quoted(sign: str) -> str:
    if sign < " ":
        return f"'\\x{ord(sign):02x}'"
    return {"'": "'\\''", '"': "'\"'"}.get(sign, f"'{sign}'")


def _yaml_complaint(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if "mapping values are not allowed" in problem:
        return "yaml: mapping values are not allowed in this context"
    return f"yaml: line {mark.line + 1}: {problem}" if mark is not None else f"yaml: {problem}"
