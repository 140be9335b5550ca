"""The loop itself, on a scripted model in virtual time: how every run ends, and what the model was told on the way."""

from __future__ import annotations

import json

import pytest
from loop_kit import Toy, calls, run, submit, toys

from foreman.api import FailureReason, StuckLoopDetection
from foreman.executors.loop import End, Limits, Overflow, Refused, ToolCall, Transient, Turn, judge
from foreman.executors.loop.corrections import CORRECTIONS, FINAL_NUDGE, PLACEHOLDER, Fault
from foreman.executors.loop.patience import Patient
from foreman.executors.tools.protocol import Answer

NOTHING = Turn("I think I should look around.")
THINKING = Turn(reasoning="hm")
CUT = Turn("I will write", finish="length")
READ = calls(("read_file", {"path": "a"}))
EDIT = calls(("write_file", {"path": "a", "content": "b"}))


def test_a_submission_ends_it():
    outcome = run(READ, EDIT, submit("GO", "mended", commit_message="Mend it"))
    ending = outcome.ending
    assert (ending.end, ending.turns, ending.retries) == (End.SUBMITTED, 3, 0)
    assert ending.submission.verdict == "GO"
    assert ending.submission.commit_message == "Mend it"
    assert ending.usage.completion == 15
    assert [m["role"] for m in outcome.loop.conversation.messages] == [
        "system", "user", "assistant", "tool", "assistant", "tool", "assistant", "tool",
    ]  # fmt: skip


def test_the_other_calls_of_the_submitting_turn_still_run_left_to_right():
    log = []
    tools = {name: Toy(name, lambda arguments, name=name: log.append(name)) for name in ("write_file", "bash")}
    verdict = {"verdict": "GO", "summary": "done"}
    outcome = run(calls(("write_file", {}), ("submit_result", verdict), ("bash", {})), tools=tools)
    assert outcome.ending.end is End.SUBMITTED
    assert log == ["write_file", "bash"]


def test_the_first_good_submission_of_a_turn_counts():
    first, second = {"verdict": "NO-GO", "summary": "a"}, {"verdict": "GO", "summary": "b"}
    outcome = run(calls(("submit_result", {"verdict": "?"}), ("submit_result", first), ("submit_result", second)))
    assert outcome.ending.submission.summary == "a"


def test_a_bad_submission_is_answered_and_may_be_mended():
    outcome = run(calls(("submit_result", {"verdict": "MAYBE", "summary": "x"})), submit())
    assert outcome.ending.end is End.SUBMITTED
    assert "must be one of GO, NO-GO, ERROR" in outcome.said("tool")[0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("frobnicate", {}), "there is no tool 'frobnicate'; there are: bash, boom"),
        (("read_file", "[1]"), "must be a JSON object, got list"),
        (("read_file", '{"path": '), "not valid JSON"),
        (("read_file", "[" * 100_000), "read_file: the arguments"),
        (("boom", {}), "boom failed: ZeroDivisionError"),
        (("refuses", {}), "no such file"),
    ],
)
def test_what_goes_wrong_with_a_call_is_an_error_the_model_can_read(call, said):
    def boom(arguments):
        raise ZeroDivisionError("by zero")

    tools = toys() | {
        "boom": Toy("boom", boom),
        "refuses": Toy("refuses", lambda a: Answer("no such file", failed=True)),
    }
    outcome = run(calls(call), submit(), tools=tools)
    assert outcome.ending.end is End.SUBMITTED
    assert said in json.loads(outcome.said("tool")[0])["error"]


def test_broken_arguments_are_not_sent_back_to_a_server_that_would_choke_on_them():
    outcome = run(calls(("read_file", '{"path": ')), submit())
    [sent] = outcome.model.requests[1].messages[2]["tool_calls"]
    assert json.loads(sent["function"]["arguments"]) == {}


def test_ids_that_are_missing_or_taken_are_replaced():
    same = ToolCall("x", "read_file", "{}"), ToolCall("x", "read_file", "{}"), ToolCall("", "grep", "{}")
    outcome = run(Turn(calls=same, finish="tool_calls"), submit())
    messages = outcome.loop.conversation.messages
    ids = [each["id"] for each in messages[2]["tool_calls"]]
    assert len(set(ids)) == 3
    assert all(ids)
    assert [m["tool_call_id"] for m in messages[3:6]] == ids


def test_a_tool_that_says_nothing_leaves_no_message_without_content():
    outcome = run(READ, submit(), tools=toys("bash") | {"read_file": Toy("read_file", lambda arguments: "")})
    assert outcome.said("tool")[0] == "(no output)"


# turns without a tool call


@pytest.mark.parametrize(
    ("turn", "fault", "allowed"),
    [(NOTHING, Fault.NO_CALL, 2), (THINKING, Fault.REASONING_ONLY, 4), (CUT, Fault.TRUNCATED, 3)],
)
def test_faulty_turns_are_corrected_so_often_and_then_end_it(turn, fault, allowed):
    outcome = run(turn)
    assert (outcome.ending.end, outcome.ending.signal) == (End.MISUNDERSTOOD, fault.value)
    assert outcome.ending.turns == allowed + 1
    assert outcome.said("user")[1:] == [CORRECTIONS[fault]] * allowed
    assert judge(outcome.ending).failure_reason is FailureReason.MODEL_MISUNDERSTOOD


@pytest.mark.parametrize("turn", [NOTHING, THINKING, CUT])
def test_a_run_recovers_after_a_correction(turn):
    assert run(turn, submit()).ending.end is End.SUBMITTED


@pytest.mark.parametrize(("turn", "allowed"), [(NOTHING, 2), (THINKING, 4), (CUT, 3)])
def test_a_turn_that_calls_a_tool_begins_the_count_anew(turn, allowed):
    script = [*[turn] * allowed, READ, *[turn] * allowed, submit()]
    assert run(*script).ending.end is End.SUBMITTED


def test_an_empty_reply_is_kept_as_a_placeholder():
    outcome = run(Turn(), submit())
    assert outcome.said("assistant")[0] == PLACEHOLDER
    assert all(message["content"] or message.get("tool_calls") for message in outcome.model.requests[-1].messages)


def test_reasoning_is_not_sent_back_but_kept_in_the_notes():
    outcome = run(Turn("", "because", calls=READ.calls, finish="tool_calls"), submit())
    assert "because" not in json.dumps(list(outcome.model.requests[-1].messages))
    assert outcome.loop.conversation.notes[2]["reasoning"] == "because"


def test_reasoning_of_one_turn_that_was_cut_off_is_preserved():
    cut = Turn("", "half a thought", finish="length")
    outcome = run(cut, cut, submit())
    kept = [m for m in outcome.model.requests[-1].messages if "reasoning_content" in m]
    assert len(kept) == 1


def test_a_call_that_was_cut_off_is_a_truncated_turn():
    cut = calls(("write_file", '{"path": "a", "content": "x'), finish="length")
    outcome = run(cut, submit())
    assert outcome.said("user")[1:] == [CORRECTIONS[Fault.TRUNCATED]]
    assert "tool_calls" not in outcome.loop.conversation.messages[2]


def test_nothing_but_broken_calls_is_not_gone_on_with_for_ever():
    outcome = run(calls(("read_file", "{")))
    assert (outcome.ending.end, outcome.ending.turns) == (End.MISUNDERSTOOD, 3)


# budgets


def test_the_last_three_turns_offer_only_submit_result_and_say_so_once():
    outcome = run(READ, limits=Limits(max_turns=6, stuck=StuckLoopDetection()))
    assert outcome.ending.end is End.MAX_TURNS
    assert [names == ["submit_result"] for names in outcome.offered] == [False, False, False, True, True, True]
    assert outcome.said("user").count(FINAL_NUDGE) == 1
    assert "read_file is not offered in this turn" in outcome.said("tool")[-1]
    assert judge(outcome.ending).failure_reason is FailureReason.MAX_TURNS_EXHAUSTED


def test_a_run_of_three_turns_has_no_last_three():
    outcome = run(READ, limits=Limits(max_turns=3))
    assert outcome.offered[0] == ["read_file", "write_file", "str_replace", "grep", "bash", "submit_result"]
    assert FINAL_NUDGE not in outcome.said("user")


def test_the_budget_of_the_loop_ends_it_in_the_midst_of_a_turn():
    outcome = run(READ, limits=Limits(seconds=10, stuck=StuckLoopDetection()), seconds=4)
    assert (outcome.ending.end, outcome.seconds) == (End.OUT_OF_TIME, 10)
    judged = judge(outcome.ending)
    assert (judged.verdict, judged.failure_reason) == ("INCOMPLETE", "Timeout")
    assert judged.model_extra["outcome"] == "LOOP-BUDGET-EXHAUSTED"
    assert len(outcome.loop.conversation.messages) == 6


def test_a_cancellation_ends_it_at_once():
    outcome = run(READ, cancel_after=2.5)
    assert (outcome.ending.end, outcome.seconds) == (End.STOPPED, 2.5)
    with pytest.raises(ValueError):
        judge(outcome.ending)


def test_a_tool_that_hangs_is_let_go_of_and_the_transcript_says_so():
    class Hangs(Toy):
        async def call(self, arguments):
            await self.process.sleep(1e6)

    from loop_kit import Scripted, drive

    from foreman.executors.loop import Loop, RuntimeLeash

    async def main(process):
        tool = Hangs("bash")
        tool.process = process
        model = Scripted([calls(("bash", {}), ("bash", {}))], process)
        loop = Loop(process, model, {"bash": tool}, Limits(), system="s", task="t")
        return await loop.run(RuntimeLeash(process, process.event(), 60)), loop, process.now()

    ending, loop, now = drive(main)
    assert (ending.end, now) == (End.OUT_OF_TIME, 60)
    assert [m["role"] for m in loop.conversation.messages[-2:]] == ["tool", "tool"]
    assert "ended before this call did" in loop.conversation.messages[-1]["content"]


# the endpoint


def test_a_refusal_of_the_endpoint_ends_it_with_the_conversation_so_far():
    outcome = run(READ, Refused("HTTP 500: broken"))
    assert (outcome.ending.end, outcome.ending.turns) == (End.ENDPOINT, 1)
    assert judge(outcome.ending).outcome == "LOOP-INCOMPLETE"
    assert len(outcome.loop.conversation.messages) == 4


def test_a_refusal_before_the_first_turn_is_a_failed_precondition():
    judged = judge(run(Refused("down")).ending)
    assert (judged.outcome, judged.failure_reason) == ("EXECUTOR-PRECONDITION-FAILED", "InferenceServiceUnavailable")


def patient(retries):
    return lambda scripted, process: Patient(scripted, process, retries, draw=lambda below: below // 2)


def test_transients_are_retried_with_backoff_and_counted():
    outcome = run(Transient("a"), Transient("b"), READ, Transient("c"), submit(), model=patient(3))
    assert (outcome.ending.end, outcome.ending.retries, outcome.ending.turns) == (End.SUBMITTED, 3, 2)
    assert outcome.seconds == pytest.approx(5 + 0.05 + 0.25 + 0.05)


def test_transients_to_the_end_are_the_endpoints_failure():
    outcome = run(Transient("busy"), model=patient(3))
    assert (outcome.ending.end, outcome.ending.retries, outcome.ending.detail) == (End.ENDPOINT, 3, "busy")
    assert outcome.seconds == pytest.approx(4 + 0.05 + 0.25 + 1.0)


def test_what_is_not_transient_is_not_retried():
    outcome = run(Refused("no"), model=patient(3))
    assert (len(outcome.model.requests), outcome.ending.retries) == (1, 0)


def test_a_turn_that_stays_malformed_is_given_to_the_model_to_mend():
    broken = calls(("read_file", '{"path"'))
    outcome = run(*[Transient("bad", turn=broken)] * 3, submit(), model=patient(2))
    assert outcome.ending.end is End.SUBMITTED
    assert "not valid JSON" in outcome.said("tool")[0]
    assert outcome.ending.retries == 2


def test_a_cancellation_ends_a_backoff():
    outcome = run(Transient("busy", retry_after=100.0), model=patient(3), cancel_after=5)
    assert (outcome.ending.end, outcome.seconds) == (End.STOPPED, 5)


def test_a_request_that_is_too_long_is_shortened_and_sent_again():
    big = toys() | {"read_file": Toy("read_file", lambda arguments: "x" * 4000)}
    reads = [calls(("read_file", {"n": n})) for n in range(6)]
    outcome = run(*reads, Overflow("too long"), submit(), tools=big)
    assert outcome.ending.end is End.SUBMITTED
    before, after = outcome.model.requests[-2:]
    assert len(after.messages) < len(before.messages)
    assert after.messages[0] == before.messages[0]
    assert "earlier turns are no longer shown" in after.messages[1]["content"]


def test_a_request_that_cannot_be_shortened_ends_it():
    outcome = run(Overflow("too long"))
    assert outcome.ending.end is End.ENDPOINT
    assert judge(outcome.ending).failure_reason is FailureReason.CONSTRAINT_VIOLATED


# the check on GO


def vetoes(times):
    left = [f"go vet: {i}" for i in range(times)]

    async def check(submission):
        return left.pop() if left else ""

    return check


def test_a_veto_sends_the_model_back_to_work():
    outcome = run(submit(), EDIT, submit(summary="now"), check=vetoes(1))
    assert (outcome.ending.end, outcome.ending.submission.summary) == (End.SUBMITTED, "now")
    assert "go vet: 0" in outcome.said("user")[1]


@pytest.mark.parametrize(("times", "end"), [(3, End.SUBMITTED), (4, End.CHECK_FAILED)])
def test_three_vetoes_are_put_up_with(times, end):
    assert run(submit(), check=vetoes(times)).ending.end is end


def test_vetoed_to_the_end_is_incomplete_with_what_the_model_submitted():
    judged = judge(run(submit(extra={"notes": 1}), check=vetoes(9)).ending)
    assert (judged.verdict, judged.failure_reason, judged.outcome) == ("INCOMPLETE", "GateFailed", "MODEL-DECIDED")
    assert judged.model_extra["outcome"] == "CODER-GATE-FAILED"
    assert judged.model_extra["notes"] == 1


def test_only_a_go_is_checked():
    assert run(submit("NO-GO"), check=vetoes(9)).ending.end is End.SUBMITTED


# getting nowhere


def test_a_model_that_goes_in_circles_is_warned_and_ended():
    outcome = run(READ)
    assert (outcome.ending.end, outcome.ending.signal) == (End.STUCK, "repeated-call")
    assert outcome.ending.turns == 6
    judged = judge(outcome.ending)
    assert (judged.outcome, judged.model_extra["outcome"]) == ("MODEL-DECIDED", "STUCK-LOOP-DETECTED")
    assert judged.model_extra["terminateTurn"] == 6


def test_a_coder_that_only_looks_is_forced_and_ended():
    reads = [calls(("bash", {"command": f"ls {n}"})) for n in range(99)]
    outcome = run(*reads)
    assert (outcome.ending.end, outcome.ending.signal, outcome.ending.turns) == (End.STUCK, "edit-free", 18)
    assert outcome.offered[15] == ["read_file", "write_file", "str_replace", "submit_result"]


def test_a_context_beyond_the_hard_cap_ends_it():
    outcome = run(calls(("bash", {}), prompt=140_000))
    assert (outcome.ending.signal, judge(outcome.ending).failure_reason) == ("context-hard-cap", "ConstraintViolated")
