"""The forms an answer may take: the object itself, its metadata alone, or a row of a Table; as JSON or YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import yaml

from sim.http.documents import encode
from sim.http.served import Served, dig
from sim.http.status import Json, bad_request, not_acceptable

_MEDIA = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_MEDIA_WATCH = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
_META = "meta.k8s.io/v1"
_NAME = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client "
    "to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and "
    "configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)


class Form(NamedTuple):
    """What the client accepts: `shape` is '', 'Table', 'PartialObjectMetadata' or 'PartialObjectMetadataList'."""

    shape: str = ""
    yaml: bool = False


def form_of(accept: str, watching: bool = False) -> Form:
    """The first form in an Accept header that can be served. Raises Refusal."""
    for clause in accept.split(",") if accept.strip() else ["*/*"]:
        media, *options = (part.strip() for part in clause.split(";"))
        told = dict(option.partition("=")[::2] for option in options)
        shape = told.get("as", "")
        if shape and (told.get("g"), told.get("v")) not in (("meta.k8s.io", "v1"), ("meta.k8s.io", "v1beta1")):
            continue
        if shape not in ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
            continue
        if media in ("application/json", "*/*", "application/*"):
            return Form(shape)
        if media == "application/yaml" and not watching:
            return Form(shape, yaml=True)
    raise not_acceptable(_MEDIA_WATCH if watching else _MEDIA)


def rendered(body: Any, form: Form, pretty: bool) -> tuple[bytes, str]:
    """(bytes, content type)."""
    if form.yaml:
        return yaml.safe_dump(json.loads(encode(body)), sort_keys=True, allow_unicode=True).encode(), "application/yaml"
    text = json.dumps(body, indent=2, ensure_ascii=False).encode() if pretty else encode(body) + b"\n"
    return text, "application/json"


def partial(doc: Mapping[str, Any]) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": doc["metadata"]}


def listing(served: Served, docs: Sequence[Json], metadata: Json, form: Form, table: Tables) -> Json:
    """The list of `docs` in that form; `metadata`: resourceVersion, and continue and remainingItemCount where there is more."""
    if form.shape == "Table":
        return table.of(served, docs, metadata)
    if form.shape:
        items = [partial(doc) for doc in docs] or None
        return {"kind": "PartialObjectMetadataList", "apiVersion": _META, "metadata": metadata, "items": items}
    meta = {"continue": "", **metadata} if served.custom else metadata
    return {"apiVersion": served.api_version, "items": list(docs), "kind": f"{served.kind}List", "metadata": meta}


class Column(NamedTuple):
    name: str
    type: str
    description: str
    cell: Callable[[Mapping[str, Any]], Any]


class Tables:
    """Makes Tables. `now`: unix seconds, for ages; `include`: what rows carry besides cells, as includeObject says."""

    def __init__(self, now: int, include: str = "") -> None:
        if include not in ("", "Metadata", "Object", "None"):
            why = f"includeObject: Invalid value: \"{include}\": must be 'Metadata', 'Object', 'None', or empty"
            raise bad_request(f"Unable to convert to Table as requested: {why}")
        self.now = now
        self.include = include

    def of(self, served: Served, docs: Iterable[Json], metadata: Json, headed: bool = True) -> Json:
        columns = columns_of(served)
        heads = [_definition(served, column) for column in columns] if headed else None
        rows = [{"cells": self.cells(columns, doc), "object": self._object(doc)} for doc in docs]
        table = {"kind": "Table", "apiVersion": _META, "metadata": metadata}
        return table | {"columnDefinitions": heads, "rows": rows}

    def cells(self, columns: Sequence[Column], doc: Mapping[str, Any]) -> list[Any]:
        return [self._cell(column, column.cell(doc)) for column in columns]

    def _cell(self, column: Column, value: Any) -> Any:
        if value is None:
            return None
        if column.type == "date":
            return age(value, self.now)
        if column.type == "string":
            return value if isinstance(value, str) else encode(value).decode()
        return value if isinstance(value, (int, float)) else None

    def _object(self, doc: Json) -> Json | None:
        if self.include == "None":
            return None
        return doc if self.include == "Object" else partial(doc)


def _definition(served: Served, column: Column) -> Json:
    form = "name" if column.name == "Name" else ""
    return {"name": column.name, "type": column.type, "format": form, "description": column.description, "priority": 0}


def columns_of(served: Served) -> Sequence[Column]:
    name = Column("Name", "string", _NAME, lambda doc: dig(doc, "metadata", "name") or "")
    if served.kind in _BUILTIN:
        return [name, *(Column(title, sort, "", cell) for title, sort, cell in _BUILTIN[served.kind])]
    given = served.model.COLUMNS or (("Age", "date", ".metadata.creationTimestamp"),)
    what = "Custom resource definition column (in JSONPath format): "
    return [name, *(Column(title, sort, what + path, json_path(path)) for title, sort, path in given)]


def json_path(path: str) -> Callable[[Mapping[str, Any]], Any]:
    """A reader for the JSON paths of printer columns: .a.b.c and .a[?(@.type=="X")].b; None for what is not there."""
    steps = re.findall(r'\.(\w+)|\[\?\(@\.(\w+)==["\']([^"\']*)["\']\)\]', path)

    def read(doc: Any) -> Any:
        for name, key, wanted in steps:
            if name:
                doc = doc.get(name) if isinstance(doc, dict) else None
            else:
                items = doc if isinstance(doc, list) else []
                doc = next((each for each in items if isinstance(each, dict) and each.get(key) == wanted), None)
        return doc

    return read


_AGE = ("Age", "date", json_path(".metadata.creationTimestamp"))


def _about(doc: Mapping[str, Any]) -> str:
    return f"{dig(doc, 'involvedObject', 'kind')}/{dig(doc, 'involvedObject', 'name')}".lower()


_BUILTIN: Mapping[str, Sequence[tuple[str, str, Callable[[Mapping[str, Any]], Any]]]] = {
    "ConfigMap": (("Data", "integer", lambda doc: len(doc.get("data", {})) + len(doc.get("binaryData", {}))), _AGE),
    "Lease": (("Holder", "string", json_path(".spec.holderIdentity")), _AGE),
    "Namespace": (("Status", "string", json_path(".status.phase")), _AGE),
    "CustomResourceDefinition": (("Created At", "string", json_path(".metadata.creationTimestamp")),),
    "Event": (
        ("Last Seen", "date", lambda doc: doc.get("lastTimestamp") or doc.get("eventTime")),
        ("Type", "string", json_path(".type")),
        ("Reason", "string", json_path(".reason")),
        ("Object", "string", _about),
        ("Message", "string", json_path(".message")),
    ),
}


def age(time: Any, now: int) -> str:
    """How long ago `time` (RFC 3339) was, as kubectl tells it: '42s', '5m3s', '3h', '2d4h'."""
    try:
        seconds = now - int(datetime.fromisoformat(str(time)).timestamp())
    except ValueError:
        return "<unknown>"
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    years = days // 365
    steps = (
        (seconds < 120, f"{seconds}s"),
        (minutes < 10, _both(minutes, "m", seconds % 60, "s")),
        (minutes < 180, f"{minutes}m"),
        (hours < 8, _both(hours, "h", minutes % 60, "m")),
        (hours < 48, f"{hours}h"),
        (days < 8, _both(days, "d", hours % 24, "h")),
        (years < 2, f"{days}d"),
        (years < 8, _both(years, "y", days % 365, "d")),
    )
    return next((text for fits, text in steps if fits), f"{years}y")


def _both(large: int, unit: str, small: int, below: str) -> str:
    return f"{large}{unit}{small}{below}" if small else f"{large}{unit}"
