"""Counterparts of the original's Workload controller tests (7.4), in the simulated cluster."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from support import advance, new_agent, task, unharmed, until, world

from foreman.api import AgenticTask, Workload, condition
from sim.world import World

AGENTS = {
    "coder": {},
    "gate": {"role": "verifier"},
    "reviewer": {"role": "reviewer"},
    "cloud": {"provider": "cloud-proxy"},
}
USUAL = {
    "intent": "test",
    "repo": "o/r",
    "coderAgentRef": {"name": "coder"},
    "verifierAgentRef": {"name": "gate"},
}
PASS = {"verify": {"verdicts": {"GATE-PASS": 1}}}


def play(executor: dict[str, Any] | None = None, more: dict[str, Any] | None = None, **spec: Any) -> World:
    """A world with one Workload `wl`; `spec` over a batch with coder and gate (None takes a field away)."""
    said = {key: value for key, value in (USUAL | spec).items() if value is not None}
    scenario: dict[str, Any] = {
        "fleet": {"node": {"count": 2, "slots": 4}},
        "agents": AGENTS,
        "workloads": {"wl": {"spec": said, "executor": {**(executor or {}), **PASS}}},
        "linger": "5s",
    }
    return world(yaml.safe_dump(scenario | (more or {})))


def workload(w: World, name: str = "wl") -> Workload:
    found = w.server.get("test", "Workload", name, "default")
    assert isinstance(found, Workload)
    return found


def ended(w: World) -> Workload:
    """The Workload once the run is over, and nothing is wrong with it."""
    w.run()
    unharmed(w)
    return workload(w)


def told(found: Workload, type_: str) -> tuple[str, str]:
    said = condition(found.status.conditions, type_)
    return (said.status, said.reason) if said is not None else ("", "")


def children(w: World) -> dict[str, AgenticTask]:
    return {each.metadata.name.removeprefix("wl-"): each for each in w.server.tables["AgenticTask"].values()}


def test_not_found_is_no_error() -> None:
    w = play(issues=[1])
    advance(w, 1)
    controller = w.operators["operator-0"].workload_controller.controller
    controller.queue.add("default/ghost")
    advance(w, 1)
    assert not controller.errors


def test_intent_only_fails_with_no_planner_or_pipeline() -> None:
    found = ended(play(issues=None))
    assert found.status.phase == "Failed"
    assert told(found, "Planned") == ("False", "NoPlannerOrPipeline")


def test_issues_without_a_coder_fail_with_no_planner_or_pipeline() -> None:
    found = ended(play(issues=[1], coderAgentRef=None))
    assert told(found, "Planned") == ("False", "NoPlannerOrPipeline")


PIPELINE = [
    {"name": "first", "kind": "freeform", "agentRef": {"name": "coder"}, "payload": {"prompt": "a"}, "priority": 3},
    {
        "name": "second",
        "kind": "freeform",
        "agentRef": {"name": "coder"},
        "payload": {},
        "dependsOn": ["first"],
        "timeoutSeconds": 99,
    },
]


def test_one_task_per_pipeline_step_with_depends_on_rewritten() -> None:
    w = play(pipeline=PIPELINE, gateProfile={"language": "rust"}, mcpEnabled=False, verdictPolicy={"selfGO": ["docs"]})
    found = ended(w)
    first, second = task(w, "wl-first"), task(w, "wl-second")
    assert second.spec.depends_on == ("wl-first",)
    assert (first.spec.priority, second.spec.timeout_seconds) == (3, 99)
    assert first.metadata.labels["foreman.llmkube.dev/step"] == "first"
    assert first.metadata.labels["foreman.llmkube.dev/workload"] == "wl"
    owner = first.metadata.owner_references[0]
    assert (owner.kind, owner.name, owner.uid, owner.controller) == ("Workload", "wl", found.metadata.uid, True)
    assert first.spec.gate_profile is not None
    assert (first.spec.gate_profile.language, first.spec.mcp_enabled) == ("rust", False)
    assert first.spec.verdict_policy is not None
    assert found.status.phase == "Completed"
    assert [ref.name for ref in found.status.tasks] == ["wl-first", "wl-second"]
    assert found.status.planner_model == "stub:explicit-pipeline"


def test_mcp_verdict_policy_and_gate_profile_are_left_nil_when_unset() -> None:
    w = play(issues=[1])
    ended(w)
    spec = task(w, "wl-code-1").spec
    assert (spec.mcp_enabled, spec.verdict_policy, spec.gate_profile) == (None, None, None)


def test_a_steps_own_gate_profile_wins() -> None:
    own = {**PIPELINE[0], "gateProfile": {"language": "node"}}
    w = play(pipeline=[own, PIPELINE[1]], gateProfile={"language": "rust"})
    ended(w)
    languages = [task(w, name).spec.gate_profile for name in ("wl-first", "wl-second")]
    assert [each.language if each else None for each in languages] == ["node", "rust"]


def test_issues_become_code_and_verify_pairs() -> None:
    w = play(issues=[7, 8])
    found = ended(w)
    assert sorted(children(w)) == ["code-7", "code-8", "verify-7", "verify-8"]
    code, verify = task(w, "wl-code-7"), task(w, "wl-verify-7")
    assert (code.spec.kind, code.spec.payload.issue, code.spec.payload.branch) == ("issue-fix", 7, "foreman/wl/issue-7")
    assert (verify.spec.kind, verify.spec.depends_on) == ("verify", ("wl-code-7",))
    assert (found.status.phase, found.status.succeeded_tasks) == ("Completed", 4)
    assert told(found, "Completed") == ("True", "AllChildrenSucceeded")
    assert told(found, "Dispatched") == ("False", "AllChildrenSucceeded")
    assert told(found, "Planned") == ("True", "PlannerSucceeded")


@pytest.mark.parametrize(("gate", "dep"), [({"name": "gate"}, "wl-verify-1"), (None, "wl-code-1")])
def test_one_review_per_reviewer_depending_on_verify_or_gateless_on_code(gate: Any, dep: str) -> None:
    w = play(issues=[1], verifierAgentRef=gate, reviewerAgentRefs=[{"name": "reviewer"}, {"name": "reviewer"}])
    found = ended(w)
    for name in ("wl-review-1-0", "wl-review-1-1"):
        assert task(w, name).spec.depends_on == (dep,)
    assert ("verify-1" in children(w)) is (gate is not None)
    assert found.status.phase == "Completed"


@pytest.mark.parametrize(("said", "opens"), [(None, True), (False, False)])
def test_open_pull_request_is_for_reviews_alone(said: bool | None, opens: bool) -> None:
    w = play(issues=[1], reviewerAgentRefs=[{"name": "reviewer"}], openPullRequest=said)
    ended(w)
    opening = {step: each.spec.payload.open_pull_request for step, each in children(w).items()}
    assert opening == {"code-1": False, "verify-1": False, "review-1-0": opens}


@pytest.mark.parametrize("said", [None, True])
def test_allow_overwrite_is_stamped_on_issue_fix_when_set(said: bool | None) -> None:
    w = play(issues=[1], allowOverwrite=said)
    ended(w)
    assert {step: each.spec.payload.allow_overwrite for step, each in children(w).items()} == {
        "code-1": bool(said),
        "verify-1": False,
    }


def test_max_tasks_clips_and_says_truncated() -> None:
    w = play(issues=[1, 2, 3], maxTasks=3)
    found = ended(w)
    assert sorted(children(w)) == ["code-1", "code-2", "verify-1"]
    assert told(found, "Truncated") == ("True", "MaxTasksCap")


def test_max_tasks_leaves_out_what_depends_on_what_was_cut() -> None:
    late = {**PIPELINE[1], "dependsOn": ["third"]}
    third = {**PIPELINE[0], "name": "third"}
    w = play(pipeline=[PIPELINE[0], late, third], maxTasks=2)
    assert ended(w).status.phase == "Completed"
    assert list(children(w)) == ["first"]


def test_cloud_reviewers_are_suppressed_by_the_workload() -> None:
    refs = [{"name": "cloud"}, {"name": "reviewer"}]
    w = play(issues=[1], reviewerAgentRefs=refs, allowCloudReviewers=False)
    found = ended(w)
    assert sorted(children(w)) == ["code-1", "review-1-1", "verify-1"]
    said = condition(found.status.conditions, "CloudReviewersSuppressed")
    assert said is not None
    assert "cloud (provider=cloud-proxy; spec.allowCloudReviewers=false)" in said.message


def test_an_agent_that_has_to_be_judged_and_is_not_there_fails_the_plan_until_it_is() -> None:
    w = play(issues=[1], reviewerAgentRefs=[{"name": "late"}], allowCloudReviewers=False, more={"allowMissing": True})
    advance(w, 1)
    until(w, lambda: workload(w).status.phase == "Failed", within=30)
    assert told(workload(w), "Planned") == ("False", "AgentResolveFailed")
    w.server.create("user", new_agent("late"))
    until(w, lambda: workload(w).status.phase == "Completed", within=120)
    unharmed(w)


def test_the_phases_are_gone_through_in_order() -> None:
    w = play(issues=[1])
    seen: list[str] = []

    def watch(change: Any) -> None:
        if change.kind == "Workload" and change.new is not None:
            phase = str(change.new.status.phase or "")
            if not seen or seen[-1] != phase:
                seen.append(phase)

    w.server.observers.append(watch)
    ended(w)
    assert seen == ["", "Planning", "Planned", "Dispatched", "Completed"]


def test_failed_when_any_child_failed_and_none_is_in_flight() -> None:
    w = play({"code-1": {"errors": 1.0}}, issues=[1, 2])
    found = ended(w)
    assert found.status.phase == "Failed"
    assert told(found, "Completed") == ("False", "ChildrenFailed")
    assert (found.status.succeeded_tasks, found.status.failed_tasks) == (2, 2)


def test_succeeded_with_incomplete_counts_as_incomplete_and_fails() -> None:
    w = play({"code-1": {"verdicts": {"INCOMPLETE": 1}}}, issues=[1], verifierAgentRef=None)
    found = ended(w)
    assert (found.status.phase, found.status.incomplete_tasks) == ("Failed", 1)
    assert told(found, "Completed") == ("False", "ChildrenIncomplete")


RESOLVED = {"verdicts": {"NO-GO:ALREADY-RESOLVED": 1}}


def test_already_resolved_completes_and_skips_all_the_way_down() -> None:
    """#970, and #1688: the skip reaches the review of the review."""
    w = play({"issue-fix": RESOLVED}, issues=[5, 6], reviewerAgentRefs=[{"name": "reviewer"}])
    found = ended(w)
    assert found.status.phase == "Completed"
    assert told(found, "Completed") == ("True", "AllAlreadyResolved")
    assert told(found, "CoderAlreadyResolved") == ("True", "AlreadyResolved")
    assert {step: each.status.verdict for step, each in children(w).items() if "code" not in step} == dict.fromkeys(
        ("verify-5", "verify-6", "review-5-0", "review-6-0"), "Skipped"
    )
    assert (found.status.failed_tasks, found.status.incomplete_tasks) == (0, 0)


def test_mixed_on_target_and_already_resolved_completes() -> None:
    found = ended(play({"code-5": RESOLVED}, issues=[5, 6]))
    assert told(found, "Completed") == ("True", "AllChildrenSucceeded")
    said = condition(found.status.conditions, "Completed")
    assert said is not None
    assert "2/2 child tasks" in said.message
    assert "1 already-resolved" in said.message


def test_the_gate_passes_but_a_reviewer_says_no_go() -> None:
    no_go = {"review": {"verdicts": {"NO-GO:MODEL-DECIDED": 1}}}
    found = ended(play(no_go, issues=[1], reviewerAgentRefs=[{"name": "reviewer"}], maxReviewIterations=0))
    assert (found.status.phase, found.status.incomplete_tasks) == ("Failed", 1)


@pytest.mark.parametrize(
    ("kind", "verdict"), [(k, v) for k in ("integrate", "reconcile") for v in ("GATE-PASS", "GATE-FAIL")]
)
def test_slicer_rollup(kind: str, verdict: str) -> None:
    step = {"name": "join", "kind": kind, "agentRef": {"name": "gate"}, "payload": {}}
    found = ended(play({kind: {"verdicts": {verdict: 1}}}, pipeline=[step]))
    good = verdict == "GATE-PASS"
    assert (found.status.succeeded_tasks, found.status.incomplete_tasks) == ((1, 0) if good else (0, 1))


# Rounds, end to end

REVIEWED = {"reviewerAgentRefs": [{"name": "reviewer"}]}
NO_GO = {"verdicts": {"NO-GO:MODEL-DECIDED": 1}}


def test_a_revision_that_converges_completes_the_workload() -> None:
    w = play({"review-1-0": NO_GO}, issues=[1], **REVIEWED)
    found = ended(w)
    assert (found.status.phase, found.status.review_iterations) == ("Completed", 1)
    assert told(found, "ReviewIterationTriggered") == ("True", "ReviewerNoGo")
    assert "Reviewer review-1-0" in task(w, "wl-code-1-r1").spec.payload.prompt


def test_the_workload_fails_when_the_budget_is_exhausted() -> None:
    found = ended(play({"review-*": NO_GO}, issues=[1], maxReviewIterations=2, **REVIEWED))
    assert (found.status.phase, found.status.review_iterations) == ("Failed", 2)


def test_no_iteration_on_go() -> None:
    w = play(issues=[1], **REVIEWED)
    assert ended(w).status.review_iterations == 0
    assert sorted(children(w)) == ["code-1", "review-1-0", "verify-1"]


def test_a_revision_that_max_tasks_leaves_no_room_for_says_so() -> None:
    found = ended(play({"review-1-0": NO_GO}, issues=[1], maxTasks=4, **REVIEWED))
    assert found.status.phase == "Failed"
    assert told(found, "Truncated") == ("True", "MaxTasksIterationCap")


def test_escalation_reviewers_come_only_after_a_base_no_go() -> None:
    refs = {"escalationReviewerAgentRefs": [{"name": "reviewer"}], "maxReviewIterations": 0}
    w = play({"review-1-0": NO_GO}, issues=[1, 2], **REVIEWED, **refs)
    found = ended(w)
    assert [step for step in children(w) if step.startswith("escalate")] == ["escalate-1-0"]
    assert told(found, "EscalationTriggered") == ("True", "BaseReviewerNoGo")


def test_an_escalation_that_max_tasks_leaves_no_room_for_says_so() -> None:
    refs = {"escalationReviewerAgentRefs": [{"name": "reviewer"}], "maxReviewIterations": 0}
    found = ended(play({"review-1-0": NO_GO}, issues=[1], maxTasks=3, **REVIEWED, **refs))
    assert told(found, "Truncated") == ("True", "MaxTasksEscalationCap")


def test_an_escalation_under_the_cloud_gate_is_suppressed() -> None:
    refs = {"escalationReviewerAgentRefs": [{"name": "cloud"}], "maxReviewIterations": 0, "allowCloudReviewers": False}
    w = play({"review-1-0": NO_GO}, issues=[1], **REVIEWED, **refs)
    found = ended(w)
    assert told(found, "CloudReviewersSuppressed") == ("True", "SovereigntyGate")
    assert "escalate-1-0" not in children(w)


BIG = {"escalationCoderAgentRef": {"name": "coder"}}


def test_the_escalation_coders_success_supersedes_the_failed_base() -> None:
    w = play({"code-1": NO_GO}, issues=[1], **REVIEWED, **BIG)
    found = ended(w)
    assert found.status.phase == "Completed"
    assert told(found, "CoderEscalationTriggered") == ("True", "BaseCoderCapabilityFailure")
    assert {"code-1-esc", "verify-1-esc", "review-1-esc-0"} <= set(children(w))
    assert task(w, "wl-review-1-esc-0").spec.payload.branch == "foreman/wl/issue-1-esc"


def test_no_escalation_on_already_resolved() -> None:
    w = play({"code-1": RESOLVED}, issues=[1], **BIG)
    assert ended(w).status.phase == "Completed"
    assert sorted(children(w)) == ["code-1", "verify-1"]


def test_a_coder_escalation_that_max_tasks_leaves_no_room_for_says_so() -> None:
    found = ended(play({"code-1": NO_GO}, issues=[1], maxTasks=3, **BIG))
    assert told(found, "Truncated") == ("True", "MaxTasksCoderEscalationCap")


def test_a_gateless_workload_iterates_and_escalates_without_a_gate() -> None:
    w = play({"code-1": NO_GO, "review-2-0": NO_GO}, issues=[1, 2], verifierAgentRef=None, **REVIEWED, **BIG)
    assert ended(w).status.phase == "Completed"
    assert not [step for step in children(w) if "verify" in step]
    assert task(w, "wl-review-1-esc-0").spec.depends_on == ("wl-code-1-esc",)
    assert task(w, "wl-review-2-0-r1").spec.depends_on == ("wl-code-2-r1",)
