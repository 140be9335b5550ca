"""The native executor between a model's word and its verdict: gate after the push, downgrades, what is delivered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from loop_kit import calls, submit
from test_native import EDIT, GO, PUSHED, Workplace, agent, execute, transcript

from foreman.executors import Cancelled
from foreman.executors.outcome import Published


@dataclass
class Rails:
    """Says what it was told to say; `stuck`: seconds it thinks before it delivers."""

    verifies: list[str] = field(default_factory=list)
    changes: dict = field(default_factory=dict)
    delivers: dict = field(default_factory=dict)
    stuck: float = 0
    asked: list[str] = field(default_factory=list)
    place: Workplace | None = None

    async def weigh(self, judged):
        self.asked.append("weigh")
        return judged._replace(**self.changes)

    async def verify(self):
        self.asked.append("verify")
        return self.verifies.pop(0) if self.verifies else ""

    async def deliver(self, judged):
        self.asked.append(f"deliver {judged.verdict}")
        if self.stuck:
            await self.place.process.sleep(self.stuck)
        return self.delivers


def with_rails(tmp_path, *script, smith=None, published=PUSHED, **rails):
    more = {name: rails.pop(name) for name in ("cancel_after",) if name in rails}
    held = Rails(**rails)
    place = held.place = Workplace(smith=smith or agent(), published=published, rails=held)
    result, _, model = execute(tmp_path, *(script or (EDIT, GO)), place=place, **more)
    return result, place, held, model


def test_a_branch_that_fails_the_gate_goes_back_to_its_coder_once(tmp_path):
    result, place, held, model = with_rails(tmp_path, EDIT, GO, EDIT, submit("GO", "now"), verifies=["test: FAILED"])
    assert (result.verdict, result.summary, result.extra["turnCount"]) == ("GO", "now", 4)
    assert held.asked == ["verify", "verify", "weigh", "deliver GO"]
    assert len(place.messages) == 2
    told = [each["content"] for each in model.requests[-1].messages if each["role"] == "user"]
    assert "test: FAILED" in told[-1]
    assert "now" in json.dumps(transcript(tmp_path))


@pytest.mark.parametrize(("iterations", "gates", "pushes"), [(None, 2, 2), (0, 1, 1), (2, 3, 3)])
def test_so_often_and_no_more(tmp_path, iterations, gates, pushes):
    smith = agent(**({} if iterations is None else {"maxEnvtestIterations": iterations}))
    script = [each for _ in range(4) for each in (EDIT, GO)]
    result, place, held, _ = with_rails(tmp_path, *script, smith=smith, verifies=["test: FAILED\nlog"] * 9)
    assert (result.verdict, result.failure_reason, result.extra["outcome"]) == (
        "INCOMPLETE", "GateFailed", "ENVTEST-GATE-FAILED",
    )  # fmt: skip
    assert result.summary == "test: FAILED (the model's own word: mended)"
    assert result.extra["branch"] == PUSHED.branch
    assert (held.asked.count("verify"), len(place.messages)) == (gates, pushes)


def test_a_second_loop_that_comes_to_nothing_keeps_what_was_pushed(tmp_path):
    smith = agent(maxTurns=3)
    result, _, _, _ = with_rails(tmp_path, EDIT, GO, *[EDIT] * 9, smith=smith, verifies=["test: FAILED"])
    assert (result.verdict, result.failure_reason) == ("INCOMPLETE", "MaxTurnsExhausted")
    assert result.extra["commitSHA"] == PUSHED.commit_sha


def test_cancelled_in_the_second_loop_keeps_the_transcript(tmp_path):
    result, _, held, _ = with_rails(tmp_path, *[EDIT, GO] + [EDIT] * 20, verifies=["test: FAILED"], cancel_after=4.5)
    assert isinstance(result, Cancelled)
    assert "weigh" not in held.asked
    assert transcript(tmp_path)


def test_nothing_is_verified_that_was_not_pushed(tmp_path):
    nothing = Published("b", outcome="NO-CHANGES", detail="no file was changed")
    result, _, held, _ = with_rails(tmp_path, published=nothing)
    assert (result.verdict, result.extra["outcome"]) == ("NO-GO", "NO-CHANGES")
    assert held.asked == ["deliver NO-GO"]


def test_a_downgrade_reaches_the_result_and_the_branch_stays(tmp_path):
    down = {"verdict": "NO-GO", "outcome": "NEEDS-VERIFICATION", "top": {"unverified": "the policy"}}
    result, _, held, _ = with_rails(tmp_path, changes=down)
    assert (result.verdict, result.extra["outcome"], result.extra["unverified"]) == (
        "NO-GO", "NEEDS-VERIFICATION", "the policy",
    )  # fmt: skip
    assert result.extra["branch"] == PUSHED.branch
    assert held.asked[-1] == "deliver NO-GO"


def test_a_reviewer_is_weighed_and_never_verified(tmp_path):
    _, place, held, _ = with_rails(tmp_path, calls(("read_file", {"path": "a"})), GO, smith=agent("reviewer"))
    assert held.asked == ["weigh", "deliver GO"]
    assert place.messages == []


def test_what_is_delivered_is_in_the_result(tmp_path):
    result, _, _, _ = with_rails(tmp_path, delivers={"pullRequestURL": "http://host/7"})
    assert result.extra["pullRequestURL"] == "http://host/7"


def test_a_delivery_that_hangs_costs_itself_and_not_the_verdict(tmp_path):
    result, _, _, _ = with_rails(tmp_path, stuck=10_000, delivers={"pullRequestURL": "late"})
    assert result.verdict == "GO"
    assert "pullRequestURL" not in result.extra
    assert result.extra["gateAdvisories"][0]["check"] == "deliver"
