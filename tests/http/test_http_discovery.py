"""Discovery, OpenAPI, and what is served without being stored."""

from __future__ import annotations

import pytest
from http_kit import TABLE, TASKS, Site, task

from sim.http.discovery import AGGREGATED

GROUP = "/apis/foreman.llmkube.dev/v1alpha1"


def test_the_resources_of_a_group(site: Site) -> None:
    listed = {each["name"]: each for each in site.ask("GET", GROUP).body["resources"]}
    assert listed["agentictasks"] == {
        "name": "agentictasks",
        "singularName": "agentictask",
        "namespaced": True,
        "kind": "AgenticTask",
        "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
        "shortNames": ["at"],
        "storageVersionHash": "inK5m1076OA=",
    }
    assert listed["fleetnodes/status"]["verbs"] == ["get", "patch", "update"]


def test_every_group_and_version_that_is_told_is_there(site: Site) -> None:
    groups = site.ask("GET", "/apis").body["groups"]
    assert "foreman.llmkube.dev" in [group["name"] for group in groups]
    for group in groups:
        assert site.ask("GET", f"/apis/{group['name']}").body["preferredVersion"] == group["preferredVersion"]
        for version in group["versions"]:
            assert site.ask("GET", f"/apis/{version['groupVersion']}").body["groupVersion"] == version["groupVersion"]
    assert site.ask("GET", "/api").body["versions"] == ["v1"]


def test_aggregated_discovery_says_the_same(site: Site) -> None:
    reply = site.ask("GET", "/apis", Accept=f"{AGGREGATED},application/json")
    assert reply.headers["Content-Type"] == AGGREGATED
    (ours,) = (item for item in reply.body["items"] if item["metadata"]["name"] == "foreman.llmkube.dev")
    resources = {each["resource"]: each for each in ours["versions"][0]["resources"]}
    plain = {each["name"] for each in site.ask("GET", GROUP).body["resources"] if "/" not in each["name"]}
    assert resources.keys() == plain
    assert resources["agentictasks"]["subresources"][0]["subresource"] == "status"


def test_openapi_has_schemas_and_the_options_of_patches(site: Site) -> None:
    paths = site.ask("GET", "/openapi/v3").body["paths"]
    for path in paths.values():
        assert site.ask("GET", path["serverRelativeURL"]).body["openapi"] == "3.0.0"
    document = site.ask("GET", "/openapi/v3" + GROUP).body
    schema = document["components"]["schemas"]["dev.llmkube.foreman.v1alpha1.AgenticTask"]
    assert schema["x-kubernetes-group-version-kind"][0]["kind"] == "AgenticTask"
    assert schema["properties"]["spec"]["properties"]["priority"]["type"] == "integer"
    options = document["paths"][f"{GROUP}/namespaces/{{namespace}}/agentictasks/{{name}}"]["patch"]["parameters"]
    assert {"dryRun", "fieldValidation"} <= {each["name"] for each in options}


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_it_is_well(site: Site, path: str) -> None:
    assert site.ask("GET", path).body == "ok"


def test_every_namespace_is_there_and_those_in_use_are_listed(site: Site) -> None:
    site.ask("POST", TASKS.replace("default", "busy"), task("a"))
    listed = site.ask("GET", "/api/v1/namespaces").body
    assert [each["metadata"]["name"] for each in listed["items"]] == ["busy", "default"]
    assert site.ask("GET", "/api/v1/namespaces/whatever").body["status"] == {"phase": "Active"}
    made = site.ask(
        "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}
    )
    assert (made.code, made.body["metadata"]["name"]) == (201, "new")


def test_the_crds_are_there_and_established(site: Site) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    names = [row["cells"][0] for row in site.ask("GET", path, Accept=TABLE).body["rows"]]
    assert "agentictasks.foreman.llmkube.dev" in names
    conditions = site.ask("GET", f"{path}/{names[0]}").body["status"]["conditions"]
    assert [each["type"] for each in conditions if each["status"] == "True"] == ["NamesAccepted", "Established"]
    assert site.ask("GET", f"{path}/others.example.com").code == 404
    selected = site.watch(f"fieldSelector=metadata.name%3D{names[0]}", path=path)
    assert [(sort, obj["metadata"]["name"]) for sort, obj in selected] == [("ADDED", names[0])]


def test_a_configmap_in_protobuf_is_understood(site: Site) -> None:
    """As `kubectl create configmap` sends it."""

    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    raw = field(1, field(1, b"c")) + field(2, field(1, b"key") + field(2, b"value"))
    body = b"k8s\0" + field(1, field(1, b"v1") + field(2, b"ConfigMap")) + field(2, raw)
    path = "/api/v1/namespaces/default/configmaps"
    assert site.ask("POST", path, body, "application/vnd.kubernetes.protobuf").body["data"] == {"key": "value"}
    assert site.ask("POST", path, b"k8s\0\xff", "application/vnd.kubernetes.protobuf").code == 415
