"""Objects over HTTP: what is stored, what is refused, in the words of a Kubernetes API server."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from http_kit import JSON_PATCH, NODES, ROOT, TASKS, YAML, Site, bare, owned, task

from sim.http.decode import from_json

UNHEARD = {"kind": "freeform", "payload": {"deep": 1}, "shallow": 2}


def test_a_created_object_comes_back_whole(site: Site) -> None:
    made = site.create("a", labels={"x": "1"})
    assert bare(made) == {
        "apiVersion": "foreman.llmkube.dev/v1alpha1",
        "kind": "AgenticTask",
        "metadata": {
            "name": "a",
            "namespace": "default",
            "labels": {"x": "1"},
            "uid": made["metadata"]["uid"],
            "resourceVersion": made["metadata"]["resourceVersion"],
            "creationTimestamp": "2023-11-14T22:13:20Z",
            "generation": 1,
        },
        "spec": {
            "kind": "freeform",
            "payload": {"branchStrategy": "reset"},
            "retryPolicy": {"maxAttempts": 1, "backoffSeconds": 10},
        },
    }
    assert site.get("a") == made
    assert site.store.get("", "AgenticTask", "a", "default").spec.retry_policy.max_attempts == 1


def test_what_says_nothing_is_kept_if_it_was_said(site: Site) -> None:
    """The models leave zeros and empty lists out; a real server gives back what it was given."""
    spec = {
        "kind": "freeform",
        "payload": {"prompt": "", "images": []},
        "priority": 0,
        "dependsOn": [],
        "modelRef": None,
    }
    made = site.create("a", spec=spec, labels={}, finalizers=[])["spec"]
    assert (made["priority"], made["dependsOn"], made["payload"]["images"], made["payload"]["prompt"]) == (
        0,
        [],
        [],
        "",
    )
    assert "modelRef" not in made
    assert site.get("a")["spec"] == made


def test_names_are_made_up(site: Site) -> None:
    made = site.ask("POST", TASKS, {**task("x"), "metadata": {"generateName": "gen-"}}).body
    assert re.fullmatch(r"gen-[a-z0-9]{5}", made["metadata"]["name"])


def test_unknown_fields_are_pruned_with_a_warning_or_refused(site: Site) -> None:
    reply = site.ask("POST", TASKS, task("a", UNHEARD))
    assert reply.body["spec"].keys() == {"kind", "payload", "retryPolicy"}
    assert reply.headers.getall("Warning") == [
        '299 - "unknown field \\"spec.payload.deep\\""',
        '299 - "unknown field \\"spec.shallow\\""',
    ]
    strict = site.ask("POST", f"{TASKS}?fieldValidation=Strict", task("b", UNHEARD))
    assert strict.code == 400
    assert strict.message.endswith(
        'strict decoding error: unknown field "spec.payload.deep", unknown field "spec.shallow"'
    )
    silent = site.ask("POST", f"{TASKS}?fieldValidation=Ignore", task("c", UNHEARD))
    assert (silent.code, "Warning" in silent.headers) == (201, False)


def test_a_key_given_twice_is_told(site: Site) -> None:
    text = json.dumps(task("a")).replace('"kind": "freeform"', '"kind": "freeform", "kind": "verify"')
    reply = site.ask("POST", TASKS, text)
    assert reply.body["spec"]["kind"] == "verify"
    assert reply.headers["Warning"] == '299 - "duplicate field \\"spec.kind\\""'


def test_everything_wrong_is_told_at_once(site: Site) -> None:
    spec = {"kind": "poem", "payload": [], "priority": "high", "timeoutSeconds": -1, "dependsOn": [1]}
    reply = site.ask("POST", TASKS, task("a", spec))
    assert (reply.code, reply.body["reason"]) == (422, "Invalid")
    causes = {(each["field"], each["reason"], each["message"]) for each in reply.body["details"]["causes"]}
    kinds = '"issue-fix", "verify", "freeform", "review", "integrate", "reconcile"'
    at_least = "spec.timeoutSeconds in body should be greater than or equal to 0"
    of_type = "in body must be of type"
    assert causes == {
        ("spec.kind", "FieldValueNotSupported", f'Unsupported value: "poem": supported values: {kinds}'),
        ("spec.payload", "FieldValueTypeInvalid", f'Invalid value: "array": spec.payload {of_type} object: "array"'),
        (
            "spec.priority",
            "FieldValueTypeInvalid",
            f'Invalid value: "string": spec.priority {of_type} integer: "string"',
        ),
        ("spec.timeoutSeconds", "FieldValueInvalid", f"Invalid value: -1: {at_least}"),
        (
            "spec.dependsOn[0]",
            "FieldValueTypeInvalid",
            f'Invalid value: "integer": spec.dependsOn[0] {of_type} string: "integer"',
        ),
    }
    assert site.names() == []


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("{bad", 400, "json parse error: invalid character 'b' looking for beginning of object key string ({bad)"),
        ("", 400, "json parse error: unexpected end of JSON input (<empty>)"),
        ("[]", 400, "json: cannot unmarshal array into Go value of type struct"),
        ({"kind": "AgenticTask"}, 400, "the API version in the data () does not match the expected API version"),
        ({**task("a"), "kind": "Other"}, 422, 'kind: Invalid value: "Other": must be AgenticTask'),
        ({**task("a"), "metadata": "x"}, 400, "cannot unmarshal string into Go value of type v1.ObjectMeta"),
        (task("a", labels={"x": 1}), 400, "cannot unmarshal number into Go struct field ObjectMeta.labels of type string"),
        (task("A_b"), 422, "a lowercase RFC 1123 subdomain must consist of"),
        (task(""), 422, "metadata.name: Required value: name or generateName is required"),
        (task("a", labels={"a b": "c"}), 422, 'metadata.labels: Invalid value: "a b": name part must consist of'),
        (task("a", namespace="other"), 400, "the namespace of the provided object does not match the namespace sent"),
        (task("a", resourceVersion="7"), 500, "resourceVersion should not be set on objects to be created"),
    ],
)  # fmt: skip
def test_a_bad_body_is_refused(site: Site, body: Any, code: int, message: str) -> None:
    reply = site.ask("POST", TASKS, body)
    assert reply.code == reply.body["code"] == code
    assert message in reply.message
    assert site.names() == []


@pytest.mark.parametrize(
    ("escaped", "kept"),
    [(r"\udcff", "\ufffd"), (r"\ud83d\ude00", "\U0001f600"), (r"\ud83d\n", "\ufffd\n"), (r"\\ud800", r"\ud800")],
)
def test_half_a_surrogate_pair_becomes_the_replacement_character(escaped: str, kept: str) -> None:
    """As in Go: what cannot be encoded again must not get into the store."""
    assert from_json(f'"{escaped}"'.encode()) == kept


def test_yaml_is_taken_and_given(site: Site) -> None:
    text = yaml.safe_dump(task("a"))
    assert site.ask("POST", TASKS, text, YAML).code == 201
    reply = site.ask("GET", f"{TASKS}/a", Accept=YAML)
    assert reply.headers["Content-Type"] == YAML
    assert "kind: AgenticTask" in reply.body


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nowhere", 404),
        ("GET", f"{ROOT}/nothings", 404),
        ("GET", f"{ROOT}/namespaces/default/fleetnodes", 404),
        ("POST", f"{ROOT}/agentictasks", 404),
        ("GET", f"{TASKS}/absent", 404),
        ("PUT", TASKS, 400),
        ("OPTIONS", f"{TASKS}/a", 405),
        ("POST", "/version", 405),
    ],
)
def test_what_is_not_there_or_not_possible(site: Site, method: str, path: str, code: int) -> None:
    assert site.ask(method, path, task("a") if method in ("PUT", "POST") else None).code == code


def test_other_media_types_are_refused(site: Site) -> None:
    assert site.ask("POST", TASKS, task("a"), "text/plain").code == 415
    site.create("a")
    assert site.ask("PATCH", f"{TASKS}/a", {}, "application/strategic-merge-patch+json").code == 415
    assert site.ask("GET", f"{TASKS}/a", Accept="text/html").code == 406


def test_a_body_of_more_than_three_megabytes_is_refused(site: Site) -> None:
    reply = site.ask("POST", TASKS, b" " * (3 * 1024 * 1024 + 1))
    assert (reply.code, reply.body["reason"]) == (413, "RequestEntityTooLarge")


def test_a_dry_run_leaves_no_trace(site: Site) -> None:
    reply = site.ask("POST", f"{TASKS}?dryRun=All", task("a"))
    assert (reply.code, "resourceVersion" in reply.body["metadata"]) == (201, False)
    assert site.names() == []
    made = site.create("b")
    assert site.patch("b", {"spec": {"priority": 5}}, query="?dryRun=All").body["spec"]["priority"] == 5
    assert site.ask("DELETE", f"{TASKS}/b?dryRun=All").code == 200
    assert site.get("b") == made


# updates


def put(site: Site, obj: Any, below: str = "") -> Any:
    return site.ask("PUT", f"{TASKS}/{obj['metadata']['name']}{below}", obj)


def test_an_update_needs_the_version(site: Site) -> None:
    made = site.create("a")
    unversioned = put(site, task("a"))
    assert (unversioned.code, unversioned.body["details"]["causes"][0]["field"]) == (422, "metadata.resourceVersion")
    stale = put(site, task("a", resourceVersion="1"))
    assert (stale.code, stale.body["reason"]) == (409, "Conflict")
    assert (
        "the object has been modified; please apply your changes to the latest version and try again" in stale.message
    )
    assert put(site, {**made, "spec": {**made["spec"], "kind": "verify"}}).body["spec"]["kind"] == "verify"


def test_the_generation_counts_changes_of_the_spec_alone(site: Site) -> None:
    made = site.create("a")
    same = put(site, made).body
    assert same == made
    labelled = site.patch("a", {"metadata": {"labels": {"x": "1"}}}).body
    assert (labelled["metadata"]["generation"], labelled["metadata"]["resourceVersion"]) == (1, "3")
    assert site.patch("a", {"spec": {"priority": 1}}).body["metadata"]["generation"] == 2
    assert site.patch("a", {"status": {"phase": "Pending"}}, "/status").body["metadata"]["generation"] == 2


def test_the_status_is_written_apart(site: Site) -> None:
    made = site.ask("POST", TASKS, task("a", status={"phase": "Bogus"})).body
    assert "status" not in made
    assert "status" not in site.patch("a", {"status": {"phase": "Failed"}}).body
    sneaked = {"status": {"phase": "Running"}, "spec": {"priority": 9}, "metadata": {"labels": {"x": "1"}}}
    written = site.patch("a", sneaked, "/status").body
    assert written["status"] == {"phase": "Running"}
    assert "priority" not in written["spec"]
    assert "labels" not in written["metadata"]
    assert put(site, {**written, "spec": {**written["spec"], "priority": 3}, "status": {}}).body["status"] == {
        "phase": "Running"
    }
    assert (
        put(site, {**site.get("a"), "spec": {}, "status": {"phase": "Pending"}}, "/status").body["status"]["phase"]
        == "Pending"
    )


def test_a_bad_status_is_told_from_where_it_begins(site: Site) -> None:
    site.create("a")
    reply = site.patch("a", {"status": {"conditions": [{"type": "A", "status": "Perhaps"}]}}, "/status")
    (cause,) = reply.body["details"]["causes"]
    assert cause["field"] == "status.conditions[0].status"
    assert (
        cause["message"]
        == """Invalid value: "Perhaps": conditions[0].status in body should match '^(True|False|Unknown)$'"""
    )


def test_what_is_the_servers_own_stays(site: Site) -> None:
    made = site.create("a")
    assert site.patch("a", {"metadata": {"uid": "other"}}).code == 422
    assert site.patch("a", {"metadata": {"name": "b"}}).code == 400
    changed = site.patch("a", {"metadata": {"generation": 9, "creationTimestamp": "2020-01-01T00:00:00Z"}}).body
    assert changed == made


def test_cluster_scoped_kinds_have_no_namespace(site: Site) -> None:
    node = {"apiVersion": "foreman.llmkube.dev/v1alpha1", "kind": "FleetNode", "metadata": {"name": "n"}}
    made = site.ask("POST", NODES, {**node, "metadata": {"name": "n", "namespace": "x"}, "spec": {"nodeName": "n"}})
    assert (made.code, "namespace" in made.body["metadata"]) == (201, False)


def test_builtin_kinds_are_updated_unconditionally(site: Site) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    assert site.ask("POST", path, body).code == 201
    assert site.ask("PUT", f"{path}/c", {**body, "data": {"b": "2"}}).body["data"] == {"b": "2"}
    merged = site.ask("PATCH", f"{path}/c", {"data": {"c": "3"}}, "application/strategic-merge-patch+json")
    assert merged.body["data"] == {"b": "2", "c": "3"}


def test_events_are_selected_by_what_they_are_about(site: Site) -> None:
    path = "/api/v1/namespaces/default/events"
    for name in ("a", "b"):
        about = {"kind": "AgenticTask", "name": name, "namespace": "default", "uid": f"uid-{name}"}
        event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{name}.1"}, "involvedObject": about}
        assert site.ask("POST", path, {**event, "reason": "Claimed", "type": "Normal"}).code == 201
    found = site.ask("GET", f"{path}?fieldSelector=involvedObject.name%3Db,involvedObject.uid%3Duid-b").body["items"]
    assert [each["metadata"]["name"] for each in found] == ["b.1"]


def test_a_json_patch_runs_in_order_or_not_at_all(site: Site) -> None:
    made = site.create("a")
    add = [
        {"op": "add", "path": "/spec/dependsOn", "value": ["x"]},
        {"op": "add", "path": "/spec/dependsOn/-", "value": "y"},
    ]
    assert site.ask("PATCH", f"{TASKS}/a", add, JSON_PATCH).body["spec"]["dependsOn"] == ["x", "y"]
    before = site.get("a")
    failing = [{"op": "remove", "path": "/spec/dependsOn"}, {"op": "test", "path": "/spec/kind", "value": "verify"}]
    assert site.ask("PATCH", f"{TASKS}/a", failing, JSON_PATCH).code == 422
    assert site.ask("PATCH", f"{TASKS}/a", [{"op": "jump", "path": "/spec"}], JSON_PATCH).code == 400
    fenced = [{"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]}]
    assert site.ask("PATCH", f"{TASKS}/a", fenced, JSON_PATCH).body == before


def test_who_wrote_which_field_is_kept(site: Site) -> None:
    site.create("a")
    site.patch("a", {"spec": {"priority": 1}}, query="?fieldManager=one")
    site.patch("a", {"spec": {"priority": 2, "modelRef": "m"}}, query="?fieldManager=two")
    written = site.ask(
        "PATCH",
        f"{TASKS}/a/status",
        {"status": {"phase": "Pending"}},
        "application/merge-patch+json",
        User_Agent="agent/1 (x)",
    )
    fields = owned(written.body)
    assert fields["two Update"] == {"f:spec": {"f:modelRef": {}, "f:priority": {}}}
    assert "one Update" not in fields
    assert fields["agent Update status"] == {"f:status": {".": {}, "f:phase": {}}}
