"""What the API server's admission refuses an agent and the operator, and that it refuses nothing the product does."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from admission import Review, policies, refusals
from manifests import BASE

from foreman.api import KINDS, AgenticTask, Phase
from foreman.api.ownership import AGENT, task_violation
from foreman.api.wire import to_wire
from sim.load import load
from sim.world import World

POLICIES = policies(each.object for each in BASE)
GROUP = "foreman.llmkube.dev"
POD = "system:serviceaccount:foreman-system:foreman-agent"
MAC = "system:serviceaccount:foreman-agents:mac-1"
OPERATOR = "system:serviceaccount:foreman-system:foreman-operator"


def task(phase: str | None = "Running", node: str = "mac-1", **status: Any) -> dict[str, Any]:
    """An AgenticTask as it goes over the wire: what is empty is not there."""
    said = {"phase": phase, "assignedNode": node, "attempt": 1, **status}
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "AgenticTask",
        "metadata": {"name": "t", "namespace": "default"},
        "spec": {"kind": "freeform", "payload": {}},
        "status": {key: value for key, value in said.items() if value},
    }


def node(name: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "FleetNode",
        "metadata": {"name": name},
        "spec": {"nodeName": name},
    }


def record(name: str = "foreman-audit-t", **labels: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "namespace": "default"}
    if labels:
        meta["labels"] = {f"{GROUP}/{key}": value for key, value in labels.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {}}


def status(user: str, old: dict[str, Any], new: dict[str, Any], on: str = "") -> Review:
    return Review(user, "UPDATE", GROUP, "agentictasks", "status", old, new, on)


def fleet(user: str, operation: str, name: str, sub: str = "", on: str = "") -> Review:
    old = None if operation == "CREATE" else node(name)
    new = None if operation == "DELETE" else node(name)
    return Review(user, operation, GROUP, "fleetnodes", sub, old, new, on)


def config(user: str, operation: str, obj: dict[str, Any], after: dict[str, Any] | None = None) -> Review:
    old = None if operation == "CREATE" else obj
    new = {"CREATE": obj, "UPDATE": after or obj, "DELETE": None}[operation]
    return Review(user, operation, "", "configmaps", "", old, new)


GONE: dict[str, Any] = {key: value for key, value in task().items() if key != "status"}

ADMITTED = {
    "a machine claims its task": status(MAC, task("Scheduled"), task("Running")),
    "a machine reports": status(MAC, task("Running"), task("Succeeded", verdict="GO")),
    "a machine hands back what ran": status(MAC, task("Running"), task("Pending", node="")),
    "a machine hands back what it never claimed": status(MAC, task("Scheduled"), task("Pending", node="")),
    "a pod claims its task": status(
        POD, task("Scheduled", "ip-10-0-0-7.internal"), task("Running", "ip-10-0-0-7.internal"), "ip-10-0-0-7.internal"
    ),
    "a pod hands back": status(POD, task("Running", "n1"), task("Pending", ""), "n1"),
    "a machine registers": fleet(MAC, "CREATE", "mac-1"),
    "a machine's heartbeat": fleet(MAC, "UPDATE", "mac-1", "status"),
    "a machine changes its labels": fleet(MAC, "UPDATE", "mac-1"),
    "a pod registers": fleet(POD, "CREATE", "n1", on="n1"),
    "a pod's heartbeat": fleet(POD, "UPDATE", "n1", "status", on="n1"),
    "the operator assigns": status(OPERATOR, task("Pending", ""), task("Scheduled", attempt=2)),
    "the operator reaps a node": fleet(OPERATOR, "DELETE", "mac-1"),
    "a user submits a task": Review("alice", "CREATE", GROUP, "agentictasks", "", None, GONE),
    "an administrator mends a status": status("admin", task("Running"), task("Failed")),
    "the operator keeps a record": config(OPERATOR, "CREATE", record(audit="true")),
    "the operator writes a record anew": config(OPERATOR, "UPDATE", record(audit="true")),
    "the operator prunes a record": config(OPERATOR, "DELETE", record(audit="true")),
    "a user's ConfigMap": config("alice", "CREATE", record("mine")),
}

REFUSED = {
    "another machine's task": (status(MAC, task("Running", "mac-2"), task("Succeeded", "mac-2")), "its own node"),
    "taking another machine's task": (
        status(MAC, task("Scheduled", "mac-2"), task("Running", "mac-1")),
        "its own node",
    ),
    "a task nobody holds": (status(MAC, task("Pending", ""), task("Running")), "its own node"),
    "a task without a status": (status(MAC, GONE, task("Running")), "its own node"),
    "a longer name": (status(MAC, task("Running", "mac-10"), task("Succeeded", "mac-10")), "its own node"),
    "a pod on another node": (status(POD, task("Running", "n1"), task("Succeeded", "n1"), "n2"), "its own node"),
    "a pod's account without a pod": (status(POD, task("Running", "n1"), task("Succeeded", "n1")), "its own node"),
    "a machine that claims to be a pod": (
        status(MAC, task("Running", "n1"), task("Succeeded", "n1"), "n1"),
        "its own node",
    ),
    "giving a task to another node": (status(MAC, task("Running"), task("Running", "mac-2")), "not to another node"),
    "writing to a finished task": (status(MAC, task("Succeeded"), task("Failed")), "from Succeeded to Failed"),
    "finishing what was never claimed": (
        status(MAC, task("Scheduled"), task("Succeeded")),
        "from Scheduled to Succeeded",
    ),
    "changing the attempt": (status(MAC, task("Running"), task("Running", attempt=2)), "the attempt"),
    "dropping the attempt": (status(MAC, task("Running"), task("Pending", node="", attempt=0)), "the attempt"),
    "a task's spec": (
        Review(MAC, "UPDATE", GROUP, "agentictasks", "", task(), task()),
        "nothing of a task but its status",
    ),
    "submitting a task": (
        Review(MAC, "CREATE", GROUP, "agentictasks", "", None, GONE),
        "nothing of a task but its status",
    ),
    "deleting a task": (
        Review(MAC, "DELETE", GROUP, "agentictasks", "", task(), None),
        "nothing of a task but its status",
    ),
    "registering another name": (fleet(MAC, "CREATE", "mac-2"), "not mac-2"),
    "another machine's heartbeat": (fleet(MAC, "UPDATE", "mac-2", "status"), "not mac-2"),
    "deleting another machine": (fleet(MAC, "DELETE", "mac-2"), "not mac-2"),
    "a pod registering another node": (fleet(POD, "CREATE", "n2", on="n1"), "not n2"),
    "a pod's account registering without a pod": (fleet(POD, "CREATE", "n1"), "not n1"),
    "a pod posing as a machine": (fleet(POD, "UPDATE", "mac-1", "status", on="n1"), "not mac-1"),
    "the operator's ConfigMap of another name": (
        config(OPERATOR, "CREATE", record("coredns", audit="true")),
        "foreman-audit-",
    ),
    "the operator overwriting a ConfigMap": (
        config(OPERATOR, "UPDATE", record("coredns"), record("coredns", audit="true")),
        "foreman-audit-",
    ),
    "the operator deleting a ConfigMap": (config(OPERATOR, "DELETE", record("foreman-audit-mine")), "labelled"),
    "the operator's record without its label": (config(OPERATOR, "CREATE", record(audit="no")), "labelled"),
}


@pytest.mark.parametrize("review", ADMITTED.values(), ids=ADMITTED)
def test_admitted(review: Review) -> None:
    assert refusals(POLICIES, review) == []


@pytest.mark.parametrize(("review", "why"), REFUSED.values(), ids=REFUSED)
def test_refused(review: Review, why: str) -> None:
    found = refusals(POLICIES, review)
    assert any(why in each for each in found), found


@pytest.mark.parametrize(("old", "new"), list(product([None, *Phase], repeat=2)), ids=str)
def test_an_agents_steps_are_its_rows_of_the_ownership_table(old: Phase | None, new: Phase | None) -> None:
    review = status(MAC, task(old), task(new))
    written = "job_name" if old is new else "phase"
    assert (refusals(POLICIES, review) == []) is (task_violation(AGENT, old, new, [written]) is None)


@pytest.mark.parametrize(
    "name", ["cascade", "claim-race", "node-flap", "scheduler-failover", "three-strikes", "zombie-agent"]
)
def test_nothing_the_product_commits_is_refused(name: str) -> None:
    """Every write that a simulated run commits, put before the policies as the API server would."""
    world = World(load(name), check=False)
    refused: list[tuple[Any, list[str]]] = []
    judged: list[str] = []

    def committed(change: Any) -> None:
        review = review_of(world, change)
        judged.append(review.user)
        if found := refusals(POLICIES, review):
            refused.append((change, found))

    world.server.observers.append(committed)
    world.run()
    assert refused == []
    assert any(user.startswith("system:serviceaccount:foreman-agents:") for user in judged)


def review_of(world: World, change: Any) -> Review:
    kind = KINDS[change.kind]
    operation = "CREATE" if change.old is None else "DELETE" if change.new is None else "UPDATE"
    old, new = (to_wire(each) if each is not None else None for each in (change.old, change.new))
    sub = "status" if change.verb == "patch_status" else ""
    return Review(user_of(world, change.actor), operation, kind.GROUP, kind.PLURAL, sub, old, new)


def user_of(world: World, actor: str) -> str:
    """A simulated agent is a machine outside the cluster; its second process has the host name 'node.1'."""
    role = world.roles.get(actor, "user")
    if role == "agent":
        return f"system:serviceaccount:foreman-agents:{actor.partition('/')[0].partition('.')[0]}"
    return OPERATOR if role == "operator" else role


def test_the_fixtures_are_real_tasks() -> None:
    made = AgenticTask.model_validate(task("Running", holder="mac-1/1"))
    assert made.status.assigned_node == "mac-1"
