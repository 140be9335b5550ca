"""Models on simulated machines: time from tokens, shared by who uses the model at the same time."""

from __future__ import annotations

import pytest
from support import run, task

from foreman.api import ModelEndpoint
from sim.load import BadScenario, parse
from sim.serving import Serving

FLEET = (
    "fleet: {mac: {slots: 4, endpoints: {qwen: {maxConcurrent: 2, tokensPerSecond: 50, prefillTokensPerSecond: 500}}}}"
)
TASK = "{spec: {kind: freeform, payload: {}, modelRef: qwen}, executor: {tokens: {prompt: 1000, output: 400}}}"


def seconds(w: object, name: str) -> float:
    result = task(w, name).status.result  # type: ignore[arg-type]
    assert result is not None
    return float(result["elapsedSec"])


def test_a_prompt_is_read_at_one_speed_and_the_output_written_at_another() -> None:
    serving = Serving([ModelEndpoint(model="qwen", tokens_per_second=50, prefill_tokens_per_second=500)], 20)
    assert serving.alone("qwen", 1000, 400) == 10_000_000
    assert serving.alone("other", 1000, 400) == 25_000_000


def test_a_run_alone_has_the_whole_speed() -> None:
    w = run(f"{FLEET}\ntasks: {{a: {TASK}}}")
    assert seconds(w, "a") == pytest.approx(10)


def test_runs_at_the_same_time_share_it_and_a_third_waits() -> None:
    w = run(f"{FLEET}\ntasks: {{a: {TASK}, b: {TASK}, c: {TASK}}}")
    assert [seconds(w, name) for name in "abc"] == pytest.approx([20, 20, 10], abs=1.5)
    assert not w.checkers.violations


def test_a_crashed_machine_serves_nobody_when_it_is_back() -> None:
    w = run(f"{FLEET}\ntasks: {{a: {TASK}}}\nfaults: [{{at: 5s, fault: crash, host: mac-0, for: 2s}}]")
    assert (task(w, "a").status.attempt, seconds(w, "a")) == (2, pytest.approx(10))


def test_without_any_speed_tokens_mean_nothing() -> None:
    with pytest.raises(BadScenario) as refusal:
        parse(f"fleet: {{a: {{}}}}\ntasks: {{a: {TASK}}}", "x.yaml")
    assert "fleet.a: runs are counted in tokens: expected tokensPerSecond" in str(refusal.value)


@pytest.mark.parametrize("tokens", ["{output: [5, 1]}", "{output: fast}", "{output: -1}"])
def test_bad_numbers_of_tokens_are_refused(tokens: str) -> None:
    with pytest.raises(BadScenario) as refusal:
        parse(f"{FLEET}\ntasks: {{}}\nworkload: {{count: 1}}\nexecutor: {{tokens: {tokens}}}", "x.yaml")
    assert "expected a whole number, or [fewest, most]" in str(refusal.value)
