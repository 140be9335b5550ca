"""The resources a server serves, and what it knows of each: names, scope, schema, columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from foreman.api import KINDS
from foreman.api.crd import CRD_KINDS, schema
from foreman.api.meta import Resource
from sim.http.status import Json, Name

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_EVENT_FIELDS = (
    *("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid"),
    *("involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath"),
    *("reason", "reportingComponent", "source.component", "type"),
)


@dataclass(frozen=True)
class Served:
    """One resource. `custom`: a custom resource (a CRD's), which differs from a built-in in what a client may do."""

    model: type[Resource]
    kind: str

    @property
    def group(self) -> str:
        return self.model.GROUP

    @property
    def version(self) -> str:
        return self.model.VERSION

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def plural(self) -> str:
        return self.model.PLURAL

    @property
    def namespaced(self) -> bool:
        return self.model.NAMESPACED

    @cached_property
    def resource(self) -> Name:
        return Name(self.group, self.plural)

    @cached_property
    def called(self) -> Name:
        return Name(self.group, self.kind)

    @cached_property
    def custom(self) -> bool:
        return self.model in CRD_KINDS or self.model.GROUP.endswith(".llmkube.dev")

    @cached_property
    def has_status(self) -> bool:
        return "status" in self.model.model_fields

    @cached_property
    def schema(self) -> Json:
        made = schema(self.model)
        if self.kind == "ConfigMap":
            made["properties"]["binaryData"] = made["properties"]["data"]
            made["properties"]["immutable"] = {"type": "boolean"}
        return made

    @property
    def selectable(self) -> frozenset[str]:
        """The fields a field selector may name."""
        always = {"metadata.name", "metadata.namespace"} if self.namespaced else {"metadata.name"}
        more = _EVENT_FIELDS if self.kind == "Event" else (path.removeprefix(".") for path in self.model.SELECTABLE)
        return frozenset(always.union(more))

    def key(self, namespace: str | None, name: str) -> str:
        """The key of the store's table."""
        return f"{namespace}/{name}" if self.namespaced else name


@cache
def all_served() -> tuple[Served, ...]:
    return tuple(Served(model, kind) for kind, model in KINDS.items())


@cache
def _by_path() -> Mapping[tuple[str, str, str], Served]:
    return {(each.group, each.version, each.plural): each for each in all_served()}


def served_at(group: str, version: str, plural: str) -> Served | None:
    return _by_path().get((group, version, plural))


@cache
def served_kind(kind: str) -> Served:
    return next(each for each in all_served() if each.kind == kind)


@cache
def groups() -> Mapping[tuple[str, str], tuple[Served, ...]]:
    """(group, version) -> its resources in alphabetical order."""
    found: dict[tuple[str, str], list[Served]] = {}
    for each in sorted(all_served(), key=lambda served: (served.group, served.plural)):
        found.setdefault((each.group, each.version), []).append(each)
    return {key: tuple(value) for key, value in found.items()}


def dig(value: Any, *path: str) -> Any:
    """What lies at that path of nested maps, None when there is nothing."""
    for step in path:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value
