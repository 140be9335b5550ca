"""Protobuf as far as kubectl insists on it: what `kubectl create configmap`, `create namespace` and `auth can-i` send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MAGIC = b"k8s\0"
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_TEXT, _MAP, _FLAG = "text", "map", "flag"
_Shape = Mapping[int, tuple[str, Any]]
_META: _Shape = {
    1: ("name", _TEXT),
    2: ("generateName", _TEXT),
    3: ("namespace", _TEXT),
    11: ("labels", _MAP),
    12: ("annotations", _MAP),
}
_ASKED: _Shape = {
    number: (name, _TEXT)
    for number, name in enumerate(("namespace", "verb", "group", "version", "resource", "subresource", "name"), 1)
}
_SHAPES: Mapping[str, _Shape] = {
    "ConfigMap": {1: ("metadata", _META), 2: ("data", _MAP), 4: ("immutable", _FLAG)},
    "Namespace": {1: ("metadata", _META)},
    "SelfSubjectAccessReview": {1: ("metadata", _META), 2: ("spec", {1: ("resourceAttributes", _ASKED)})},
}
_ENVELOPE: _Shape = {1: ("type", {1: ("apiVersion", _TEXT), 2: ("kind", _TEXT)}), 2: ("raw", bytes)}


class Unreadable(ValueError):
    """Not protobuf of a kind that is known here."""


def from_protobuf(body: bytes) -> dict[str, Any]:
    """The object in a Kubernetes protobuf envelope, as it would be in JSON. Raises Unreadable."""
    if not body.startswith(MAGIC):
        raise Unreadable("no Kubernetes protobuf")
    try:
        envelope = _message(body[len(MAGIC) :], _ENVELOPE)
        typed: dict[str, Any] = envelope["type"]
        return typed | _message(envelope.get("raw", b""), _SHAPES[typed["kind"]])
    except (KeyError, IndexError, UnicodeDecodeError) as error:
        raise Unreadable(f"cannot read this protobuf: {error}") from None


def _message(data: bytes, shape: _Shape) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for number, value in _fields(data):
        if number not in shape:
            continue
        name, sort = shape[number]
        if sort is _MAP:
            entry = _message(value, {1: ("key", _TEXT), 2: ("value", _TEXT)})
            made.setdefault(name, {})[entry.get("key", "")] = entry.get("value", "")
        elif sort is _TEXT:
            made[name] = value.decode()
        elif sort is _FLAG:
            made[name] = bool(value)
        else:
            made[name] = value if sort is bytes else _message(value, sort)
    return made


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, bytes or integer)."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        if tag & 7 == 0:
            value, place = _varint(data, place)
            yield tag >> 3, value
        elif tag & 7 == 2:
            size, place = _varint(data, place)
            yield tag >> 3, data[place : place + size]
            place += size
        else:
            place += {1: 8, 5: 4}[tag & 7]


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
