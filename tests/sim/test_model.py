"""Scripted models: the agent loop itself, in virtual time, on what a scenario draws."""

from __future__ import annotations

from typing import Any

import pytest

from foreman.api import AgenticTask
from foreman.executors.loop import patience
from sim.load import load, parse
from sim.model import Turnstile
from sim.result import result_of
from sim.source import BadScenario
from sim.talk import RateLimit
from sim.world import World

SECOND = 1_000_000
# One run: a first turn that calls a tool, a second that submits. The server reads 100 tokens/s and writes 10.
ONE = """
fleet: {{node: {{slots: 4, endpoints: {{m: {{tokensPerSecond: 10, prefillTokensPerSecond: 100}}}}}}}}
agents: {{coder: {{model: m, requires: {{requiresModelInstalled: true}}, spec: {{{spec}}}}}}}
workload: {{count: {count}, mix: {{fix: {{agent: coder, kind: issue-fix, executor: {{conversation: {{{talk}}}}}}}}}}}
model: {{latency: 0s, {model}}}
until: 3h
"""
TALK = "turns: 1, prompt: 1000, output: 50, answer: 200, toolTime: 3s"


def play(spec: str = "", talk: str = TALK, model: str = "", count: int = 1, seed: int = 0) -> World:
    text = ONE.format(spec=spec, talk=talk, model=model, count=count)
    return World(parse(text, "one.yaml"), seed).run()


def tasks(world: World) -> list[AgenticTask]:
    return list(world.server.tables["AgenticTask"].values())


def extra(world: World) -> dict[str, Any]:
    [task] = tasks(world)
    assert task.status.result is not None
    return task.status.result["extra"]


def seconds(world: World) -> float:
    [task] = tasks(world)
    assert task.status.result is not None
    return task.status.result["elapsedSec"]


def test_a_run_takes_the_time_its_tokens_take() -> None:
    world = play()
    told = extra(world)
    prompt, written = told["usage"]["promptTokens"], told["usage"]["completionTokens"]
    assert (told["turnCount"], told["retryCount"], written) == (2, 0, 100)
    # The first prompt is read whole, the second only from where it is new: the call, and 200 tokens of the tool's answer.
    first, new = divmod(prompt, 2)[0], 220
    assert seconds(world) == pytest.approx((first - new / 2 + new) / 100 + written / 10 + 3, rel=0.05)
    assert result_of(world)["model"]["turns"] == 2


def test_runs_at_the_same_time_share_the_endpoint() -> None:
    alone, four = play(), play(count=4)
    longest = max(task.status.result["elapsedSec"] for task in tasks(four) if task.status.result)
    assert 3 < longest / seconds(alone) <= 4


def test_a_server_that_keeps_nothing_reads_all_of_it_again() -> None:
    assert seconds(play(model="kept: false")) > seconds(play()) + 10


@pytest.mark.parametrize(
    ("spec", "talk", "model", "verdict", "reason"),
    [
        ("maxTurns: 5", "turns: 50, givesUp: 0", "", "INCOMPLETE", "MaxTurnsExhausted"),
        ("maxTurns: 5", "turns: 50, givesUp: 1", "", "NO-GO", None),
        ("requestTimeoutSeconds: 60", "turns: 50", "", "INCOMPLETE", "Timeout"),
        ("maxRetries: 2", "turns: 2", "refusals: 1", "INCOMPLETE", "InferenceServiceUnavailable"),
        ("maxRetries: 2", "turns: 2", "transients: 1", "INCOMPLETE", "InferenceServiceUnavailable"),
        ("", "turns: 2", "silent: 1", "INCOMPLETE", "ModelMisunderstood"),
        ("maxOutputTokens: 100", "turns: 2", "truncated: 1", "INCOMPLETE", "ModelMisunderstood"),
        ("maxOutputTokens: 100", "turns: 2, output: 200", "", "INCOMPLETE", "ModelMisunderstood"),
        ("", "turns: 2, prompt: 5000", "contextTokens: 4000", "INCOMPLETE", "ConstraintViolated"),
    ],
)
def test_each_budget_and_each_fault_ends_as_in_production(
    spec: str, talk: str, model: str, verdict: str, reason: str | None
) -> None:
    world = play(spec, talk, model)
    [task] = tasks(world)
    assert task.status.result is not None
    assert (task.status.verdict, task.status.result.get("failureReason")) == (verdict, reason)
    assert result_of(world)["verdict"] == "ok"


def test_a_run_out_of_time_leaves_the_endpoint() -> None:
    """Two at a time are too slow for their budget; one that comes when they have gone has the endpoint to itself."""
    text = ONE.format(spec="requestTimeoutSeconds: 20", talk="turns: 0, prompt: 0, output: 150", model="", count=2)
    third = "{at: 25s, spec: {kind: issue-fix, agentRef: {name: coder}, payload: {}}, executor: {conversation: *talk}}"
    text = text.replace("{conversation: ", "{conversation: &talk ") + f"tasks: {{third: {third}}}\n"
    world = World(parse(text, "one.yaml"), 0).run()
    verdicts = {task.metadata.name: str(task.status.verdict) for task in tasks(world)}
    assert verdicts == {"task-0": "INCOMPLETE", "task-1": "INCOMPLETE", "third": "GO"}


def test_a_limit_lets_in_a_burst_and_then_one_each_interval() -> None:
    turnstile = Turnstile(RateLimit.model_validate({"requests": "1/s", "burst": 3}))
    assert [turnstile.wait(0) for _ in range(5)] == [0, 0, 0, SECOND, SECOND]
    assert [turnstile.wait(SECOND) for _ in range(2)] == [0, SECOND]
    assert turnstile.wait(60 * SECOND) == 0


def test_the_same_seed_is_the_same_run() -> None:
    noisy = "transients: 0.1, refusals: 0.1, silent: 0.1, broken: 0.1, truncated: 0.1"
    first, same, other = (play(talk="", model=noisy, count=20, seed=seed) for seed in (1, 1, 2))
    assert first.digest.hexdigest() == same.digest.hexdigest()
    assert result_of(first)["model"] == result_of(same)["model"]
    assert result_of(first)["model"] != result_of(other)["model"]


def test_what_a_killed_agent_had_said_is_said_anew() -> None:
    text = ONE.format(spec="", talk="turns: 10, output: 100", model="", count=2)
    text += "faults: [{at: 30s, fault: crash, host: node-0, for: 5s}]\n"
    world = World(parse(text, "one.yaml"), 0).run()
    assert [(task.status.attempt, task.status.verdict) for task in tasks(world)] == [(2, "GO")] * 2
    assert result_of(world)["verdict"] == "ok"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("executor: {conversation: {turns: [9, 4]}}", "expected a whole number, or [fewest, most], not a list"),
        ("executor: {conversation: {tools: {red_file: 1}}}", "unknown tool 'red_file': expected read_file"),
        ("executor: {conversation: {}}", "its conversation needs an Agent to hold it"),
        ("executor: {conversation: {}, verdicts: {GATE-PASS: 1}}", "a model submits GO or NO-GO, not 'GATE-PASS'"),
        ("model: {silent: 0.1}", "nobody converses"),
        ("model: {silent: 0.7, broken: 0.7}", "expected truncated + silent + broken to be at most 1"),
        ("model: {transients: 2}", "model.transients"),
        ("model: {rateLimit: {requests: 1/h}}", "expected at least one request in 120s"),
        ("agents: {a: {spec: {maxTurn: 3}}}", "unknown key 'maxTurn'"),
        ("agents: {a: {spec: {maxTurns: many}}}", "agents.a.spec.maxTurns"),
    ],
)
def test_what_makes_no_sense_is_a_line(text: str, said: str) -> None:
    with pytest.raises(BadScenario) as error:
        parse(f"fleet: {{n: {{tokensPerSecond: 10}}}}\nworkload: {{count: 1}}\n{text}\n", "bad.yaml")
    lines = [line for line in str(error.value).splitlines() if said in line]
    assert lines, str(error.value)


def test_a_limit_that_nobody_feels_is_refused() -> None:
    with pytest.raises(BadScenario, match="it is for cloud models"):
        play(model="rateLimit: {requests: 60/m}")


def refused_to_the_end() -> int:
    """Runs of `model-budgets`, of 600 under three seeds, that end because the rate limit never let them in."""
    ends = [result_of(World(load("model-budgets"), seed).run())["model"]["ends"] for seed in (1, 2, 3)]
    return sum(each.get("InferenceServiceUnavailable", 0) for each in ends)


def test_who_shares_a_rate_limit_does_not_come_back_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused_to_the_end() <= 6
    monkeypatch.setattr(patience, "SPREAD_MAX", 0.0)
    assert refused_to_the_end() >= 20
