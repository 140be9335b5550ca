"""The pods: hardened, probed on the ports they serve, and counted by nobody else's selector."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
import typer
from manifests import BASE, DEPLOY, EVERYTHING, Manifest, container, kustomization, of_kind, pods, the

import foreman
from foreman.agent.agent import GRACE_SECONDS
from foreman.agent.watcher import FAREWELL_SECONDS
from foreman.cli import app

PODS = pods()


def spec(manifest: Manifest) -> dict[str, Any]:
    return manifest.object["spec"]["template"]["spec"]


def labels(manifest: Manifest) -> dict[str, str]:
    return manifest.object["spec"]["template"]["metadata"]["labels"]


def flags(manifest: Manifest) -> dict[str, str]:
    """'--grace=25s' -> {'grace': '25s'}; a bare flag is 'true'."""
    pairs = (each.removeprefix("--").partition("=") for each in container(manifest)["args"][1:])
    return {name: value or "true" for name, _, value in pairs}


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_a_pod_is_hardened(pod: Manifest) -> None:
    """All that the Pod Security Standard `restricted` wants, and a read-only root file system."""
    inside = spec(pod)
    assert inside["securityContext"]["runAsNonRoot"] is True
    assert inside["securityContext"]["runAsUser"] >= 10_000
    assert inside["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(pod)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(inside)
    assert all(set(volume) <= {"name", "emptyDir"} for volume in inside["volumes"])


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_probes_and_ports_are_those_the_flags_name(pod: Manifest) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(pod)["ports"]}
    said = flags(pod)
    assert f":{ports['metrics']}" == said["metrics-bind-address"]
    assert f":{ports['health']}" == said["health-probe-bind-address"]
    probes = {name: container(pod)[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")}
    assert probes == {
        "livenessProbe": {"path": "/healthz", "port": "health"},
        "readinessProbe": {"path": "/readyz", "port": "health"},
    }


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_requests_and_a_memory_limit_are_set_and_no_cpu_limit(pod: Manifest) -> None:
    resources = container(pod)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_a_selector_matches_its_own_template(pod: Manifest) -> None:
    wanted = pod.object["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= labels(pod).items()


@pytest.mark.parametrize(("one", "other"), list(permutations(PODS, 2)), ids=str)
def test_no_selector_takes_in_anothers_pods(one: Manifest, other: Manifest) -> None:
    """The original's bug #1523: two controllers count each other's pods."""
    assert not one.object["spec"]["selector"]["matchLabels"].items() <= labels(other).items()


def _selectors(manifest: Manifest) -> list[dict[str, str]]:
    inside = manifest.object["spec"]
    if manifest.kind == "NetworkPolicy":
        return [inside["podSelector"]["matchLabels"]]
    if manifest.kind == "Service":
        return [inside["selector"]]
    if manifest.kind == "PodDisruptionBudget":
        return [inside["selector"]["matchLabels"]]
    constraints = inside["template"]["spec"].get("topologySpreadConstraints", [])
    return [each["labelSelector"]["matchLabels"] for each in constraints]


@pytest.mark.parametrize("manifest", of_kind("NetworkPolicy", "Service", "PodDisruptionBudget", "Deployment"), ids=str)
def test_whatever_selects_pods_selects_those_of_its_own_component(manifest: Manifest) -> None:
    assert _selectors(manifest)
    for wanted in _selectors(manifest):
        chosen = [pod for pod in PODS if wanted.items() <= labels(pod).items()]
        assert len(chosen) == 1
        assert manifest.name.startswith(chosen[0].name)


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_a_pod_runs_under_an_account_that_is_there(pod: Manifest) -> None:
    account = spec(pod)["serviceAccountName"]
    assert the("ServiceAccount", account)["metadata"]["namespace"] == pod.object["metadata"]["namespace"]


def test_the_agent_drains_within_its_grace() -> None:
    [agent] = [each for each in PODS if each.name == "foreman-agent"]
    assert flags(agent)["grace"] == f"{GRACE_SECONDS:g}s"
    assert GRACE_SECONDS + FAREWELL_SECONDS <= spec(agent)["terminationGracePeriodSeconds"] == 30


def test_the_agent_bears_the_name_of_its_node() -> None:
    [agent] = [each for each in PODS if each.name == "foreman-agent"]
    env = {each["name"]: each.get("valueFrom") for each in container(agent)["env"]}
    assert env["FLEET_NODE_NAME"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}
    assert "fleet-node-name" not in flags(agent)
    assert agent.object["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] == 0


def test_two_operators_one_leads() -> None:
    [operator] = [each for each in PODS if each.name == "foreman-operator"]
    assert operator.object["spec"]["replicas"] == 2
    assert flags(operator)["leader-elect"] == "true"
    assert spec(operator)["terminationGracePeriodSeconds"] == 10
    assert the("PodDisruptionBudget", "foreman-operator")["spec"]["minAvailable"] == 1


def test_the_namespace_holds_pods_to_the_restricted_standard() -> None:
    for namespace in ("foreman-system", "foreman-agents"):
        held = the("Namespace", namespace)["metadata"]["labels"]
        assert {held[f"pod-security.kubernetes.io/{how}"] for how in ("enforce", "audit", "warn")} == {"restricted"}


@pytest.mark.parametrize("manifest", EVERYTHING, ids=str)
def test_everything_namespaced_lies_in_foremans_namespace(manifest: Manifest) -> None:
    if "namespace" in manifest.object["metadata"]:
        assert manifest.object["metadata"]["namespace"] == "foreman-system"


def test_the_image_is_this_version() -> None:
    [image] = kustomization(DEPLOY / "base")["images"]
    assert image["newTag"] == foreman.__version__
    assert {container(pod)["image"] for pod in PODS} == {image["name"]}


def test_every_object_is_there_once() -> None:
    names = [(each.kind, each.object["metadata"].get("namespace"), each.name) for each in BASE]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_the_command_takes_its_arguments(pod: Manifest) -> None:
    name, *given = container(pod)["args"]
    command = typer.main.get_command(app).commands.get(name)
    if command is None:
        pytest.skip(f"`foreman {name}` is not there yet")
    command.make_context(name, given)
