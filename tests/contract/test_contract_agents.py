"""What the definition of Agents refuses by itself: as an API server evaluates it, and as the simulator's does."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
import yaml
from arms import ARMS, SimArm
from support import new_agent

from foreman.api import Agent, from_wire
from foreman.cluster import Invalid

SERVED = [arm for arm in ARMS if arm is not SimArm]
"""In memory the simulator keeps what it is given: definitions are applied at the HTTP door."""
CLOUD = {"provider": "cloud-proxy", "systemPrompt": "x"}
PROXY = {"baseURL": "http://127.0.0.1:1", "model": "m"}


@pytest.fixture(params=SERVED, ids=lambda arm: arm.__name__)
def arm(request: pytest.FixtureRequest) -> Any:
    with request.param(request) as made:
        yield made


def create(arm: Any, name: str, **spec: Any) -> Agent:
    made = arm.run(_create(arm, new_agent(name, arm.namespace, **spec)))
    assert isinstance(made, Agent)
    return made


def _create(arm: Any, agent: Any) -> Coroutine[Any, Any, Any]:
    async def call() -> Any:
        return await arm.cluster.create(agent)

    return call()


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"tools": ["bash", "rm"]}, "spec.tools[1]"),
        ({"tools": []}, "spec.tools"),
        ({**CLOUD}, "providerConfig is required with provider cloud-proxy"),
        ({**CLOUD, "providerConfig": PROXY, "systemPrompt": " \n"}, "systemPrompt is required"),
        ({"inferenceServiceRef": {"name": "qwen"}, "systemPrompt": ""}, "systemPrompt is required"),
    ],
)
def test_an_agent_that_cannot_work_is_refused(arm: Any, spec: dict[str, Any], told: str) -> None:
    tools = spec.get("tools")
    agent = new_agent("bad", arm.namespace, **{key: value for key, value in spec.items() if key != "tools"})
    if tools is not None:
        agent = agent.evolve(spec=agent.spec.evolve(tools=tuple(tools)))
    with pytest.raises(Invalid) as refusal:
        arm.run(_create(arm, agent))
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    "spec",
    [
        {"tools": ["run_gate_job", "submit_result"], "role": "verifier", "systemPrompt": ""},
        {"tools": ["mcp__tracker__search", "bash"]},
        {**CLOUD, "providerConfig": PROXY},
        {"inferenceServiceRef": {"name": "qwen"}},
        {"inferenceServiceRef": {"name": ""}, "systemPrompt": ""},
    ],
)
def test_an_agent_that_can_is_taken(arm: Any, spec: dict[str, Any]) -> None:
    made = create(arm, f"good-{len(str(spec))}", **spec)
    assert made.metadata.uid


def test_the_check_ratchets(arm: Any) -> None:
    """Upstream: UPDATE with unchanged spec is not re-validated: a status may always be written."""
    made = create(arm, "ratchet")
    changes = {"observed_generation": 7}

    async def call() -> Any:
        return await arm.cluster.patch_status(made, changes, if_version=made.version)

    assert arm.run(call()).status.observed_generation == 7


DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SHIPPED = sorted([*(DEPLOY / "examples").glob("*.yaml"), *(DEPLOY / "agents").glob("*.yaml")])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_ships_is_taken_as_it_is(arm: Any, path: Path) -> None:
    """By the definitions, defaults and rules included; what was written is what is read."""
    for data in yaml.safe_load_all(path.read_text()):
        obj = from_wire(data)
        given = obj.evolve(
            metadata=obj.metadata.evolve(namespace=arm.namespace, name=f"{path.stem}-{obj.metadata.name}")
        )
        made = arm.run(_create(arm, given))
        assert made.spec == obj.spec
