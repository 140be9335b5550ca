"""What pydantic says about a scenario, as problems in the words of scenario files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sim.kinds import did_you_mean, in_words
from sim.source import Path, Problem

_WANTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "string_type": "text",
    "tuple_type": "a list",
}
_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}


def problems_of(error: ValidationError) -> list[Problem]:
    """Each complaint at the path of the value it is about; one about an unknown key at that key."""
    return [_problem(each) for each in error.errors(include_url=False)]


def unknown_key(problem: Problem) -> bool:
    """Whether the value at the problem's path stands under a key that does not exist."""
    return problem[1].startswith("unknown key ")


def missing_key(problem: Problem) -> bool:
    return problem[1].startswith("key ") and " is missing: " in problem[1]


def _problem(error: Mapping[str, Any]) -> Problem:
    path: Path = error["loc"]
    message = _message(error, path)
    if isinstance(error["input"], Mapping):
        for key in error["input"]:
            if re.match(rf"unknown [a-z ]+ {re.escape(repr(str(key)))}:", message):
                return (*path, str(key)), message
    return path, message


def _message(error: Mapping[str, Any], path: Path) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "refused":
        return str(error["msg"])
    if kind in ("enum", "literal_error"):
        words = re.findall(r"'([^']*)'", context["expected"])
        return f"unknown {_what(path)} {in_words(value)}: expected {', '.join(words)}{did_you_mean(value, words)}"
    if kind in _BOUNDS:
        bound, name = _BOUNDS[kind]
        return f"expected {bound} {context[name]}, not {in_words(value)}"
    if kind in _WANTED:
        return f"expected {_WANTED[kind]}, not {in_words(value)}{_quote_it(kind, value)}"
    return f"{error['msg']}, not {in_words(value)}"


def _what(path: Path) -> str:
    name = next(str(step) for step in reversed(path) if isinstance(step, str))
    return re.sub("([A-Z])", r" \1", name).lower()


def _quote_it(kind: str, value: object) -> str:
    return ": put it in quotes" if kind == "string_type" and isinstance(value, int | float) else ""
