"""What makes no sense about agents and the conversations they hold, although every value is of the right kind."""

from __future__ import annotations

import re
from collections.abc import Iterator

from foreman.api import Agent, InvalidObject, Provider, parse
from sim.kinds import did_you_mean
from sim.scenario import Behaviour, Scenario
from sim.source import Path, Problem
from sim.talk import ModelConduct
from sim.workload import agent_spec

VERDICTS = ("GO", "NO-GO")


def agents(scenario: Scenario) -> Iterator[Problem]:
    """What the API would refuse of an Agent."""
    for name, profile in scenario.agents.items():
        try:
            parse(Agent, {"metadata": {"name": name}, "spec": agent_spec(profile)})
        except InvalidObject as error:
            for path, message in error.causes:
                steps = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)]
                within = steps[1:2] and steps[1] in profile.spec
                yield ("agents", name, *(steps if within else ())), message if within else f"{path}: {message}"


def conversations(scenario: Scenario) -> Iterator[Problem]:
    """Whoever converses is an Agent, and its model says GO or NO-GO."""
    for path, behaviour, agent in _behaviours(scenario):
        if behaviour.conversation is None:
            continue
        if not agent:
            known = ", ".join(sorted(scenario.agents)) or "none yet"
            yield path, f"its conversation needs an Agent to hold it: expected agent: one of {known}"
        for verdict in behaviour.verdicts.root:
            word = verdict.partition(":")[0]
            if word not in VERDICTS:
                near = did_you_mean(word, VERDICTS)
                yield (
                    path,
                    f"a model submits {' or '.join(VERDICTS)}, not {word!r}: in a conversation the rest comes by itself{near}",
                )


def _behaviours(scenario: Scenario) -> Iterator[tuple[Path, Behaviour, bool]]:
    """(where, how tasks fare, whether they name an Agent) of all tasks."""
    for name, each in scenario.workload.mix.items() if scenario.workload else ():
        yield ("workload", "mix", name), each.executor or scenario.executor, bool(each.agent)
    for name, task in scenario.tasks.items():
        yield ("tasks", name), task.executor or scenario.executor, bool(task.spec.get("agentRef"))
    for name, seed in scenario.workloads.items():
        for pattern, behaviour in seed.executor.items():
            yield ("workloads", name, "executor", pattern), behaviour, True


def models(scenario: Scenario) -> Iterator[Problem]:
    """A `model` that nobody talks to, a limit that nobody feels, machines that do not say how fast they are."""
    if not scenario.converses():
        if scenario.model != ModelConduct():
            yield ("model",), "nobody converses: expected executor: {conversation: {turns: [4, 12]}} for some tasks"
        return
    clouds = {profile.provider is not Provider.LOCAL for profile in scenario.agents.values()}
    if scenario.model.rate_limit is not None and True not in clouds:
        yield ("model", "rateLimit"), "it is for cloud models: expected an agent with provider: cloud-proxy"
    speedy = any(nodes.tokens_per_second or nodes.endpoints for nodes in scenario.fleet.values())
    if False in clouds and not speedy:
        yield ("fleet",), "local models converse: expected tokensPerSecond, or endpoints with theirs, of some nodes"
