"""CEL rules of a definition (`x-kubernetes-validations`), asked once its structure holds.

They are evaluated where the package `common-expression-language` is installed, as it is for the tests; without it a server here
accepts what only a rule forbids, and the operator's Validated condition still says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sim.http.status import Cause

_RULES = "x-kubernetes-validations"


def broken(value: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[Cause]:
    """What the rules in `schema` object to in `value`."""
    for rule in schema.get(_RULES, ()):
        program = _compiled(rule["rule"])
        if program is not None and not program.execute({"self": value}):
            yield Cause("FieldValueInvalid", path, f"Invalid value: {rule['message']}")
    if isinstance(value, Mapping):
        for key, inner in schema.get("properties", {}).items():
            if key in value:
                yield from broken(value[key], inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from broken(each, schema.get("items", {}), f"{path}[{number}]")


@cache
def _compiled(rule: str) -> Any:
    try:
        import cel
    except ImportError:
        return None
    return cel.compile(rule)
