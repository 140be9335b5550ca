"""Is an Agent's configuration complete? What the Validated condition says; it warns and never blocks.

What can be said of one object alone the CRD refuses already, by pattern and CEL; this also judges Agents that were stored
before, or by way of the original's definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from foreman.api import (
    CONDITION_VALIDATED,
    MCP_PREFIX,
    REASON_CONFIG_COMPLETE,
    REASON_MISSING_ROLE_TOOLS,
    REASON_NO_SYSTEM_PROMPT,
    TOOLS,
    Agent,
    AgentRole,
    Provider,
    with_condition,
)

ROLE_TOOLS: Mapping[AgentRole, tuple[str, ...]] = {AgentRole.REVIEWER: ("fetch_issue",)}
"""Tools without which a role cannot be filled: a review of what nobody asked for."""


class Finding(NamedTuple):
    valid: bool
    reason: str
    message: str


def validate(agent: Agent) -> Finding:
    """The first thing that is wrong with the Agent, or that nothing is."""
    spec = agent.spec
    if spec.provider is Provider.CLOUD_PROXY and spec.provider_config is None:
        return Finding(False, "NoProviderConfig", "provider cloud-proxy needs providerConfig: baseURL and model")
    if not agent.deterministic and not spec.system_prompt.strip():
        return Finding(False, REASON_NO_SYSTEM_PROMPT, "spec.systemPrompt is blank: the model would not know its task")
    missing = [tool for tool in ROLE_TOOLS.get(spec.role, ()) if tool not in spec.tools]
    if missing:
        return Finding(False, REASON_MISSING_ROLE_TOOLS, f"role {spec.role} needs the tool {', '.join(missing)}")
    unknown = [tool for tool in spec.tools if tool not in TOOLS and not tool.startswith(MCP_PREFIX)]
    if unknown:
        return Finding(False, "UnknownTools", f"no such tool: {', '.join(unknown)}; there are {', '.join(TOOLS)}")
    if agent.deterministic and not spec.system_prompt.strip() and set(spec.tools) <= {"submit_result", ""}:
        message = "an Agent without a model runs its first tool other than submit_result, and there is none"
        return Finding(False, "NothingToRun", message)
    return Finding(True, REASON_CONFIG_COMPLETE, "the configuration is complete")


def validated(agent: Agent, wall: int) -> Mapping[str, Any] | None:
    """The patch of the status that says so; None when it says so already."""
    found = validate(agent)
    status = agent.status
    conditions = with_condition(status.conditions, CONDITION_VALIDATED, found.valid, found.reason, found.message, wall)
    generation = agent.metadata.generation
    if conditions is status.conditions and status.observed_generation == generation:
        return None
    return {"conditions": conditions, "observed_generation": generation}
