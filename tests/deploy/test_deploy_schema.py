"""Every manifest is what its kind allows: Kubernetes' own schemas, strictly, and our definitions for the examples."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
from kubernetes_validate import ValidationError
from manifests import DEPLOY, EVERYTHING, Manifest, documents, kustomization
from support import advance, task, unharmed, world

from foreman.api import KINDS, Phase, from_wire
from foreman.api.crd import schema
from foreman.api.task import TaskStatus
from sim.executor import Plan
from sim.host import SECOND

OLDEST = "1.30"
"""ValidatingAdmissionPolicy is v1 and tokens name their node from here on."""
VERSIONS = [OLDEST, kubernetes_validate.latest_version()]
FOREIGN = "monitoring.coreos.com"
EXAMPLES = {path.stem: documents(path) for path in sorted((DEPLOY / "examples").glob("*.yaml"))}
PATCHES = [
    Manifest(
        DEPLOY / "overlays/production" / patch["path"], documents(DEPLOY / "overlays/production" / patch["path"])[0]
    )
    for patch in kustomization(DEPLOY / "overlays/production")["patches"]
    if "path" in patch
]
KNOWN = [each for each in EVERYTHING if not each.object["apiVersion"].startswith(FOREIGN)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", KNOWN, ids=str)
def test_a_manifest_keeps_the_schema(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest.object, version, strict=True)


def test_the_schemas_object() -> None:
    [manifest] = [each for each in KNOWN if each.kind == "DaemonSet"]
    for field, value in (("replicas", 2), ("selector", "all")):
        wrong = copy.deepcopy(manifest.object)
        wrong["spec"][field] = value
        with pytest.raises(ValidationError):
            kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_only_the_prometheus_operators_kinds_go_without() -> None:
    left = {each.kind for each in EVERYTHING} - {each.kind for each in KNOWN}
    assert left == {"ServiceMonitor", "PrometheusRule"}


@pytest.mark.parametrize("patch", PATCHES, ids=str)
def test_a_patch_says_nothing_its_kind_does_not_know(patch: Manifest) -> None:
    """A patch lacks what is required; laid over its target it does not."""
    [target] = [each.object for each in EVERYTHING if (each.kind, each.name) == (patch.kind, patch.name)]
    kubernetes_validate.validate(laid_over(target, patch.object), VERSIONS[-1], strict=True)


def laid_over(below: Any, above: Any) -> Any:
    """A strategic merge as far as these patches need it: maps by key, lists of maps by name."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: laid_over(below.get(key), value) for key, value in above.items()}
    if isinstance(below, list) and isinstance(above, list) and all("name" in each for each in above):
        named = {each["name"]: each for each in below}
        return list((named | {each["name"]: laid_over(named.get(each["name"]), each) for each in above}).values())
    return above


# The examples


def unknown(definition: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """Fields the API server would drop without a word."""
    if isinstance(value, list):
        for each in value:
            yield from unknown(definition.get("items", {}), each, path)
    elif isinstance(value, dict) and "properties" in definition:
        for key, inner in value.items():
            if key not in definition["properties"]:
                yield f"{path}.{key}"
            else:
                yield from unknown(definition["properties"][key], inner, f"{path}.{key}")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_keeps_our_definitions(name: str) -> None:
    for obj in EXAMPLES[name]:
        from_wire(obj)
        assert list(unknown(schema(KINDS[obj["kind"]])["properties"]["spec"], obj["spec"])) == []
        assert obj["metadata"]["namespace"] == "default"
        assert "status" not in obj


def test_the_check_of_unknown_fields_objects() -> None:
    [demo] = copy.deepcopy(EXAMPLES["m2-stub-task"])
    demo["spec"]["payload"]["promt"] = "say hello"
    assert list(unknown(schema(KINDS["AgenticTask"])["properties"]["spec"], demo["spec"])) == [".payload.promt"]


def results(objects: list[dict[str, Any]], fleet: str) -> dict[str, TaskStatus]:
    """What became of the tasks among `objects`, ten virtual minutes after they were applied to a fleet."""
    w = world(f"fleet: {{{fleet}}}\nworkload: {{count: 0}}")
    advance(w, 5)
    names = [each["metadata"]["name"] for each in objects if each["kind"] == "AgenticTask"]
    w.plans.update({f"default/{name}": Plan(10 * SECOND, "GO") for name in names})
    for obj in objects:
        w.server.create("user", from_wire(obj))
    advance(w, 600)
    unharmed(w)
    return {name: task(w, name).status for name in names}


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in ("capability", "workload")])
def test_an_example_runs_to_its_end_on_a_plain_fleet(name: str) -> None:
    status = results(EXAMPLES[name], "node: {count: 2, roles: [worker]}")
    assert status
    assert {each.phase for each in status.values()} == {Phase.SUCCEEDED}


def test_the_example_with_demands_fits_where_it_says() -> None:
    status = results(
        EXAMPLES["capability"], "mac: {accelerator: metal, ramGB: 64, contextTokens: 65536, roles: [coder]}"
    )
    assert status["on-a-mac"].phase is Phase.SUCCEEDED
    waiting = status["on-a-big-gpu"]
    assert waiting.phase is Phase.PENDING
    assert [each.reason for each in waiting.conditions if each.type == "Scheduled"] == ["Unschedulable"]


def test_the_workload_ends_in_pull_requests_asked_for() -> None:
    """On a plain fleet, each run of it good: every issue coded, checked, reviewed twice."""
    w = world("fleet: {node: {count: 2, slots: 4, roles: [worker], contextTokens: 65536}}\nworkload: {count: 0}")
    advance(w, 5)
    [gate] = documents(DEPLOY / "agents/gate.yaml")
    for obj in [gate, *EXAMPLES["workload"]]:
        w.server.create("user", from_wire(obj))
    for issue in (1, 2, 3):
        steps = [f"code-{issue}", f"verify-{issue}", f"review-{issue}-0", f"review-{issue}-1"]
        verdicts = ["GO", "GATE-PASS", "GO", "GO"]
        names = [f"default/small-fixes-{step}" for step in steps]
        w.plans.update({name: Plan(10 * SECOND, verdict) for name, verdict in zip(names, verdicts, strict=True)})
    advance(w, 600)
    unharmed(w)
    made = w.server.get("user", "Workload", "small-fixes", "default")
    assert (made.status.phase, made.status.succeeded_tasks) == ("Completed", 12)
    review = task(w, "small-fixes-review-2-1")
    assert (review.spec.payload.open_pull_request, review.spec.agent_ref.name) == (True, "cloud-reviewer")


def test_every_agent_it_names_ships() -> None:
    shipped = {path.stem for path in (DEPLOY / "agents").glob("*.yaml")}
    made = {each["metadata"]["name"] for each in EXAMPLES["workload"] if each["kind"] == "Agent"}
    [load] = [each["spec"] for each in EXAMPLES["workload"] if each["kind"] == "Workload"]
    named = [value for key, value in load.items() if key.endswith("AgentRef")] + load["reviewerAgentRefs"]
    assert {each["name"] for each in named} <= made | shipped
