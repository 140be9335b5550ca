"""The CRDs: structural, and the same as the files in `crds/`."""

from pathlib import Path

import pytest
import yaml

from foreman import api
from foreman.api.crd import CRD_KINDS, crd, crd_file_name, crd_yaml

CRDS = Path(__file__).resolve().parents[2] / "crds"
EACH = pytest.mark.parametrize("kind", CRD_KINDS, ids=lambda kind: kind.__name__)


def not_structural(schema, path=""):
    """What an API server would object to in this schema."""
    faults = [f"{path}: {word}" for word in ("$ref", "anyOf", "allOf", "const", "title", "$defs") if word in schema]
    faults += [] if "type" in schema else [f"{path}: no type"]
    if "properties" in schema and "additionalProperties" in schema:
        faults.append(f"{path}: additionalProperties beside properties")
    for name, each in schema.get("properties", {}).items():
        faults += not_structural(each, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        faults += not_structural(schema[word], f"{path}[]") if isinstance(schema.get(word), dict) else []
    return faults


def spec_of(kind):
    return crd(kind)["spec"]


def schema_of(kind, *path):
    schema = spec_of(kind)["versions"][0]["schema"]["openAPIV3Schema"]
    for name in path:
        schema = schema["properties"][name]
    return schema


@EACH
def test_the_file_is_what_the_models_say(kind):
    assert (CRDS / crd_file_name(kind)).read_text(encoding="utf-8") == crd_yaml(kind), (
        "stale: `foreman crds` prints the current one"
    )


def test_there_is_no_other_file():
    assert {path.name for path in CRDS.iterdir()} == {*map(crd_file_name, CRD_KINDS), "Kustomization"}


@EACH
def test_the_schema_is_structural(kind):
    assert not_structural(schema_of(kind)) == []
    assert yaml.safe_load(crd_yaml(kind)) == crd(kind)


def test_a_schema_that_is_not_structural_would_be_noticed():
    raw = {"type": "object", "title": "x", "additionalProperties": True, "properties": {"a": {"anyOf": []}}}
    assert not_structural(raw) == [": title", ": additionalProperties beside properties", ".a: anyOf", ".a: no type"]
    assert not_structural(api.AgenticTask.model_json_schema())


def test_names_scope_and_selectable_fields():
    assert spec_of(api.AgenticTask)["names"] == {
        "kind": "AgenticTask",
        "listKind": "AgenticTaskList",
        "plural": "agentictasks",
        "singular": "agentictask",
        "shortNames": ["at"],
    }
    assert {kind.__name__: spec_of(kind)["scope"] for kind in CRD_KINDS} == {
        "AgenticTask": "Namespaced",
        "FleetNode": "Cluster",
        "Workload": "Namespaced",
        "Agent": "Namespaced",
        "ModelProfile": "Cluster",
    }
    version = spec_of(api.AgenticTask)["versions"][0]
    assert version["selectableFields"] == [{"jsonPath": ".status.assignedNode"}, {"jsonPath": ".status.phase"}]
    assert version["subresources"] == {"status": {}}


def test_only_what_the_contract_requires_is_required():
    assert schema_of(api.AgenticTask)["required"] == ["spec"]
    assert schema_of(api.AgenticTask, "spec")["required"] == ["kind", "payload"]
    assert "required" not in schema_of(api.AgenticTask, "status")
    assert schema_of(api.FleetNode, "spec")["required"] == ["nodeName"]
    assert schema_of(api.Workload, "spec")["required"] == ["intent"]
    assert schema_of(api.Agent, "spec")["required"] == ["role", "tools"]


def defaults(schema, path=""):
    found = {path: schema["default"]} if "default" in schema else {}
    for name, each in schema.get("properties", {}).items():
        found |= defaults(each, f"{path}.{name}")
    return found


def test_only_the_defaults_of_the_contract_and_ours_are_in():
    assert defaults(schema_of(api.AgenticTask)) == {
        ".spec.payload.branchStrategy": "reset",
        ".spec.requiredCapability.accelerator": "any",
        ".spec.retryPolicy": {"maxAttempts": 1, "backoffSeconds": 10},
        ".spec.retryPolicy.maxAttempts": 1,
        ".spec.retryPolicy.backoffSeconds": 10,
    }
    assert defaults(schema_of(api.FleetNode)) == {".spec.slots": 1}
    assert defaults(schema_of(api.Agent, "spec")) == {
        ".provider": "local",
        ".execution.mode": "InProcess",
        ".execution.activeDeadlineSeconds": 3600,
        ".maxTurns": 50,
        ".maxRetries": 3,
        ".contextStrategy": "window",
        ".requestTimeoutSeconds": 3600,
        ".requestTurnTimeoutSeconds": 120,
        ".bashTimeoutSeconds": 30,
        ".requiredCapability.accelerator": "any",
    }


def test_bounds_formats_and_list_types():
    assert schema_of(api.AgenticTask, "spec", "payload", "issue") == {
        "type": "integer",
        "format": "int32",
        "minimum": 1,
    }
    assert schema_of(api.AgenticTask, "spec", "priority") == {"type": "integer", "format": "int32"}
    assert schema_of(api.Agent, "spec", "maxTurns")["maximum"] == 500
    assert schema_of(api.Agent, "spec", "tools")["minItems"] == 1
    assert schema_of(api.AgenticTask, "status", "claimedAt") == {"type": "string", "format": "date-time"}
    assert schema_of(api.AgenticTask, "status", "result") == {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    for kind in (kind for kind in CRD_KINDS if "status" in kind.model_fields):
        conditions = schema_of(kind, "status", "conditions")
        assert conditions["x-kubernetes-list-type"] == "map"
        assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_rules_beyond_the_models_stand_where_they_belong():
    spec = schema_of(api.Agent, "spec")
    assert [rule["message"] for rule in spec["x-kubernetes-validations"]] == [
        "providerConfig is required with provider cloud-proxy",
        "systemPrompt is required of an Agent that runs a model",
    ]
    pattern = spec["properties"]["tools"]["items"]["pattern"]
    assert all(tool in pattern for tool in api.TOOLS)
    assert "x-kubernetes-validations" not in schema_of(api.Workload, "spec")
