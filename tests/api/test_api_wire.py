"""Objects to the wire and back, and what is said about malformed ones."""

import json

import pytest
from api_strategies import JSON, models
from hypothesis import given, settings
from hypothesis import strategies as st

from foreman import api
from foreman.api.wire import parse, to_wire

GROUP = "foreman.llmkube.dev/v1alpha1"


@pytest.mark.parametrize("kind", api.KINDS.values(), ids=api.KINDS)
@settings(max_examples=20)
@given(data=st.data())
def test_any_object_survives_the_round_trip(kind, data):
    made = data.draw(models(kind))
    again = api.from_wire(json.loads(json.dumps(to_wire(made))))
    assert again == made
    assert to_wire(again) == to_wire(made)


@given(JSON)
def test_whatever_is_not_an_object_is_refused_in_one_line(data):
    with pytest.raises(api.InvalidObject) as caught:
        api.from_wire(data)
    assert "\n" not in str(caught.value)


@given(JSON, JSON, JSON)
def test_a_task_of_any_shape_is_accepted_or_refused_but_never_breaks(metadata, spec, status):
    data = {"apiVersion": GROUP, "kind": "AgenticTask", "metadata": metadata, "spec": spec, "status": status}
    with pytest.raises(api.InvalidObject) as caught:
        api.from_wire(data)
    assert caught.value.causes
    assert "\n" not in str(caught.value)


def test_the_wire_form_is_that_of_the_api_server():
    made = api.AgenticTask(
        metadata={"name": "t", "namespace": "d", "creation_timestamp": 0},
        spec={
            "kind": "verify",
            "payload": {"issue": 7},
            "mcp_enabled": False,
            "required_capability": {"min_ram_gb": 8},
            "verdict_policy": {"self_go": ["docs"]},
        },
        status={"phase": "Running", "claimed_at": 61, "commit_sha": "ab", "result": {}},
    )
    assert to_wire(made) == {
        "apiVersion": GROUP,
        "kind": "AgenticTask",
        "metadata": {"name": "t", "namespace": "d", "creationTimestamp": "1970-01-01T00:00:00Z"},
        "spec": {
            "kind": "verify",
            "payload": {"issue": 7, "branchStrategy": "reset"},
            "mcpEnabled": False,
            "requiredCapability": {"minRAMGB": 8, "accelerator": "any"},
            "retryPolicy": {"maxAttempts": 1, "backoffSeconds": 10},
            "verdictPolicy": {"selfGO": ["docs"]},
        },
        "status": {"phase": "Running", "claimedAt": "1970-01-01T00:01:01Z", "commitSHA": "ab", "result": {}},
    }


def test_an_object_of_the_original_is_read_as_it_is():
    made = api.from_wire(
        {
            "apiVersion": GROUP,
            "kind": "FleetNode",
            "metadata": {"name": "mac", "labels": None, "managedFields": [{"manager": "agent"}]},
            "spec": {"nodeName": "mac"},
            "status": {"phase": "Ready", "kubernetesNode": "n1", "lastHeartbeatTime": "2026-01-01T00:00:00+01:00"},
        }
    )
    assert made.spec.slots == 1
    assert made.status.last_heartbeat_time == 1767222000
    wire = to_wire(made)
    assert wire["status"]["kubernetesNode"] == "n1"
    assert wire["metadata"]["managedFields"] == [{"manager": "agent"}]
    assert wire["status"]["lastHeartbeatTime"] == "2025-12-31T23:00:00Z"


def test_null_in_a_known_field_is_as_good_as_nothing():
    spec = {
        "kind": "verify",
        "payload": {"repo": None, "slices": [{"name": "a", "files": None}]},
        "modelRef": None,
        "dependsOn": None,
        "requiredCapability": {"accelerator": None},
        "retryPolicy": None,
    }
    made = parse(api.AgenticTask, {"metadata": {"labels": None, "xOther": None}, "spec": spec})
    assert made.spec.required_capability == api.RequiredCapability()
    assert made.spec.payload.slices == (api.Slice(name="a"),)
    assert made.spec.retry_policy.backoff_seconds == 10
    assert to_wire(made)["metadata"] == {"xOther": None}
    with pytest.raises(api.InvalidObject, match=r"spec\.payload: Required value"):
        parse(api.AgenticTask, {"spec": {"kind": "verify", "payload": None}})


def test_null_inside_free_json_is_kept():
    made = api.AgenticTask(spec={"kind": "verify", "payload": {}}, status={"result": {"a": None, "b": [None]}})
    assert api.from_wire(to_wire(made)) == made
    assert to_wire(made)["status"] == {"result": {"a": None, "b": [None]}}


def test_a_zero_that_differs_from_the_crd_default_is_written():
    made = api.AgenticTask(spec={"kind": "verify", "payload": {}, "retry_policy": {"backoff_seconds": 0}})
    assert to_wire(made)["spec"]["retryPolicy"] == {"maxAttempts": 1, "backoffSeconds": 0}


def test_items_of_a_list_may_leave_out_what_the_list_says():
    assert parse(api.FleetNode, {"metadata": {"name": "a"}, "spec": {"nodeName": "a"}}).kind == "FleetNode"


def test_every_cause_is_named_as_kubernetes_names_it():
    with pytest.raises(api.InvalidObject) as caught:
        api.from_wire(
            {
                "apiVersion": GROUP,
                "kind": "AgenticTask",
                "metadata": {"name": "x"},
                "spec": {"kind": "fix", "requiredCapability": {"minRAMGB": -1}, "dependsOn": ["a", 3]},
                "status": {"strikes": {"node_a": -1}},
            }
        )
    assert str(caught.value) == (
        'AgenticTask "x" is invalid: spec.kind: Unsupported value: "fix": supported values: '
        '"issue-fix", "verify", "freeform", "review", "integrate", "reconcile"; '
        "spec.payload: Required value; "
        "spec.requiredCapability.minRAMGB: Invalid value: -1: should be greater than or equal to 0; "
        "spec.dependsOn[1]: Invalid value: 3: must be of type string; "
        "status.strikes.node_a: Invalid value: -1: should be greater than or equal to 0"
    )


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({}, "kind"),
        ({"kind": ["AgenticTask"]}, "kind"),
        ({"kind": "Pod", "apiVersion": "v1"}, "kind"),
        ({"kind": "AgenticTask"}, "apiVersion"),
        ({"kind": "Lease", "apiVersion": "v1"}, "apiVersion"),
        ({"kind": "AgenticTask", "apiVersion": GROUP}, "spec"),
        ({"kind": "Workload", "apiVersion": GROUP, "spec": {"intent": ""}}, "spec.intent"),
        ({"kind": "Agent", "apiVersion": GROUP, "spec": {"role": "coder", "tools": []}}, "spec.tools"),
        (
            {"kind": "FleetNode", "apiVersion": GROUP, "spec": {"nodeName": "a"}, "status": {"lastHeartbeatTime": "x"}},
            "status.lastHeartbeatTime",
        ),
    ],
)
def test_the_first_cause_says_where(data, path):
    with pytest.raises(api.InvalidObject) as caught:
        api.from_wire(data)
    assert caught.value.causes[0][0] == path


def test_python_names_are_reported_under_their_wire_names():
    with pytest.raises(api.InvalidObject) as caught:
        parse(api.AgenticTask, {"spec": {"kind": "verify", "payload": {}, "required_capability": {"min_ram_gb": -1}}})
    assert caught.value.causes[0][0] == "spec.requiredCapability.minRAMGB"
