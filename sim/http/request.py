"""What a request asks for: who, which verb on which resource, with which options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sim.http.ownership import manager_in
from sim.http.served import Served, served_at
from sim.http.status import Cause, Name, Refusal, bad_request, invalid

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_DELETE = ("Foreground", "Background", "Orphan")


@dataclass(frozen=True)
class Target:
    """What a path names. `resource` is the plural; `namespace`, `name` and `subresource` are '' when the path has none."""

    group: str
    version: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def served(self) -> Served | None:
        found = served_at(self.group, self.version, self.resource)
        fits = found is not None and (found.namespaced or not self.namespace)
        if found is not None and found.namespaced and not self.namespace and self.name:
            return None
        return found if fits else None


def target_of(path: str) -> Target | None:
    """/apis/G/V/... or /api/V/...; None for any other path."""
    parts = path.strip("/").split("/")
    if parts[0] == "apis" and len(parts) >= 4:
        group, version, *rest = parts[1:]
    elif parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    resource, name, below = (*rest, "", "")[:3]
    return Target(group, version, resource, namespace, name, below)


@dataclass
class Request:
    """One request, as far as it has been understood. `warnings` go out with the answer."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    user: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def target(self) -> Target | None:
        return target_of(self.path)

    @property
    def watching(self) -> bool:
        return flag(self.query, "watch")

    @property
    def verb(self) -> str:
        """As RBAC names it: get, list, watch, create, update, patch, delete, deletecollection."""
        verb = _VERBS.get(self.method, self.method.lower())
        target = self.target
        if target is None or target.name:
            return verb
        if verb == "get":
            return "watch" if self.watching else "list"
        return "deletecollection" if verb == "delete" else verb

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def manager(self) -> str:
        return manager_in(self.query, self.headers.get("User-Agent", ""))

    @property
    def dry_run(self) -> bool:
        return bool(self.query.get("dryRun"))

    def warn(self, messages: list[str]) -> None:
        self.warnings += [each for each in messages if each not in self.warnings]


def flag(query: Mapping[str, str], name: str) -> bool:
    """Any value but 'false' and '0' is true, an empty one as well."""
    return name in query and query[name].lower() not in ("false", "0")


def number(query: Mapping[str, str], name: str, default: int = 0) -> int:
    text = query.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def check_options(request: Request, kind: str) -> None:
    """Judge the options of a write: dryRun, fieldManager, fieldValidation, force. `kind`: e.g. 'CreateOptions'."""
    query, causes = request.query, []
    applying = request.media_type in ("application/apply-patch+yaml", "application/apply-patch+cbor")
    if kind == "PatchOptions" and not applying and "force" in query:
        causes.append(Cause("FieldValueForbidden", "force", "Forbidden: may not be specified for non-apply patch"))
    if kind == "PatchOptions" and applying and not query.get("fieldManager"):
        causes.append(Cause("FieldValueRequired", "fieldManager", "Required value: is required for apply patch"))
    if len(query.get("fieldManager", "")) > 128:
        causes.append(Cause("FieldValueTooLong", "fieldManager", "Too long: may not be more than 128 bytes"))
    causes += _dry_run_faults(query.get("dryRun"))
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        supported = 'supported values: "", "Ignore", "Strict", "Warn"'
        causes.append(
            Cause("FieldValueNotSupported", "fieldValidation", f'Unsupported value: "{validation}": {supported}')
        )
    refuse_options(kind, causes)


def _dry_run_faults(value: Any) -> list[Cause]:
    if value in (None, "", "All", ["All"], []):
        return []
    told = f'["{value}"]' if isinstance(value, str) else "[" + ",".join(f'"{each}"' for each in value) + "]"
    return [Cause("FieldValueNotSupported", "dryRun", f'Unsupported value: {told}: supported values: "All"')]


def refuse_options(kind: str, causes: list[Cause]) -> None:
    if causes:
        raise invalid(Name("meta.k8s.io", kind), "", causes)


def check_delete(options: Mapping[str, Any]) -> None:
    """Judge DeleteOptions. Raises Refusal."""
    causes = []
    policy = options.get("propagationPolicy")
    if policy is not None and policy not in _DELETE:
        supported = 'supported values: "Foreground", "Background", "Orphan", "nil"'
        causes.append(
            Cause("FieldValueNotSupported", "propagationPolicy", f'Unsupported value: "{policy}": {supported}')
        )
    if policy is not None and options.get("orphanDependents") is not None:
        why = "Invalid value: true: orphanDependents and deletionPropagation cannot be both set"
        causes.append(Cause("FieldValueInvalid", "propagationPolicy", why))
    refuse_options("DeleteOptions", causes + _dry_run_faults(options.get("dryRun")))


def version_of(text: str, wrap: str = "") -> int:
    """A resourceVersion as a number. Raises Refusal; with `wrap` 400 beginning with it, else 500."""
    if not text:
        return 0
    if text.isdecimal():
        return int(text)
    why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
    raise bad_request(f"{wrap}{why}") if wrap else Refusal(500, "", why)
