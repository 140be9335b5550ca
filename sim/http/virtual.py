"""What can be read although nothing stores it: namespaces (every name is one), and the CRDs of the custom resources."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from foreman.api import format_time
from foreman.api.crd import CRD_KINDS, crd
from sim.apiserver import ApiServer
from sim.http.selectors import selection
from sim.http.status import Json, Name, already_exists, not_found, not_supported

_ALWAYS = ("default",)


@dataclass(frozen=True)
class Virtual:
    group: str
    version: str
    kind: str
    plural: str
    short_names: tuple[str, ...]
    verbs: tuple[str, ...]
    namespaced: bool = False
    custom: bool = False

    @property
    def selectable(self) -> frozenset[str]:
        return frozenset({"metadata.name"})

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> Name:
        return Name(self.group, self.plural)


NAMESPACES = Virtual("", "v1", "Namespace", "namespaces", ("ns",), ("create", "get", "list"))
CRDS = Virtual(
    *("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"),
    short_names=("crd", "crds"),
    verbs=("create", "get", "list", "patch", "update", "watch"),
)
_ALL = {("", "v1", "namespaces"): NAMESPACES, ("apiextensions.k8s.io", "v1", "customresourcedefinitions"): CRDS}


def virtual_at(group: str, version: str, plural: str) -> Virtual | None:
    return _ALL.get((group, version, plural))


def virtual_in(group: str, version: str) -> list[Virtual]:
    return [each for each in _ALL.values() if (each.group, each.version) == (group, version)]


def virtual_versions() -> Iterable[tuple[str, str]]:
    return {(each.group, each.version) for each in _ALL.values()}


class Virtuals:
    """Makes them up from the store. What is written to them is not kept: a namespace is there already, a CRD is as it is."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.born = format_time(server.wall())

    def all(self, of: Virtual) -> list[Json]:
        if of is CRDS:
            return [self._crd(kind.PLURAL) for kind in sorted(CRD_KINDS, key=lambda kind: kind.PLURAL)]
        used = {obj.metadata.namespace for table in self.server.tables.values() for obj in table.values()}
        return [self._namespace(name) for name in sorted({*used, *_ALWAYS} - {None})]

    def select(self, of: Virtual, query: Mapping[str, str]) -> list[Json]:
        """Those that the query's selectors select. Raises Refusal."""
        wanted = selection(of, query)
        return [doc for doc in self.all(of) if wanted.matches(doc)]

    def get(self, of: Virtual, name: str) -> Json:
        """Raises Refusal."""
        if of is NAMESPACES:
            return self._namespace(name)
        found = next((kind for kind in CRD_KINDS if f"{kind.PLURAL}.{kind.GROUP}" == name), None)
        if found is None:
            raise not_found(of.resource, name)
        return self._crd(found.PLURAL)

    def write(self, of: Virtual, verb: str, name: str) -> Json:
        """Raises Refusal."""
        if verb not in of.verbs:
            raise not_supported(of.resource, verb)
        if verb == "create" and (of is CRDS or name in _ALWAYS):
            self.get(of, name)
            raise already_exists(of.resource, name)
        return self.get(of, name)

    def _namespace(self, name: str | None) -> Json:
        made = self._object(NAMESPACES, str(name))
        made["metadata"]["labels"] = {"kubernetes.io/metadata.name": name}
        return made | {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}

    def _crd(self, plural: str) -> Json:
        (kind,) = (kind for kind in CRD_KINDS if plural == kind.PLURAL)
        definition = crd(kind)
        made = self._object(CRDS, definition["metadata"]["name"])
        names = {**definition["spec"]["names"]}
        told = [("NamesAccepted", "NoConflicts", "no conflicts found")]
        told.append(("Established", "InitialNamesAccepted", "the initial names have been accepted"))
        conditions = [
            {"lastTransitionTime": self.born, "message": message, "reason": reason, "status": "True", "type": type_}
            for type_, reason, message in told
        ]
        status = {"acceptedNames": names, "conditions": conditions, "storedVersions": [kind.VERSION]}
        return made | {"spec": {"conversion": {"strategy": "None"}, **definition["spec"]}, "status": status}

    def _object(self, of: Virtual, name: str) -> Json:
        uid = hashlib.sha256(f"{of.kind}/{name}".encode()).hexdigest()
        uid = f"{uid[:8]}-{uid[8:12]}-4{uid[13:16]}-8{uid[17:20]}-{uid[20:32]}"
        metadata = {"name": name, "uid": uid, "resourceVersion": "1", "creationTimestamp": self.born}
        return {"apiVersion": of.api_version, "kind": of.kind, "metadata": metadata}
