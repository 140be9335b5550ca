"""CustomResourceDefinitions from the models: structural schemas, as an API server demands them.

A structural schema has no $ref, no anyOf with types, no `properties` beside `additionalProperties`, and a type everywhere.
Optional fields are left out rather than null, as in CRDs generated from Go. Only defaults that say something are in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from .agent import Agent, ModelProfile
from .fleetnode import FleetNode
from .meta import INT32_MAX, Resource
from .task import AgenticTask
from .workload import Workload

CRD_KINDS: tuple[type[Resource], ...] = (AgenticTask, FleetNode, Workload, Agent, ModelProfile)

_Schema = dict[str, Any]
_KEPT = ("type", "format", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum")


def crd(kind: type[Resource]) -> _Schema:
    """The CustomResourceDefinition (apiextensions.k8s.io/v1) of `kind`."""
    name = kind.__name__
    names = {"kind": name, "listKind": f"{name}List", "plural": kind.PLURAL, "singular": name.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.PLURAL}.{kind.GROUP}"},
        "spec": {
            "group": kind.GROUP,
            "names": names | ({"shortNames": list(kind.SHORT_NAMES)} if kind.SHORT_NAMES else {}),
            "scope": "Namespaced" if kind.NAMESPACED else "Cluster",
            "versions": [_version(kind)],
        },
    }


def crd_yaml(kind: type[Resource]) -> str:
    """The same as YAML, the bytes that `crds/` holds."""
    return yaml.safe_dump(crd(kind), sort_keys=False, width=120, allow_unicode=True)


def crd_file_name(kind: type[Resource]) -> str:
    return f"{kind.GROUP}_{kind.PLURAL}.yaml"


def _version(kind: type[Resource]) -> _Schema:
    version: _Schema = {
        "name": kind.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema(kind)},
        "additionalPrinterColumns": [
            {"name": name, "type": type_, "jsonPath": path} for name, type_, path in kind.COLUMNS
        ],
    }
    if "status" in kind.model_fields:
        version["subresources"] = {"status": {}}
    if kind.SELECTABLE:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.SELECTABLE]
    return version


def schema(kind: type[Resource]) -> _Schema:
    """The structural schema of `kind`; metadata is the API server's own affair."""
    raw = kind.model_json_schema(by_alias=True, mode="validation")
    made = _structural(raw, raw.get("$defs", {}))
    made["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    for path, rules in kind.RULES:
        _at(made, path).update(rules)
    return made


def _at(made: _Schema, path: str) -> _Schema:
    """The part of a schema that 'spec.tools[]' names."""
    for name in path.split("."):
        made = made["properties"][name.removesuffix("[]")]
        made = made["items"] if name.endswith("[]") else made
    return made


def _structural(raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> _Schema:
    raw = _resolved(raw, definitions)
    made = {word: raw[word] for word in _KEPT if word in raw}
    _shorten_integer(made)
    default = _telling(raw.get("default"))
    if default is not None:
        made["default"] = default
    _FILL.get(made["type"], _fill_nothing)(made, raw, definitions)
    return made


def _resolved(raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """`raw` with its $ref replaced by what it names and `X | None` by X."""
    if "$ref" in raw:
        return _resolved({**definitions[raw["$ref"].rpartition("/")[2]], **_without(raw, "$ref")}, definitions)
    if "anyOf" in raw:
        (only,) = (each for each in raw["anyOf"] if each.get("type") != "null")
        return _resolved({**only, **_without(raw, "anyOf")}, definitions)
    if "const" in raw:
        return {**_without(raw, "const"), "enum": [raw["const"]]}
    return raw


def _fill_object(made: _Schema, raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> None:
    properties = raw.get("properties")
    values = raw.get("additionalProperties", True)
    if properties:
        made["properties"] = {name: _structural(each, definitions) for name, each in properties.items()}
        if raw.get("required"):
            made["required"] = sorted(raw["required"])
        _mark_conditions(made["properties"])
    elif isinstance(values, Mapping):
        made["additionalProperties"] = _structural(values, definitions)
    else:
        made["x-kubernetes-preserve-unknown-fields"] = True


def _fill_array(made: _Schema, raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> None:
    made["items"] = _structural(raw["items"], definitions)


def _fill_nothing(made: _Schema, raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> None:
    """Scalars hold nothing further."""


_FILL: Mapping[str, Callable[[_Schema, Mapping[str, Any], Mapping[str, Any]], None]] = {
    "object": _fill_object,
    "array": _fill_array,
}


def _shorten_integer(made: _Schema) -> None:
    """Bounds that only say 32 bits become the format that says so."""
    if made["type"] != "integer":
        return
    made["format"] = "int32" if made.get("maximum", INT32_MAX + 1) <= INT32_MAX else "int64"
    if made.get("maximum") == INT32_MAX:
        del made["maximum"]
    if made.get("minimum") == -INT32_MAX - 1:
        del made["minimum"]


def _mark_conditions(properties: _Schema) -> None:
    if "conditions" in properties:
        properties["conditions"] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}


def _telling(default: Any) -> Any:
    """`default` without what goes without saying, None when nothing is left."""
    if isinstance(default, Mapping):
        default = {name: told for name, value in default.items() if (told := _telling(value)) is not None}
    return default or None


def _without(raw: Mapping[str, Any], name: str) -> _Schema:
    return {key: value for key, value in raw.items() if key != name}
