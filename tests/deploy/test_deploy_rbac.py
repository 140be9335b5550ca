"""Least privilege: each account may do exactly what its process is seen to do in the simulator."""

from __future__ import annotations

from typing import Any

import pytest
from manifests import BASE, EVERYTHING, of_kind
from rbac import Rbac

from foreman.api import KINDS
from foreman.election import LEASE_NAME
from foreman.operator import OperatorOptions
from sim.load import load
from sim.world import World

OPERATOR = "system:serviceaccount:foreman-system:foreman-operator"
POD = "system:serviceaccount:foreman-system:foreman-agent"
MAC = "system:serviceaccount:foreman-agents:mac-1"
GROUP = "foreman.llmkube.dev"
RBAC = Rbac(each.object for each in BASE)

# What none of the scenarios below happens to show.
UNSEEN = {
    OPERATOR: {
        ("delete", "/configmaps"): "audit records older than the retention, swept hourly",
        ("list", "/configmaps"): "the same sweep",
        ("delete", f"{GROUP}/fleetnodes"): "a node that has been Draining for ten minutes",
        ("create", "/events"): "news for people, told by the real process alone",
        ("patch", "/events"): "an Event that repeats is counted up",
        ("get", f"{GROUP}/agents"): "an Agent that the cache has not seen yet",
        ("get", f"{GROUP}/workloads"): "a plan that takes long to carry out is confirmed now and then",
        ("update", f"{GROUP}/workloads/finalizers"): "asked for by admission that guards blockOwnerDeletion",
        ("get", f"{GROUP}/agentictasks"): "shows nothing that list does not",
    },
    MAC: {
        ("patch", f"{GROUP}/fleetnodes"): "labels or roles that were changed by a flag",
        ("create", "/events"): "as the operator's",
        ("patch", "/events"): "as the operator's",
    },
}

SCENARIOS = [
    "cascade",
    "claim-race",
    "heterogeneous-fleet",
    "review-iteration",
    "node-flap",
    "scheduler-failover",
    "three-strikes",
    "zombie-agent",
]
VERBS = {"patch_status": "patch"}


Call = tuple[str, ...]
"""(user, verb, group, resource, subresource, namespace, name), as `authorize` takes them."""


def call_of(user: str, request: Any) -> Call:
    verb, args = request.verb, request.args
    if verb == "watch":
        kind, namespace, name = args[0].kind, args[0].namespace, ""
    elif verb == "list":
        kind, namespace, name = args[0], args[1], ""
    elif verb == "get":
        kind, namespace, name = args[0], args[2], args[1]
    else:
        kind, namespace, name = args[0].kind, args[0].metadata.namespace, args[0].metadata.name
    sub = "status" if verb == "patch_status" else ""
    of = KINDS[kind]
    return user, VERBS.get(verb, verb), of.GROUP, of.PLURAL, sub, namespace or "", name


def calls(name: str) -> set[Call]:
    """Every call of the operators and agents in a run of the scenario."""
    world = World(load(name), check=False)
    users = {"operator": OPERATOR, "agent": MAC}
    seen: set[Call] = set()

    def tap(request: Any, ok: bool, value: Any) -> None:
        role = world.roles.get(request.actor, "user")
        if role in users:
            seen.add(call_of(users[role], request))

    world.endpoint.tap = tap
    world.run()
    return seen


@pytest.fixture(scope="module")
def seen() -> set[Call]:
    return set().union(*map(calls, SCENARIOS))


def used(seen: set[Call], user: str) -> set[tuple[str, str]]:
    return {(c[1], f"{c[2]}/{c[3]}" + (f"/{c[4]}" if c[4] else "")) for c in seen if c[0] == user}


def test_the_rights_suffice(seen: set[Call]) -> None:
    assert sorted({call[:5] for call in seen if not RBAC.authorize(*call)}) == []


@pytest.mark.parametrize("user", [OPERATOR, MAC])
def test_nothing_is_granted_that_is_not_used(seen: set[Call], user: str) -> None:
    assert RBAC.rights(user) - used(seen, user) == set(UNSEEN[user])


def test_what_the_processes_ask_for_at_their_start_is_granted() -> None:
    programs = pytest.importorskip("foreman.kube.programs", reason="foreman/kube is not there yet")
    options = OperatorOptions(leader_elect=True)
    needs = {OPERATOR: programs.operator_needs(options), MAC: programs.agent_needs(None)}
    for user, wanted in needs.items():
        for need in wanted:
            of = KINDS[need.kind]
            name = LEASE_NAME if need.kind == "Lease" else ""
            for verb in need.verbs:
                call = (user, verb, of.GROUP, of.PLURAL, need.part, need.namespace or "", name)
                assert RBAC.authorize(*call), call


def test_pods_and_machines_have_the_same_rights() -> None:
    assert RBAC.rights(POD) == RBAC.rights(MAC)


@pytest.mark.parametrize(
    "call",
    [
        (OPERATOR, "create", GROUP, "workloads", "", "default", ""),
        (OPERATOR, "patch", GROUP, "workloads", "", "default", "w"),
        (OPERATOR, "patch", GROUP, "agents", "", "default", "a"),
        (OPERATOR, "delete", GROUP, "agentictasks", "", "default", "t"),
        (OPERATOR, "get", "", "secrets", "", "foreman-system", "s"),
        (OPERATOR, "patch", "coordination.k8s.io", "leases", "", "kube-system", "foreman-operator.llmkube.dev"),
        (OPERATOR, "patch", "coordination.k8s.io", "leases", "", "foreman-system", "another"),
        (OPERATOR, "get", "", "configmaps", "", "kube-system", "coredns"),
        (MAC, "patch", GROUP, "agentictasks", "", "default", "t"),
        (MAC, "create", GROUP, "agentictasks", "", "default", ""),
        (MAC, "delete", GROUP, "fleetnodes", "", "", "mac-1"),
        (MAC, "list", GROUP, "fleetnodes", "", "", ""),
        (MAC, "get", "", "secrets", "", "default", "s"),
        (MAC, "get", "coordination.k8s.io", "leases", "", "foreman-system", "foreman-operator.llmkube.dev"),
        ("system:serviceaccount:default:default", "get", GROUP, "agentictasks", "", "default", "t"),
        ("alice", "list", GROUP, "agentictasks", "", "default", ""),
    ],
)
def test_what_nobody_needs_is_refused(call: tuple[str, ...]) -> None:
    assert not RBAC.authorize(*call)


def test_the_lease_is_the_operators_in_its_own_namespace() -> None:
    lease = ("coordination.k8s.io", "leases", "", "foreman-system", "foreman-operator.llmkube.dev")
    assert all(RBAC.authorize(OPERATOR, verb, *lease) for verb in ("get", "create", "patch"))


def test_no_role_of_ours_has_a_wildcard_or_a_secret() -> None:
    for role in of_kind("ClusterRole", "Role"):
        for rule in role.object["rules"]:
            words = {*rule["verbs"], *rule["apiGroups"], *rule["resources"]}
            assert not words & {"*", "secrets", "pods/exec", "impersonate", "escalate", "bind"}, role


def test_every_binding_binds_a_role_that_is_there_to_a_subject_that_is_there() -> None:
    there = {(each.kind, each.name) for each in EVERYTHING}
    for binding in of_kind("ClusterRoleBinding", "RoleBinding", among=BASE):
        assert (binding.object["roleRef"]["kind"], binding.object["roleRef"]["name"]) in there
        for subject in binding.object["subjects"]:
            if subject["kind"] == "ServiceAccount":
                assert ("ServiceAccount", subject["name"]) in there
            else:
                assert ("Namespace", subject["name"].removeprefix("system:serviceaccounts:")) in there


def test_editors_submit_tasks_and_nobody_else_writes_a_status() -> None:
    rules = {role.name: role.object["rules"] for role in of_kind("ClusterRole", among=BASE)}
    resources = {name: {r for rule in found for r in rule["resources"]} for name, found in rules.items()}
    assert "agentictasks" in resources["foreman-edit"]
    assert {name for name, found in resources.items() if "agentictasks/status" in found} == {
        "foreman-operator",
        "foreman-agent",
    }


# The evaluator itself


def test_the_evaluator_knows_scopes_names_and_wildcards() -> None:
    def role(kind: str, name: str, *rules: dict[str, list[str]], **meta: str) -> dict[str, Any]:
        return {"kind": kind, "metadata": {"name": name, **meta}, "rules": list(rules)}

    def bind(kind: str, ref: tuple[str, str], subject: dict[str, str], **meta: str) -> dict[str, Any]:
        to = {"kind": ref[0], "name": ref[1]}
        return {"kind": kind, "metadata": {"name": "b", **meta}, "roleRef": to, "subjects": [subject]}

    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    one = {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"], "resourceNames": ["p"]}
    rbac = Rbac(
        [
            role("ClusterRole", "reader", pods),
            role("Role", "owner", one, namespace="a"),
            bind(
                "RoleBinding",
                ("ClusterRole", "reader"),
                {"kind": "Group", "name": "system:serviceaccounts:x"},
                namespace="a",
            ),
            bind("RoleBinding", ("Role", "owner"), {"kind": "User", "name": "ann"}, namespace="a"),
            role("ClusterRole", "all", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
            bind("ClusterRoleBinding", ("ClusterRole", "all"), {"kind": "User", "name": "root"}),
        ]
    )
    sa = "system:serviceaccount:x:s"
    assert rbac.authorize(sa, "get", "", "pods", "", "a", "p")
    assert not rbac.authorize(sa, "get", "", "pods", "", "b", "p")
    assert not rbac.authorize(sa, "get", "", "pods", "", "", "p")
    assert not rbac.authorize(sa, "get", "", "pods", "log", "a", "p")
    assert not rbac.authorize("system:serviceaccount:xx:s", "get", "", "pods", "", "a", "p")
    assert rbac.authorize("ann", "delete", "", "pods", "", "a", "p")
    assert not rbac.authorize("ann", "delete", "", "pods", "", "a", "q")
    assert not rbac.authorize("ann", "create", "", "pods", "", "a", "p")
    assert rbac.authorize("root", "create", "apps", "deployments", "status", "z", "d")
