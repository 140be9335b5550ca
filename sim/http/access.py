"""Who may do what: bearer tokens, an authorizer, both given from outside. Without them everybody may do everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sim.http.request import Request
from sim.http.served import dig
from sim.http.status import Json, Name, Refusal, forbidden

Authorize = Callable[[str, str, str, str, str, str, str], bool]
"""(user, verb, group, resource, subresource, namespace, name) -> whether it is allowed; '' for what the request lacks."""
REVIEWS = ("authorization.k8s.io", "selfsubjectaccessreviews")


class Access:
    """`tokens`: token -> user; None lets everybody in as `default_user`."""

    def __init__(
        self, tokens: Mapping[str, str] | None = None, authorize: Authorize | None = None, default_user: str = "admin"
    ) -> None:
        self.tokens = tokens
        self.authorize = authorize
        self.default_user = default_user

    def user_of(self, headers: Mapping[str, str]) -> str:
        """Raises Refusal for a token that is missing or wrong."""
        if self.tokens is None:
            return self.default_user
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        user = self.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise Refusal(401, "Unauthorized", "Unauthorized")
        return user

    def check(self, request: Request) -> None:
        """Raises Refusal for what the user may not do."""
        target = request.target
        if self.authorize is None or target is None:
            return
        if (target.group, target.resource) == REVIEWS:
            return
        asked = (target.group, target.resource, target.subresource, target.namespace, target.name)
        if self.authorize(request.user, request.verb, *asked):
            return
        what = target.resource + (f"/{target.subresource}" if target.subresource else "")
        where = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
        why = f'User "{request.user}" cannot {request.verb} resource "{what}" in API group "{target.group}" {where}'
        raise forbidden(Name(target.group, target.resource), target.name, why)

    def review(self, user: str, asked: Any) -> Json:
        """The answer to a SelfSubjectAccessReview: may this user do what is asked?"""
        given = dig(asked, "spec", "resourceAttributes") or {}
        fields = ("verb", "group", "resource", "subresource", "namespace", "name")
        allowed = self.authorize is None or self.authorize(user, *(str(given.get(field, "")) for field in fields))
        body = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}}
        return {**body, "spec": {"resourceAttributes": given}, "status": {"allowed": allowed}}
