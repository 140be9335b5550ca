"""Counterparts of the original's Agent tests: TestValidateAgentConfig, TestAgentReconcilerWritesValidatedCondition."""

from __future__ import annotations

from typing import Any

import pytest
from support import advance, new_agent, unharmed, until, world

from foreman.api import Agent, condition
from foreman.decide.agents import validate, validated

SERVICE = {"inferenceServiceRef": {"name": "qwen"}}
REVIEWER = {**SERVICE, "role": "reviewer", "tools": ["fetch_issue", "read_file", "submit_result"]}


@pytest.mark.parametrize(
    ("name", "spec", "reason"),
    [
        ("reviewer with prompt and full tools valid", REVIEWER, "ConfigComplete"),
        ("empty systemPrompt fails for any role", {**SERVICE, "systemPrompt": ""}, "NoSystemPrompt"),
        ("whitespace systemPrompt fails for any role", {**SERVICE, "systemPrompt": " \n\t"}, "NoSystemPrompt"),
        ("reviewer without fetch_issue fails", {**REVIEWER, "tools": ["read_file"]}, "MissingRoleTools"),
        (
            "missing prompt reported before missing tools",
            {**REVIEWER, "tools": ["read_file"], "systemPrompt": ""},
            "NoSystemPrompt",
        ),
        ("coder does not need fetch_issue", {**SERVICE, "tools": ["bash", "submit_result"]}, "ConfigComplete"),
        ("verifier has no tool floor", {**SERVICE, "role": "verifier", "tools": ["submit_result"]}, "ConfigComplete"),
        ("deterministic agent needs no prompt", {"tools": ["run_gate_job"], "systemPrompt": ""}, "ConfigComplete"),
        # Ours.
        ("nothing to run", {"tools": ["submit_result"], "systemPrompt": ""}, "NothingToRun"),
        ("unknown tools", {**SERVICE, "tools": ["bash", "rm"]}, "UnknownTools"),
        ("tools of MCP servers are known", {**SERVICE, "tools": ["mcp__tracker__search"]}, "ConfigComplete"),
        ("cloud without a provider", {"provider": "cloud-proxy"}, "NoProviderConfig"),
    ],
)
def test_validate_agent_config(name: str, spec: dict[str, Any], reason: str) -> None:
    found = validate(new_agent("a", **spec))
    assert (found.reason, found.valid) == (reason, reason == "ConfigComplete")


def test_agent_reconciler_writes_the_validated_condition_and_follows_the_spec() -> None:
    w = world("fleet: {node: {}}\nworkload: {count: 0}\nuntil: 1h")
    advance(w, 1)
    w.server.create("user", new_agent("a", **{**SERVICE, "systemPrompt": ""}))

    def agent() -> Agent:
        found: Agent = w.server.tables["Agent"]["default/a"]
        return found

    def told() -> tuple[str, str]:
        said = condition(agent().status.conditions, "Validated")
        return (said.status, said.reason) if said is not None else ("", "")

    until(w, lambda: told() == ("False", "NoSystemPrompt"), within=5)
    assert agent().status.observed_generation == 1
    w.server.patch("user", agent(), {"spec": {"system_prompt": "mend it"}}, None)
    until(w, lambda: told() == ("True", "ConfigComplete"), within=5)
    version = agent().version
    advance(w, 3600)
    assert (agent().version, agent().status.observed_generation) == (version, 2)
    unharmed(w)


def test_saying_the_same_twice_is_no_write() -> None:
    agent = new_agent("a")
    changes = validated(agent, 5)
    assert changes is not None
    told = agent.evolve(status=agent.status.evolve(**changes))
    assert validated(told, 99) is None
