"""Who may do what, by the RBAC objects alone: the rules of Kubernetes' RBAC authorizer, without the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

Object = Mapping[str, Any]
SERVICE_ACCOUNT = "system:serviceaccount:"


def groups_of(user: str) -> frozenset[str]:
    """The groups every authenticated user is in; a service account is in two more."""
    groups = {"system:authenticated"}
    if user.startswith(SERVICE_ACCOUNT):
        namespace = user.removeprefix(SERVICE_ACCOUNT).partition(":")[0]
        groups |= {"system:serviceaccounts", f"system:serviceaccounts:{namespace}"}
    return frozenset(groups)


class Grant(NamedTuple):
    """A rule bound to subjects; `namespace` None: everywhere."""

    subjects: tuple[Object, ...]
    namespace: str | None
    rule: Object

    def covers(self, user: str) -> bool:
        return any(_is(subject, user) for subject in self.subjects)

    def permits(self, verb: str, group: str, resource: str, name: str) -> bool:
        rule = self.rule
        names = rule.get("resourceNames")
        return (
            _listed(verb, rule["verbs"])
            and _listed(group, rule.get("apiGroups", ()))
            and _listed(resource, rule.get("resources", ()))
            and (not names or name in names)
        )


class Rbac:
    """The grants that `objects` make: ClusterRoles, Roles and their bindings; other kinds are passed over."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self.grants = list(_grants(list(objects)))

    def authorize(
        self,
        user: str,
        verb: str,
        group: str,
        resource: str,
        subresource: str = "",
        namespace: str = "",
        name: str = "",
    ) -> bool:
        """Whether `user` (such as system:serviceaccount:NAMESPACE:NAME) may. `namespace` is '' for a cluster-wide request,
        `name` for list, watch and create, as the API server sees them."""
        wanted = f"{resource}/{subresource}" if subresource else resource
        return any(
            grant.namespace in (None, namespace)
            and grant.covers(user)
            and grant.permits(verb, group, wanted, "" if verb == "create" else name)
            for grant in self.grants
        )

    def rights(self, user: str) -> set[tuple[str, str]]:
        """Every (verb, resource) the user has anywhere, resource as 'group/resource' or 'group/resource/subresource'."""
        return {
            (verb, f"{group}/{resource}")
            for grant in self.grants
            if grant.covers(user)
            for verb in grant.rule["verbs"]
            for group in grant.rule.get("apiGroups", ())
            for resource in grant.rule.get("resources", ())
        }


def _grants(objects: list[Object]) -> Iterator[Grant]:
    roles = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): each.get("rules") or ()
        for each in objects
        if each["kind"] in ("ClusterRole", "Role")
    }
    for binding in objects:
        if binding["kind"] in ("ClusterRoleBinding", "RoleBinding"):
            namespace = binding["metadata"].get("namespace")
            ref = binding["roleRef"]
            for rule in roles[ref["kind"], namespace if ref["kind"] == "Role" else None, ref["name"]]:
                yield Grant(tuple(binding["subjects"]), namespace, rule)


def _is(subject: Object, user: str) -> bool:
    if subject["kind"] == "ServiceAccount":
        return user == f"{SERVICE_ACCOUNT}{subject['namespace']}:{subject['name']}"
    if subject["kind"] == "Group":
        return subject["name"] in groups_of(user)
    return subject["name"] == user


def _listed(wanted: str, given: Iterable[str]) -> bool:
    """`*` is everything, subresources included."""
    return any(each in ("*", wanted) for each in given)
