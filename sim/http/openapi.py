"""OpenAPI v3 as far as kubectl reads it: the schemas for `explain`, and which options a patch takes."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from sim.http.documents import encode
from sim.http.served import Served, groups
from sim.http.status import Json
from sim.http.virtual import virtual_in, virtual_versions

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_DESCRIPTIONS = {
    "apiVersion": "The version of the schema of this object.",
    "kind": "What this object is.",
    "metadata": "Standard object's metadata.",
}
_OPTIONS = ("dryRun", "fieldManager", "fieldValidation", "force", "pretty")


@cache
def index() -> Json:
    """What /openapi/v3 answers."""
    paths = {}
    for group, version in sorted({*groups(), *virtual_versions()}):
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        digest = hashlib.sha512(encode(document(group, version))).hexdigest().upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


@cache
def document(group: str, version: str) -> Json | None:
    """The document of one group and version, None when there is none."""
    served = groups().get((group, version), ())
    virtual = virtual_in(group, version)
    if not served and not virtual:
        return None
    schemas: Json = {_META: _object_meta()}
    paths: Json = {}
    for each in served:
        schemas[_schema_name(each.group, each.version, each.kind)] = _schema(each)
    for one in virtual:
        schemas[_schema_name(one.group, one.version, one.kind)] = _stub(one.group, one.version, one.kind)
    both: list[Any] = [*served, *virtual]
    for each in both:
        paths[_path(each)] = {"patch": _patch(each.group, each.version, each.kind)}
    info = {"title": "Kubernetes", "version": "v1.36.4"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _path(each: Any) -> str:
    root = f"/apis/{each.group}/{each.version}" if each.group else f"/api/{each.version}"
    return f"{root}{'/namespaces/{namespace}' if each.namespaced else ''}/{each.plural}/{{name}}"


def _patch(group: str, version: str, kind: str) -> Json:
    options = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _OPTIONS]
    return {
        "operationId": f"patch{kind}",
        "parameters": options,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": _gvk(group, version, kind),
    }


def _gvk(group: str, version: str, kind: str) -> Json:
    return {"group": group, "version": version, "kind": kind}


def _schema_name(group: str, version: str, kind: str) -> str:
    return ".".join([*reversed(group.split(".")), version, kind]) if group else f"io.k8s.api.core.{version}.{kind}"


def _schema(served: Served) -> Json:
    properties = dict(served.schema["properties"])
    for name, text in _DESCRIPTIONS.items():
        properties[name] = {"type": "string", "description": text}
    reference = {"$ref": f"#/components/schemas/{_META}"}
    properties["metadata"] = {"description": _DESCRIPTIONS["metadata"], "allOf": [reference], "default": {}}
    told = " ".join((served.model.__doc__ or "").split())
    named = {"x-kubernetes-group-version-kind": [_gvk(served.group, served.version, served.kind)]}
    return {**served.schema, "description": told, "properties": properties, **named}


def _stub(group: str, version: str, kind: str) -> Json:
    properties = {name: {"type": "string", "description": text} for name, text in _DESCRIPTIONS.items()}
    properties["metadata"] = {"$ref": f"#/components/schemas/{_META}"}
    named = {"x-kubernetes-group-version-kind": [_gvk(group, version, kind)]}
    return {"type": "object", "description": kind, "properties": properties, **named}


def _object_meta() -> Json:
    text = {"type": "string"}
    texts = {"type": "object", "additionalProperties": text}
    properties: Json = dict.fromkeys(("name", "generateName", "namespace", "uid", "resourceVersion"), text)
    properties |= {"creationTimestamp": {**text, "format": "date-time"}, "labels": texts, "annotations": texts}
    properties |= {"finalizers": {"type": "array", "items": text}, "generation": {"type": "integer", "format": "int64"}}
    description = "ObjectMeta is metadata that all persisted resources must have."
    return {"type": "object", "description": description, "properties": properties}


@cache
def swagger() -> Json:
    """OpenAPI v2, for clients that know nothing newer."""
    definitions = {
        _schema_name(each.group, each.version, each.kind): _schema(each) for of in groups().values() for each in of
    }
    text = encode(definitions | {_META: _object_meta()}).decode().replace("#/components/schemas/", "#/definitions/")
    info = {"title": "Kubernetes", "version": "v1.36.4"}
    return {"swagger": "2.0", "info": info, "paths": {}, "definitions": json.loads(text)}
