"""The native executor: an Agent at work on a task, a scripted model, in virtual time: every end it can come to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from loop_kit import Scripted, calls, drive, submit, toys
from support import new_task

from foreman.api import Agent, FailureReason, ModelProfileSpec, Result, from_wire
from foreman.decide import claims
from foreman.executors import Cancelled, Execution
from foreman.executors.address import Address
from foreman.executors.loop import Refused, RuntimeLeash, Transient, Turn, Unauthorized
from foreman.executors.native import NativeExecutor, Parts
from foreman.executors.outcome import Published
from foreman.executors.precondition import Precondition
from foreman.executors.transcripts import FileTranscripts

EDIT = calls(("write_file", {"path": "a"}))
GO = submit("GO", "mended", commit_message="Mend it")
PUSHED = Published("foreman/issue-1", "abc123")


def agent(role="coder", **spec):
    given = {"role": role, "tools": ["read_file", "write_file", "submit_result"], "systemPrompt": "You mend.", **spec}
    given.setdefault("providerConfig", {"baseURL": "http://x/v1", "model": "m"})
    return from_wire({
        "apiVersion": "foreman.llmkube.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "smith"}, "spec": given,
    })  # fmt: skip


@dataclass
class Workplace:
    """Recipes, desk, checkout: what the executor is given."""

    smith: Agent = field(default_factory=agent)
    published: Any = PUSHED
    unprepared: Exception | None = None
    hangs: float = 0
    missing: Precondition | None = None
    profile_spec: ModelProfileSpec | None = None
    repository: bool = True
    check: Any = None
    rails: Any = None
    pictures: Any = ()
    messages: list[str] = field(default_factory=list)
    closed: int = 0
    process: Any = None

    @property
    def tools(self):
        return toys("read_file", "write_file")

    async def prepare(self):
        if self.hangs:
            await self.process.sleep(self.hangs)
        if self.unprepared is not None:
            raise self.unprepared

    async def publish(self, message):
        if not self.repository:
            return None
        self.messages.append(message)
        return self.published

    async def close(self):
        self.closed += 1

    async def agent(self, namespace, name):
        if self.missing is not None:
            raise self.missing
        return self.smith

    async def profile(self, name):
        return self.profile_spec

    async def address(self, agent, namespace):
        return Address("http://x/v1", "m")


class Gate:
    kind = "gate"

    async def execute(self, execution):
        return Result(kind="gate", verdict="GATE-PASS", summary="clean")


def execute(tmp_path, *script, place=None, cancel_after=None, attempt=1, task=None, model=None, deterministic=None):
    """(result or exception, workplace, scripted model)."""
    place = place or Workplace()

    async def main(process):
        place.process = process
        cancelled = process.event()
        if cancel_after is not None:
            process.call_later(cancel_after, cancelled.set)
        scripted = model or Scripted(script or [GO], process)
        parts = Parts(
            recipes=place,
            desk=lambda execution, agent: place,
            model=lambda address, agent: scripted,
            leash=lambda signal, seconds: RuntimeLeash(process, signal, seconds),
            transcripts=FileTranscripts(tmp_path),
            draw=lambda below: below // 2,
            deterministic=deterministic or {},
        )
        given = task or new_task("t", agentRef={"name": "smith"}, payload={"repo": "o/r", "issue": 1}, kind="issue-fix")
        try:
            outcome = await NativeExecutor(process, parts).execute(Execution(given, attempt, cancelled))
        except Exception as error:
            outcome = error
        return outcome, place, scripted

    return drive(main)


def transcript(tmp_path, attempt=1):
    return json.loads((tmp_path / f"default/t/attempt-{attempt}/transcript.json").read_text())


def test_a_coder_edits_and_what_it_did_is_pushed(tmp_path):
    result, place, _ = execute(tmp_path, EDIT, GO)
    assert (result.kind, result.verdict, result.summary, result.failure_reason) == (
        "native-agent-loop",
        "GO",
        "mended",
        None,
    )
    extra = result.extra
    assert (extra["outcome"], extra["branch"], extra["commitSHA"]) == ("MODEL-DECIDED", "foreman/issue-1", "abc123")
    assert (extra["turnCount"], extra["retryCount"], extra["usage"]["completionTokens"]) == (2, 0, 10)
    assert (place.messages, place.closed) == (["Mend it"], 1)
    assert result.elapsed_sec == 2


def test_what_the_result_says_is_lifted_into_the_status(tmp_path):
    result, _, _ = execute(tmp_path, EDIT, GO)
    patch = claims.report(
        new_task("t").evolve(status=new_task("t").status.evolve(phase="Running")), claims.Outcome(result), 0
    )
    assert (patch["branch"], patch["commit_sha"]) == ("foreman/issue-1", "abc123")
    assert patch["transcript_ref"].endswith("t/attempt-1/transcript.json")


def test_a_missing_commit_message_is_made_of_the_summary(tmp_path):
    _, place, _ = execute(tmp_path, submit("GO", "mended"))
    assert place.messages == ["mended"]


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("NO-CHANGES", None), ("COMMIT-REJECTED", "ConstraintViolated"), ("PUSH-FAILED", "InfrastructureError")],
)
def test_a_go_that_cannot_be_published_is_a_no_go(tmp_path, outcome, reason):
    place = Workplace(published=Published("foreman/issue-1", outcome=outcome, detail="why not"))
    result, _, _ = execute(tmp_path, EDIT, GO, place=place)
    assert (result.verdict, result.extra["outcome"], result.failure_reason) == ("NO-GO", outcome, reason)
    assert result.summary.startswith("why not")
    assert result.extra["intendedBranch"] == "foreman/issue-1"


@pytest.mark.parametrize("role", ["reviewer", "verifier", "planner"])
def test_only_a_coder_commits(tmp_path, role):
    result, place, _ = execute(tmp_path, GO, place=Workplace(agent(role)))
    assert (result.verdict, result.extra["outcome"], place.messages) == ("GO", "MODEL-DECIDED", [])


def test_a_task_without_a_repository_has_nothing_to_publish(tmp_path):
    result, place, _ = execute(tmp_path, GO, place=Workplace(repository=False))
    assert (result.verdict, place.messages) == ("GO", [])


@pytest.mark.parametrize(
    ("script", "verdict", "outcome", "reason"),
    [
        ([submit("NO-GO", "impossible")], "NO-GO", "MODEL-DECIDED", None),
        ([submit("ERROR", "no disk")], "INCOMPLETE", "MODEL-DECIDED", "ModelReportedError"),
        ([submit("NO-GO", "x", extra={"outcome": "ALREADY-RESOLVED", "resolvedBy": "#9"})], "NO-GO", "ALREADY-RESOLVED", None),
        ([submit("NO-GO", "x", extra={"outcome": "NEEDS-VERIFICATION"})], "NO-GO", "NEEDS-VERIFICATION", None),
        ([submit("NO-GO", "x", extra={"outcome": "STUCK-LOOP-DETECTED"})], "NO-GO", "MODEL-DECIDED", None),
        ([Turn("hm")], "INCOMPLETE", "LOOP-INCOMPLETE", "ModelMisunderstood"),
        ([calls(("read_file", {}))], "INCOMPLETE", "MODEL-DECIDED", "ModelMisunderstood"),
        ([Refused("down")], "INCOMPLETE", "EXECUTOR-PRECONDITION-FAILED", "InferenceServiceUnavailable"),
        ([Unauthorized("no")], "INCOMPLETE", "EXECUTOR-PRECONDITION-FAILED", "AuthUnavailable"),
        ([EDIT, Transient("busy")], "INCOMPLETE", "LOOP-INCOMPLETE", "InferenceServiceUnavailable"),
    ],
)  # fmt: skip
def test_every_end_has_its_verdict_outcome_and_reason_and_a_transcript(tmp_path, script, verdict, outcome, reason):
    result, place, _ = execute(tmp_path, *script)
    assert (result.verdict, result.extra["outcome"], result.failure_reason) == (verdict, outcome, reason)
    assert (place.messages, place.closed) == ([], 1)
    assert transcript(tmp_path)["messages"][0]["content"] == "You mend."


def test_a_claim_is_promoted_with_its_evidence(tmp_path):
    result, _, _ = execute(tmp_path, submit("NO-GO", "x", extra={"outcome": "ALREADY-RESOLVED", "resolvedBy": "#9"}))
    assert result.extra["resolvedBy"] == "#9"
    assert result.extra["modelExtra"]["outcome"] == "ALREADY-RESOLVED"


def test_the_budget_and_the_turns_are_the_agents(tmp_path):
    reads = [calls(("read_file", {"n": n})) for n in range(99)]
    result, _, _ = execute(tmp_path, *reads, place=Workplace(agent(requestTimeoutSeconds=5)))
    assert (result.failure_reason, result.elapsed_sec) == ("Timeout", 5)
    assert result.extra["modelExtra"]["outcome"] == "LOOP-BUDGET-EXHAUSTED"
    result, _, _ = execute(tmp_path, *reads, place=Workplace(agent(maxTurns=4)))
    assert (result.failure_reason, result.extra["turnCount"]) == ("MaxTurnsExhausted", 4)


def test_retries_are_bounded_by_the_agent_and_counted(tmp_path):
    result, _, scripted = execute(tmp_path, Transient("a"), Transient("b"), GO)
    assert (result.verdict, result.extra["retryCount"]) == ("GO", 2)
    _, _, scripted = execute(tmp_path, Transient("a"), place=Workplace(agent(maxRetries=0)))
    assert len(scripted.requests) == 1


def test_work_the_checks_refuse_to_the_end_is_pushed_as_unfinished(tmp_path):
    async def check(submission):
        return "tests fail"

    result, place, _ = execute(tmp_path, EDIT, GO, place=Workplace(check=check))
    assert (result.verdict, result.failure_reason) == ("INCOMPLETE", "GateFailed")
    assert result.extra["modelExtra"]["outcome"] == "CODER-GATE-FAILED"
    assert (place.messages, result.extra["branch"]) == (["WIP: Mend it"], "foreman/issue-1")


def test_a_reviewers_go_is_not_checked(tmp_path):
    async def check(submission):
        return "never"

    result, _, _ = execute(tmp_path, GO, place=Workplace(agent("reviewer"), check=check))
    assert result.verdict == "GO"


def test_a_cancelled_run_stops_at_once_and_keeps_its_transcript(tmp_path):
    reads = [calls(("read_file", {"n": n})) for n in range(99)]
    error, place, _ = execute(tmp_path, *reads, cancel_after=3.5)
    assert isinstance(error, Cancelled)
    assert "in turn 4" in str(error)
    assert "transcript.json" in str(error)
    assert len(transcript(tmp_path)["messages"]) == 2 + 3 * 2
    assert (place.closed, place.messages) == (1, [])


def test_a_cancellation_during_the_checkout_ends_it(tmp_path):
    error, place, scripted = execute(tmp_path, GO, place=Workplace(hangs=1e5), cancel_after=2)
    assert isinstance(error, Cancelled)
    assert (place.closed, scripted.requests) == (1, [])


def test_a_bug_in_the_model_does_not_lose_the_transcript(tmp_path):
    error, place, _ = execute(tmp_path, EDIT, RuntimeError("bug"))
    assert isinstance(error, RuntimeError)
    assert len(transcript(tmp_path)["messages"]) == 4
    assert place.closed == 1


def test_each_attempt_has_a_transcript_of_its_own(tmp_path):
    execute(tmp_path, submit("NO-GO", "first"))
    execute(tmp_path, submit("NO-GO", "second"), attempt=2)
    assert "first" in json.dumps(transcript(tmp_path, 1))
    assert "second" in json.dumps(transcript(tmp_path, 2))


@pytest.mark.parametrize(
    "reason",
    [FailureReason.AGENT_NOT_FOUND, FailureReason.INFERENCE_SERVICE_UNAVAILABLE, FailureReason.AUTH_UNAVAILABLE],
)
def test_what_is_missing_before_the_work_is_a_result_with_its_reason(tmp_path, reason):
    result, _, _ = execute(tmp_path, place=Workplace(missing=Precondition(reason, "it is not there")))
    assert (result.verdict, result.extra["outcome"], result.failure_reason) == (
        "INCOMPLETE", "EXECUTOR-PRECONDITION-FAILED", reason.value,
    )  # fmt: skip
    assert result.summary == "it is not there"


@pytest.mark.parametrize("reason", [FailureReason.CLONE_FAILED, FailureReason.GIT_REMOTE_NOT_CONFIGURED])
def test_a_checkout_that_fails_is_a_result_with_its_reason(tmp_path, reason):
    result, place, _ = execute(tmp_path, place=Workplace(unprepared=Precondition(reason, "no such repository")))
    assert (result.failure_reason, result.summary, place.closed) == (reason.value, "no such repository", 1)


def test_a_checkout_that_hangs_is_given_up(tmp_path):
    result, _, _ = execute(tmp_path, place=Workplace(hangs=1e6))
    assert (result.failure_reason, result.elapsed_sec) == ("CloneFailed", 900)


def test_a_task_without_an_agent_is_the_systems_failure(tmp_path):
    error, _, _ = execute(tmp_path, task=new_task("t"))
    assert isinstance(error, ValueError)
    assert "names no Agent" in str(error)


def gatekeeper(**spec):
    given = {"role": "verifier", "tools": ["submit_result", "run_gate_job"], **spec}
    return from_wire({
        "apiVersion": "foreman.llmkube.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "gate"}, "spec": given,
    })  # fmt: skip


def test_a_deterministic_agent_runs_its_tool_and_no_model(tmp_path):
    result, _, scripted = execute(tmp_path, place=Workplace(gatekeeper()), deterministic={"run_gate_job": Gate()})
    assert (result.kind, result.verdict, scripted.requests) == ("gate", "GATE-PASS", [])


def test_a_deterministic_agent_whose_tool_is_not_here_says_so(tmp_path):
    result, _, _ = execute(tmp_path, place=Workplace(gatekeeper()))
    assert (result.verdict, result.failure_reason) == ("INCOMPLETE", "ToolFailed")


def test_the_profile_adds_to_the_prompt(tmp_path):
    place = Workplace(
        agent(modelProfileRef={"name": "qwen"}), profile_spec=ModelProfileSpec(system_prompt_addendum="Be brief.")
    )
    _, _, scripted = execute(tmp_path, GO, place=place)
    assert scripted.requests[0].messages[0]["content"] == "You mend.\n\nBe brief."


def test_the_task_is_told_with_its_facts(tmp_path):
    payload = {"repo": "o/r", "issue": 7, "promptPrefix": "Goal: speed.", "branch": "b"}
    task = new_task("t", agentRef={"name": "smith"}, payload=payload, kind="issue-fix")
    _, _, scripted = execute(tmp_path, GO, task=task)
    told = scripted.requests[0].messages[1]["content"]
    assert all(each in told for each in ("o/r", "#7", "Goal: speed.", "Branch: b", "never run git commit"))
