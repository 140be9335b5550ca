"""Discovery: which groups, versions and resources there are, in both formats."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from sim.http.served import VERBS, Served, groups
from sim.http.status import Json
from sim.http.virtual import Virtual, virtual_in, virtual_versions

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.4",
    "gitCommit": "unknown",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.26",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_Any = Served | Virtual


def wants_aggregated(accept: str) -> bool:
    return "as=APIGroupDiscoveryList" in accept and "v=v2" in accept.replace("v=v2beta1", "")


def versions() -> list[tuple[str, str]]:
    """Every (group, version) but core's, in order."""
    return sorted({key for key in (*groups(), *virtual_versions()) if key[0]})


def _resources(group: str, version: str) -> list[_Any]:
    found: list[_Any] = [*groups().get((group, version), ()), *virtual_in(group, version)]
    return sorted(found, key=lambda each: each.plural)


def api_versions(address: str) -> Json:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": _addresses(address)}


def _addresses(address: str) -> list[Json]:
    return [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]


def group_list(address: str) -> Json:
    listed = [_group(name, of) | {"serverAddressByClientCIDRs": _addresses(address)} for name, of in _by_group()]
    return {"kind": "APIGroupList", "groups": listed}


def _by_group() -> Iterable[tuple[str, list[str]]]:
    names = list(dict.fromkeys(group for group, _ in versions()))
    return [(name, [version for group, version in versions() if group == name]) for name in names]


def _group(name: str, of: list[str]) -> Json:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in of]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group(name: str) -> Json | None:
    of = dict(_by_group()).get(name)
    return None if of is None else {"kind": "APIGroup", "apiVersion": "v1", **_group(name, of)}


def resource_list(group: str, version: str) -> Json | None:
    """What /apis/GROUP/VERSION answers; None when there is no such version."""
    resources = _resources(group, version)
    if not resources:
        return None
    listed = [told for each in resources for told in _told(each)]
    api_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": listed}


def _told(each: _Any) -> Iterable[Json]:
    told: Json = {
        "name": each.plural,
        "singularName": each.kind.lower(),
        "namespaced": each.namespaced,
        "kind": each.kind,
        "verbs": list(_verbs(each)),
    }
    if short := _short_names(each):
        told["shortNames"] = list(short)
    yield told | {"storageVersionHash": _hash(f"{each.group}/{each.version}/{each.kind}")}
    if _has_status(each):
        verbs = ["get", "patch", "update"]
        below = {"name": f"{each.plural}/status", "singularName": "", "namespaced": each.namespaced}
        yield {**below, "kind": each.kind, "verbs": verbs}


def _verbs(each: _Any) -> tuple[str, ...]:
    return VERBS if isinstance(each, Served) else each.verbs


def _short_names(each: _Any) -> tuple[str, ...]:
    return each.model.SHORT_NAMES if isinstance(each, Served) else each.short_names


def _has_status(each: _Any) -> bool:
    return isinstance(each, Served) and each.has_status and each.custom


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def aggregated(core: bool) -> Json:
    """Every version with its resources, of core or of all the others."""
    of = [("", ["v1"])] if core else _by_group()
    items = [{"metadata": {"name": name} if name else {}, "versions": [_full(name, v) for v in vs]} for name, vs in of]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _full(group: str, version: str) -> Json:
    return {
        "version": version,
        "resources": [_whole(each) for each in _resources(group, version)],
        "freshness": "Current",
    }


def _whole(each: _Any) -> Json:
    kind = {"group": each.group, "version": each.version, "kind": each.kind}
    told: Json = {
        "resource": each.plural,
        "responseKind": kind,
        "scope": "Namespaced" if each.namespaced else "Cluster",
        "singularResource": each.kind.lower(),
        "verbs": list(_verbs(each)),
    }
    if short := _short_names(each):
        told["shortNames"] = list(short)
    if _has_status(each):
        told["subresources"] = [{"subresource": "status", "responseKind": kind, "verbs": ["get", "patch", "update"]}]
    return told


def root() -> dict[str, Any]:
    paths = ["/api", "/api/v1", "/apis", *(f"/apis/{group}/{version}" for group, version in versions())]
    return {"paths": sorted([*paths, "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"])}
