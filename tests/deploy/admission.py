"""What the ValidatingAdmissionPolicies refuse, evaluated as the API server does: match, conditions, variables, validations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import cel

Object = Mapping[str, Any]
NODE_NAME = "authentication.kubernetes.io/node-name"


class Review(NamedTuple):
    """One write as admission sees it. `operation`: CREATE, UPDATE or DELETE; `old`, `new`: in wire form; `node`: the one the
    token's pod runs on, '' for a token without."""

    user: str
    operation: str
    group: str
    resource: str
    subresource: str = ""
    old: Object | None = None
    new: Object | None = None
    node: str = ""

    def activation(self) -> dict[str, Any]:
        """The variables of a CEL expression. What is empty in a request is absent."""
        info: dict[str, Any] = {"username": self.user}
        if self.node:
            info["extra"] = {NODE_NAME: [self.node]}
        request: dict[str, Any] = {"operation": self.operation, "userInfo": info}
        if self.subresource:
            request["subResource"] = self.subresource
        return {"request": request, "object": self.new, "oldObject": self.old}


class Policy:
    """One ValidatingAdmissionPolicy that is bound with action Deny."""

    def __init__(self, policy: Object) -> None:
        self.name = policy["metadata"]["name"]
        spec = policy["spec"]
        self.rules = spec["matchConstraints"]["resourceRules"]
        self.fails_closed = spec["failurePolicy"] == "Fail"
        self.conditions = [cel.compile(each["expression"]) for each in spec.get("matchConditions", ())]
        self.variables = {each["name"]: cel.compile(each["expression"]) for each in spec.get("variables", ())}
        self.validations = [
            (cel.compile(each["expression"]), cel.compile(each.get("messageExpression") or repr(each["message"])))
            for each in spec["validations"]
        ]

    def concerns(self, review: Review) -> bool:
        wanted = f"{review.resource}/{review.subresource}" if review.subresource else review.resource
        return any(
            review.group in rule["apiGroups"] and wanted in rule["resources"] and review.operation in rule["operations"]
            for rule in self.rules
        )

    def refusals(self, review: Review) -> list[str]:
        """Why the review is refused; empty when it is admitted. An expression that cannot be evaluated raises."""
        context = review.activation()
        if not self.concerns(review) or not all(each.execute(context) for each in self.conditions):
            return []
        context["variables"] = {}
        for name, program in self.variables.items():
            context["variables"][name] = program.execute(context)
        return [message.execute(context) for holds, message in self.validations if not holds.execute(context)]


def policies(objects: Iterable[Object]) -> list[Policy]:
    """The policies among `objects` that a binding puts into force."""
    kept = list(objects)
    bound = {
        each["spec"]["policyName"]
        for each in kept
        if each["kind"] == "ValidatingAdmissionPolicyBinding" and "Deny" in each["spec"]["validationActions"]
    }
    found = (each for each in kept if each["kind"] == "ValidatingAdmissionPolicy")
    return [Policy(each) for each in found if each["metadata"]["name"] in bound]


def refusals(among: Iterable[Policy], review: Review) -> list[str]:
    return [why for policy in among for why in policy.refusals(review)]
