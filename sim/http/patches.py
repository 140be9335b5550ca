"""JSON merge patches (RFC 7386) and JSON patches (RFC 6902) on documents."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from sim.http.decode import Malformed, from_json, kind_of
from sim.http.schema import type_of
from sim.http.status import Json, Refusal, bad_request

OPERATIONS_MAX = 10_000


def merge_patch(doc: Json, body: bytes) -> Json:
    """`doc` with the patch applied. Raises Refusal."""
    changes = _decoded(body)
    if not isinstance(changes, dict):
        if changes is None:
            return copy.deepcopy(doc)
        raise _undecodable(changes, "map[string]interface {}")
    merged = merge(doc, changes)
    assert isinstance(merged, dict)
    return merged


def merge(old: Any, changes: Mapping[str, Any]) -> Any:
    """RFC 7386: null deletes, maps merge, anything else replaces."""
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = merge(merged.get(key), value)
        else:
            merged[key] = value
    return merged


def difference(old: Any, new: Any) -> dict[str, Any]:
    """The merge patch that makes `new` of `old`."""
    changes: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := difference(before, value):
                changes[key] = inner
        elif not same(value, before) or key not in old:
            changes[key] = value
    return changes


def same(one: Any, two: Any) -> bool:
    """Equal as JSON: 1 and true are two things."""
    return one is two or (
        type_of(one) == type_of(two) and (_same_inside(one, two) if isinstance(one, (dict, list)) else bool(one == two))
    )


def _same_inside(one: Any, two: Any) -> bool:
    if len(one) != len(two):
        return False
    if isinstance(one, dict):
        return all(key in two and same(value, two[key]) for key, value in one.items())
    return all(map(same, one, two))


def json_patch(doc: Json, body: bytes) -> Json:
    """`doc` with the operations applied in order. Raises Refusal."""
    operations = _decoded(body)
    if operations is None:
        operations = []
    if not isinstance(operations, list):
        raise _undecodable(operations, "[]handlers.jsonPatchOp")
    if len(operations) > OPERATIONS_MAX:
        why = f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(operations)}"
        raise Refusal(413, "RequestEntityTooLarge", why)
    patched: Any = copy.deepcopy(doc)
    for operation in operations:
        patched = _apply(patched, operation)
    return patched  # type: ignore[no-any-return]


def _undecodable(found: Any, wanted: str) -> Refusal:
    why = f"json: cannot unmarshal {kind_of(found)} into Go value of type {wanted}"
    return bad_request(f"error decoding patch: {why}")


def _decoded(body: bytes) -> Any:
    try:
        return from_json(body)
    except Malformed as error:
        raise bad_request(f"error decoding patch: {error}") from None


class _Inapplicable(Exception):
    """The patch does not fit the document."""


def _apply(doc: Any, operation: Any) -> Any:
    if operation is not None and not isinstance(operation, dict):
        raise _undecodable(operation, "handlers.jsonPatchOp")
    told = json.dumps(operation, separators=(",", ":"))
    if operation is None:
        raise bad_request("invalid operation null: unsupported operation")
    name = operation.get("op")
    if name not in _OPERATIONS:
        raise bad_request(f"invalid operation {told}: unsupported operation")
    for field, names, why in _REQUIRED:
        if name in names and field not in operation:
            raise bad_request(f"invalid operation {told}: failed to decode '{field}': {why}: missing value")
    try:
        return _OPERATIONS[name](doc, operation)
    except (_Inapplicable, KeyError, IndexError, ValueError, TypeError):
        raise Refusal(422, "Invalid", "the server rejected our request due to an error in our request", {}) from None


_REQUIRED = (
    ("value", ("add", "replace"), "operation, missing value field"),
    ("from", ("move", "copy"), "operation, missing from field"),
    ("path", ("add", "replace", "remove", "test", "move", "copy"), "operation missing path field"),
)


def _steps(pointer: Any) -> list[str]:
    """Whatever stands before the first slash does not count, as in the original."""
    if not isinstance(pointer, str):
        raise _Inapplicable
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _get(doc: Any, steps: list[str]) -> Any:
    for step in steps:
        doc = doc[_index(step, len(doc))] if isinstance(doc, list) else doc[step]
    return doc


def _index(step: str, length: int) -> int:
    number = int(step)
    if not -length <= number < length:
        raise _Inapplicable
    return number


def _put(doc: Any, steps: list[str], value: Any, replacing: bool) -> Any:
    if not steps:
        return value
    parent, last = _get(doc, steps[:-1]), steps[-1]
    if isinstance(parent, list):
        if replacing:
            parent[_index(last, len(parent))] = value
        else:
            parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1), value)
    elif replacing and last not in parent:
        raise _Inapplicable
    else:
        parent[last] = value
    return doc


def _drop(doc: Any, steps: list[str]) -> Any:
    parent, last = _get(doc, steps[:-1]), steps[-1]
    del parent[_index(last, len(parent)) if isinstance(parent, list) else last]
    return doc


def _add(doc: Any, operation: Mapping[str, Any]) -> Any:
    return _put(doc, _steps(operation["path"]), copy.deepcopy(operation.get("value")), replacing=False)


def _replace(doc: Any, operation: Mapping[str, Any]) -> Any:
    return _put(doc, _steps(operation["path"]), copy.deepcopy(operation.get("value")), replacing=True)


def _remove(doc: Any, operation: Mapping[str, Any]) -> Any:
    return _drop(doc, _steps(operation["path"]))


def _move(doc: Any, operation: Mapping[str, Any]) -> Any:
    value = _get(doc, _steps(operation["from"]))
    return _put(_drop(doc, _steps(operation["from"])), _steps(operation["path"]), value, replacing=False)


def _copy(doc: Any, operation: Mapping[str, Any]) -> Any:
    value = copy.deepcopy(_get(doc, _steps(operation["from"])))
    return _put(doc, _steps(operation["path"]), value, replacing=False)


def _test(doc: Any, operation: Mapping[str, Any]) -> Any:
    steps = _steps(operation["path"])
    try:
        found = _get(doc, steps)
    except (KeyError, IndexError):
        found = None
    if not same(found, operation.get("value")):
        raise _Inapplicable
    return doc


_OPERATIONS = {"add": _add, "replace": _replace, "remove": _remove, "move": _move, "copy": _copy, "test": _test}
