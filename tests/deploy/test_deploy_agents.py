"""The Agents that ship: what their kind allows, what the executor can run, and no field that would do nothing."""

from __future__ import annotations

import kubernetes_validate
import pytest
from manifests import DEPLOY, documents

from foreman.api import KINDS, Agent, AgenticTask, from_wire
from foreman.api.crd import schema
from foreman.cli.manifest import agent_in, tasks_in
from foreman.executors.address import deterministic
from foreman.executors.loop import limits_of
from foreman.executors.tools import OF_THE_LOOP, TOOLS
from foreman.kube.native import native_needs

FOLDER = DEPLOY / "agents"
AGENTS = {path.stem: agent_in(str(path)) for path in FOLDER.glob("*.yaml") if not path.stem.startswith("example-")}


def test_coder_reviewer_and_gate_ship():
    assert {name: agent.spec.role.value for name, agent in AGENTS.items()} == {
        "coder": "coder", "reviewer": "reviewer", "gate": "verifier",
    }  # fmt: skip


@pytest.mark.parametrize("name", AGENTS)
def test_its_fields_are_those_of_the_definition(name):
    known = schema(Agent)["properties"]["spec"]["properties"]
    [data] = documents(FOLDER / f"{name}.yaml")
    assert set(data["spec"]) <= set(known)
    assert from_wire(data).spec == AGENTS[name].spec


@pytest.mark.parametrize("name", AGENTS)
def test_its_tools_exist_and_it_has_what_its_role_needs(name):
    spec = AGENTS[name].spec
    assert set(spec.tools) <= {*TOOLS, *OF_THE_LOOP}
    assert "submit_result" in spec.tools
    assert deterministic(spec) == (name == "gate")
    assert bool(spec.system_prompt.strip()) == (name != "gate")
    assert name != "reviewer" or ("fetch_issue" in spec.tools and "write_file" not in spec.tools)
    assert limits_of(spec).edits_expected == (name == "coder")


def test_the_example_refers_to_what_ships():
    tasks = tasks_in(str(FOLDER / "example-task.yaml"), None)
    assert all(isinstance(task, AgenticTask) for task in tasks)
    assert [task.spec.agent_ref.name for task in tasks] == ["coder", "gate"]
    assert tasks[1].spec.depends_on == (tasks[0].metadata.name,)


def test_the_component_grants_what_native_agents_ask_for():
    """Held against what the program checks at its start."""
    role = next(
        each for each in documents(DEPLOY / "components/native-agent/rbac.yaml") if each["kind"] == "ClusterRole"
    )
    allowed = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    wanted = {
        (KINDS[need.kind].GROUP, KINDS[need.kind].PLURAL, verb)
        for need in native_needs("default")
        for verb in need.verbs
    }
    when_asked = {("inference.llmkube.dev", "inferenceservices", "get"), ("discovery.k8s.io", "endpointslices", "list")}
    assert wanted | when_asked == allowed


@pytest.mark.parametrize("path", sorted((DEPLOY / "components/native-agent").glob("rbac.yaml")), ids=str)
def test_the_component_keeps_kubernetes_schemas(path):
    for each in documents(path):
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
