"""Counterparts of the original's Workload unit tests: the decision tables, under the names of their rows."""

from __future__ import annotations

from typing import Any

import pytest
from workload_kit import child, decided, envelope, follow_up, planned, refs, sorted_in, workload

from foreman.api import AgenticTask, Verdict, condition
from foreman.decide.pipeline import outcome, prompts, rounds
from foreman.decide.pipeline.batch import choose
from foreman.decide.pipeline.outcome import Ending
from foreman.decide.pipeline.steps import CODE, ESCALATED, StepId

# Coder escalation

DEFAULT = [
    ("model NO-GO (like #944)", "NO-GO", "MODEL-DECIDED", "", True),
    ("NO-GO + ALREADY-RESOLVED (already done, #970)", "NO-GO", "ALREADY-RESOLVED", "", False),
    ("NO-GO + NEEDS-VERIFICATION (#1033)", "NO-GO", "NEEDS-VERIFICATION", "", False),
    ("gate-failed (like #911)", "INCOMPLETE", "MODEL-DECIDED", "CODER-GATE-FAILED", True),
    ("model gave up / stuck (like #921)", "INCOMPLETE", "MODEL-DECIDED", "", False),
    ("stuck-loop detected", "INCOMPLETE", "STUCK-LOOP-DETECTED", "", False),
    ("NO-GO but no-changes (trivial)", "NO-GO", "NO-CHANGES", "", False),
    ("GO", "GO", "", "", False),
]
ON_FAILURE = [
    ("model gave up", "INCOMPLETE", "MODEL-DECIDED", "", True),
    ("stuck-loop detected", "INCOMPLETE", "STUCK-LOOP-DETECTED", "", True),
    ("error", "INCOMPLETE", "ERROR", "", True),
    ("NO-GO + ALREADY-RESOLVED never escalates", "NO-GO", "ALREADY-RESOLVED", "", False),
    ("NO-GO + NEEDS-VERIFICATION never escalates", "NO-GO", "NEEDS-VERIFICATION", "", False),
    ("NO-GO but no-changes", "NO-GO", "NO-CHANGES", "", False),
    ("GO", "GO", "", "", False),
    ("gate error of the executor", "GATE-ERROR", "", "", False),
]


@pytest.mark.parametrize(("name", "verdict", "top", "model", "want"), DEFAULT)
def test_should_escalate_coder(name: str, verdict: Any, top: str, model: str, want: bool) -> None:
    assert outcome.lacked_ability(Ending(Verdict(verdict), top, model)) is want


@pytest.mark.parametrize(("name", "verdict", "top", "model", "want"), ON_FAILURE)
def test_should_escalate_coder_on_failure(name: str, verdict: Any, top: str, model: str, want: bool) -> None:
    assert outcome.hit_a_wall(Ending(Verdict(verdict), top, model)) is want


def test_coder_terminal_outcome_reads_the_nested_gate_outcome() -> None:
    task = child("code-641", "Succeeded", "INCOMPLETE", envelope("MODEL-DECIDED", "CODER-GATE-FAILED", "gate failed"))
    assert outcome.ending(task) == ("INCOMPLETE", "MODEL-DECIDED", "CODER-GATE-FAILED")


@pytest.mark.parametrize(
    ("name", "verdict", "top", "want"),
    [
        ("NO-GO + the outcome", "NO-GO", True, True),
        ("NO-GO + MODEL-DECIDED (capability failure)", "NO-GO", "MODEL-DECIDED", False),
        ("NO-GO + empty outcome (legacy)", "NO-GO", "", False),
        ("INCOMPLETE + the outcome (not a NO-GO)", "INCOMPLETE", True, False),
        ("GO + the outcome (impossible, defensive)", "GO", True, False),
        ("nil result envelope", "NO-GO", None, False),
    ],
)
@pytest.mark.parametrize(
    ("word", "classified"),
    [("ALREADY-RESOLVED", outcome.already_resolved), ("NEEDS-VERIFICATION", outcome.needs_verification)],
)
def test_is_already_resolved_and_needs_verification(
    name: str, verdict: str, top: Any, want: bool, word: str, classified: Any
) -> None:
    result = None if top is None else envelope(word if top is True else top)
    assert classified(outcome.ending(child("code-641", "Succeeded", verdict, result))) is want


BAILED = envelope("MODEL-DECIDED", "", "could not solve: fuzzy front-runs anchor")


def escalated(*children: AgenticTask, **spec: Any) -> list[Any]:
    wl = workload(**({"escalationCoderAgentRef": {"name": "coder-qwopus"}, "reviewerAgentRefs": None} | spec))
    tasks = sorted_in(children)
    return list(rounds.coder_escalation(wl, 641, tasks, tasks))


def test_coder_escalation_steps_emits_on_no_go() -> None:
    code, verify = escalated(child("code-641", "Succeeded", "NO-GO", BAILED))
    assert (code.name, code.agent_ref.name, code.payload.branch) == (
        "code-641-esc",
        "coder-qwopus",
        "foreman/wl/issue-641-esc",
    )
    assert "fuzzy front-runs anchor" in code.payload.prompt_prefix
    assert (verify.name, verify.depends_on) == ("verify-641-esc", ("code-641-esc",))


@pytest.mark.parametrize(("said", "opens"), [(None, True), (True, True), (False, False)])
def test_coder_escalation_steps_emits_reviewer_steps_on_the_esc_branch(said: bool | None, opens: bool) -> None:
    steps = escalated(
        child("code-641", "Succeeded", "NO-GO", BAILED), reviewerAgentRefs=refs("reviewer-a"), openPullRequest=said
    )
    review = steps[2]
    assert (review.name, review.kind, review.agent_ref.name) == ("review-641-esc-0", "review", "reviewer-a")
    assert (review.depends_on, review.payload.branch) == (("verify-641-esc",), "foreman/wl/issue-641-esc")
    assert (review.payload.issue, review.payload.open_pull_request) == (641, opens)


def test_coder_escalation_steps_skips_stuck_loop_and_existing() -> None:
    stuck = child("code-641", "Succeeded", "INCOMPLETE", envelope("STUCK-LOOP-DETECTED"))
    assert escalated(stuck) == []
    assert [step.name for step in escalated(stuck, escalateOnFailure=True)] == ["code-641-esc", "verify-641-esc"]
    base = child("code-641", "Succeeded", "NO-GO", BAILED)
    assert escalated(base, child("code-641-esc"), child("verify-641-esc")) == []
    assert [step.name for step in escalated(base, child("code-641-esc"))] == ["verify-641-esc"]


def test_coder_escalation_steps_off_when_unset_or_not_terminal() -> None:
    base = child("code-641", "Succeeded", "NO-GO", BAILED)
    assert escalated(base, escalationCoderAgentRef=None) == []
    assert escalated(child("code-641", "Running")) == []
    assert escalated() == []


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (BAILED, "BaseCoderCapabilityFailure"),
        (envelope("STUCK-LOOP-DETECTED"), "BaseCoderFailureEscalation"),
    ],
)
def test_escalation_says_why(result: dict[str, Any], reason: str) -> None:
    verdict = "NO-GO" if result is BAILED else "INCOMPLETE"
    wl = workload(escalationCoderAgentRef={"name": "big"}, escalateOnFailure=True)
    children = [child("code-641", "Succeeded", verdict, result)]
    told = condition(decided(planned(wl, children), children).changes["conditions"], "CoderEscalationTriggered")
    assert told is not None
    assert (told.status, told.reason) == ("True", reason)
    assert "#641" in told.message


# Envelope integration


def test_a_promoted_outcome_stands_escalation_down_and_a_nested_one_does_not() -> None:
    """Regression canary (#1210): only the top-level outcome may say that the work was done already."""
    top = child("code-641", "Succeeded", "NO-GO", envelope("ALREADY-RESOLVED", resolvedBy="abc123"))
    nested = child("code-641", "Succeeded", "NO-GO", envelope("MODEL-DECIDED", "ALREADY-RESOLVED"))
    assert escalated(top) == []
    assert [step.name for step in escalated(nested)] == ["code-641-esc", "verify-641-esc"]


# Reviewer escalation (TestEscalationSteps)

GO, NO_GO = ("Succeeded", "GO"), ("Succeeded", "NO-GO")
ESCALATION = [
    ("single base reviewer NO-GO triggers one escalation per ref", {"review-641-0": NO_GO}, 2, ["0", "1"]),
    ("coder-escalation branch reviews are excluded", {"review-641-esc-0": NO_GO}, 1, []),
    ("all base reviewers GO emits nothing", {"review-641-0": GO}, 1, []),
    ("waits for every base reviewer", {"review-641-0": NO_GO, "review-641-1": ("Running", "")}, 1, []),
    ("both terminal with one NO-GO", {"review-641-0": NO_GO, "review-641-1": GO}, 1, ["0"]),
    ("existing escalation blocks (idempotent)", {"review-641-0": NO_GO, "escalate-641-0": ("Running", "")}, 1, []),
    ("partial create repaired", {"review-641-0": NO_GO, "escalate-641-0": ("Running", "")}, 2, ["1"]),
    ("cascade INCOMPLETE does not escalate", {"review-641-0": ("Succeeded", "INCOMPLETE")}, 1, []),
    ("Failed without NO-GO does not escalate", {"review-641-0": ("Failed", "")}, 1, []),
    ("no escalation refs is a no-op", {"review-641-0": NO_GO}, 0, []),
    ("the last revision's NO-GO escalates", {"review-641-0": NO_GO, "review-641-0-r1": NO_GO}, 1, ["0"]),
    ("issue numbers do not prefix-match (64 vs 641)", {"review-6410-0": NO_GO}, 1, []),
]


@pytest.mark.parametrize(("name", "children", "judges", "want"), ESCALATION)
def test_escalation_steps(name: str, children: dict[str, Any], judges: int, want: list[str]) -> None:
    wl = workload(escalationReviewerAgentRefs=refs(*["big-reviewer"] * judges))
    tasks = sorted_in(child(step, *state) for step, state in children.items())
    steps = list(rounds.second_opinion(wl, 641, tasks, tasks))
    assert [step.name for step in steps] == [f"escalate-641-{each}" for each in want]
    for step in steps:
        assert (step.kind, step.agent_ref.name, step.depends_on) == ("review", "big-reviewer", ())
        assert (step.payload.repo, step.payload.issue) == ("defilantech/LLMKube", 641)
        assert step.payload.branch == "foreman/wl/issue-641"


def test_escalation_is_per_issue_and_in_spec_order() -> None:
    spec = {"issues": [642, 641, 643], "escalationReviewerAgentRefs": refs("judge"), "maxReviewIterations": 0}
    children = [child("review-641-0", *NO_GO), child("review-642-0", *NO_GO), child("review-643-0", *GO)]
    assert follow_up(children, **spec) == ["escalate-642-0", "escalate-641-0"]


def test_escalation_and_iteration_leave_explicit_pipelines_alone() -> None:
    pipeline = [{"name": "review-9-0", "kind": "review", "agentRef": {"name": "mine"}, "payload": {}}]
    children = [child("review-9-0", *NO_GO)]
    spec = {"pipeline": pipeline, "issues": [9], "escalationReviewerAgentRefs": refs("judge")}
    assert follow_up(children, **spec) == []


def test_escalation_refs_without_base_reviewers_say_so() -> None:
    wl = workload(reviewerAgentRefs=None, escalationReviewerAgentRefs=refs("judge"))
    children = [child("code-641", *GO), child("verify-641", "Succeeded", "GATE-PASS")]
    told = condition(decided(planned(wl, children), children).changes["conditions"], "EscalationTriggered")
    assert told is not None
    assert (told.status, told.reason) == ("False", "NoBaseReviewers")


# Review iteration (TestReviewIterationSteps)

R1 = ["code-641-r1", "verify-641-r1", "review-641-0-r1"]
R2 = ["code-641-r2", "verify-641-r2", "review-641-0-r2"]
BASE = {"code-641": GO, "verify-641": ("Succeeded", "GATE-PASS")}
ROUND1 = {"code-641-r1": GO, "verify-641-r1": ("Succeeded", "GATE-PASS"), "review-641-0-r1": NO_GO}
NEW = dict.fromkeys(R1, ("", ""))
ITERATION = [
    ("reviewer NO-GO triggers the full r1 triple", {**BASE, "review-641-0": NO_GO}, {}, R1),
    ("reviewer GO converges: no iteration", {**BASE, "review-641-0": GO}, {}, []),
    ("waits for every reviewer", {"review-641-0": NO_GO, "review-641-1": ("Running", "")}, {}, []),
    ("cascade INCOMPLETE does not iterate", {"review-641-0": ("Succeeded", "INCOMPLETE")}, {}, []),
    ("existing r1 children block re-emission", {**BASE, "review-641-0": NO_GO, **NEW}, {}, []),
    ("partial r1 repaired", {**BASE, "review-641-0": NO_GO, "code-641-r1": ("Running", "")}, {}, R1[1:]),
    ("r1 NO-GO with budget left chains r2", {"review-641-0": NO_GO, **ROUND1}, {"maxReviewIterations": 2}, R2),
    ("budget exhausted emits nothing", {"review-641-0": NO_GO, **ROUND1}, {}, []),
    ("explicit 0 disables iteration", {"review-641-0": NO_GO}, {"maxReviewIterations": 0}, []),
    ("issue numbers do not cross-match (64 vs 641)", {"review-6410-0": NO_GO}, {}, []),
    ("no reviewers configured is inert", {"code-641": GO}, {"reviewerAgentRefs": None}, []),
]


@pytest.mark.parametrize(("name", "children", "spec", "want"), ITERATION)
def test_review_iteration_steps(name: str, children: dict[str, Any], spec: dict[str, Any], want: list[str]) -> None:
    tasks = sorted_in(child(step, *state) for step, state in children.items())
    steps = list(rounds.revision(workload(**spec), 641, tasks, tasks))
    assert [step.name for step in steps] == want
    for step in steps:
        assert step.payload.branch == "foreman/wl/issue-641"
        if step.kind == "issue-fix":
            assert step.payload.allow_overwrite
            assert (step.payload.revise_from_branch, step.payload.branch_strategy) == (step.payload.branch, "rebase")
            assert "NO-GO" in step.payload.prompt
            assert step.depends_on == ()
        else:
            assert len(step.depends_on) == 1


def test_iteration_is_per_issue() -> None:
    children = [child("review-641-0", *NO_GO), child("review-642-0", *GO)]
    assert follow_up(children, issues=[641, 642]) == R1


def test_a_revision_runs_on_the_revision_coder_when_there_is_one() -> None:
    tasks = sorted_in([child("review-641-0", *NO_GO)])
    wl = workload(revisionCoderAgentRef={"name": "fixer"})
    assert next(rounds.revision(wl, 641, tasks, tasks)).agent_ref.name == "fixer"


def test_review_feedback_prompt() -> None:
    finding = {
        "severity": "blocker",
        "area": "scope",
        "message": "reduces the expiry from 10080 to 30",
        "file": "config/auth.py",
        "line": 12,
        "suggestion": "revert the unrelated change",
    }
    strict = {"summary": "scope creep", "extra": {"modelExtra": {"findings": [finding]}}}
    prompt = prompts.review_feedback([child("review-641-0", *NO_GO, strict)])
    for want in (
        "NO-GO",
        "scope creep",
        "[blocker/scope] reduces the expiry from 10080 to 30",
        "config/auth.py:12",
        "revert the unrelated change",
        "Address this feedback",
    ):
        assert want in prompt
    legacy = {"extra": {"modelExtra": {"findings": {"missing_tests_details": "no unit test covers it"}}}}
    assert "no unit test covers it" in prompts.review_feedback([child("review-641-0", *NO_GO, legacy)])
    assert "Reviewer review-641-1" in prompts.review_feedback([child("review-641-1", *NO_GO)])


# Active children

ROUNDS = ["code-641", "review-641-0", "code-641-r1", "review-641-0-r1", "escalate-641-0"]


def test_active_children() -> None:
    tasks = sorted_in(map(child, ROUNDS))
    active = [str(step) for step in tasks if not rounds.superseded(step, rounds.latest_round(tasks))]
    assert active == ["code-641-r1", "review-641-0-r1", "escalate-641-0"]


def test_active_children_escalation_supersedes_base() -> None:
    tasks = sorted_in(map(child, ["code-641", "verify-641", "code-641-esc", "verify-641-esc", "review-641-esc-0"]))
    active = [step for step in tasks if not rounds.superseded(step, rounds.latest_round(tasks))]
    assert {step.round for step in active} == {ESCALATED}
    assert StepId(CODE, 641) not in active


# Intent


def test_intent_prompt_prefix_and_sections() -> None:
    told = prompts.intent_prefix("Change only these 3 files.")
    assert "Operator intent for this run" in told
    assert told.endswith("Change only these 3 files.")
    assert "the intent wins" in told
    assert prompts.intent_prefix("  \n ") == ""
    assert prompts.joined("a", "", "  ", "b") == "a\n\nb"
    assert prompts.joined("", "  ") == ""


def test_intent_is_carried_into_batch_iteration_and_escalation() -> None:
    wl = workload(intent="Only fix the parser.", escalationCoderAgentRef={"name": "big"})
    batch = {step.name: step.payload.prompt_prefix for step in choose(wl).steps}  # type: ignore[union-attr]
    assert "Only fix the parser." in batch["code-641"]
    assert batch["verify-641"] == batch["review-641-0"] == ""
    tasks = sorted_in([child("review-641-0", *NO_GO)])
    revision = next(rounds.revision(wl, 641, tasks, tasks)).payload
    assert "Only fix the parser." in revision.prompt_prefix
    assert revision.prompt
    tasks = sorted_in([child("code-641", "Succeeded", "NO-GO", BAILED)])
    prefix = next(rounds.coder_escalation(wl, 641, tasks, tasks)).payload.prompt_prefix
    assert prefix.index("Only fix the parser.") < prefix.index("fuzzy front-runs anchor")


# Advisories

NOTICED = [{"check": "grounding-breadth", "detail": "cites what is unknown"}, {"check": "scope-overlap", "detail": "x"}]


@pytest.mark.parametrize(
    ("name", "result", "want"),
    [
        (
            "returns advisories when present",
            {"extra": {"gateAdvisories": NOTICED}},
            ["grounding-breadth", "scope-overlap"],
        ),
        ("nil when gateAdvisories absent", {"extra": {"branch": "b"}}, []),
        ("nil when gateAdvisories is empty", {"extra": {"gateAdvisories": []}}, []),
        ("nil when status.result is nil", None, []),
        ("nil for malformed JSON", {"extra": {"gateAdvisories": "not-json"}}, []),
    ],
)
def test_extract_gate_advisories(name: str, result: dict[str, Any] | None, want: list[str]) -> None:
    assert [each.check for each in outcome.advisories(child("code-641", *GO, result))] == want


@pytest.mark.parametrize(
    ("children", "want"),
    [
        ({"review-641-0": ("Pending", "")}, ["wl-review-641-0"]),
        ({"review-641-0": ("", "")}, ["wl-review-641-0"]),
        ({"escalate-641-0": ("Pending", "")}, ["wl-escalate-641-0"]),
        ({"review-641-0": ("Running", "")}, []),
        ({"verify-641": ("Pending", "")}, []),
        ({"review-641-0-r1": ("Pending", "")}, []),
    ],
)
def test_patch_review_advisories(children: dict[str, Any], want: list[str]) -> None:
    coder = child("code-641", *GO, {"extra": {"gateAdvisories": NOTICED}})
    tasks = [coder, *(child(step, *state) for step, state in children.items())]
    told = decided(planned(workload(), tasks), tasks).advise
    assert [task.metadata.name for task, _ in told] == want
    again = [
        task.evolve(spec=task.spec.evolve(payload=task.spec.payload.evolve(gate_advisories=n))) for task, n in told
    ]
    assert decided(planned(workload(), [coder, *again]), [coder, *again]).advise == ()
