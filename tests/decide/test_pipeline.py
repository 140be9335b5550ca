"""The decision about a Workload as a whole: whatever its children do, it ends, and makes nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workload_kit import child, decided, envelope, planned, refs, view, workload

from foreman.api import AgenticTask, Condition, ObjectReference, Workload, condition, merge
from foreman.decide.pipeline import plan
from foreman.decide.pipeline.batch import CHILDREN_MOST, Unplannable, choose
from foreman.decide.pipeline.outcome import bucket
from foreman.decide.pipeline.plan import creatable
from foreman.decide.pipeline.render import render
from foreman.decide.pipeline.steps import ESCALATED, StepId, label_value, parse, task_name

STAGES = st.sampled_from(["code", "verify", "review", "escalate"])
NUMBERS = st.integers(0, 30)


@given(st.builds(StepId, STAGES, st.integers(0, 10**6), NUMBERS, st.integers(ESCALATED, 9)))
def test_names_say_what_they_were_made_of(step: StepId) -> None:
    reviewer = step.reviewer if step.stage in ("review", "escalate") else 0
    number = 0 if step.stage == "escalate" else step.round
    assert parse(str(step)) == step._replace(reviewer=reviewer, round=number)


@pytest.mark.parametrize(
    "name", ["code-", "code-1-r0", "review-1", "review-1-0-esc", "code-1-esc-r1", "xcode-1", "verify"]
)
def test_other_names_say_nothing(name: str) -> None:
    assert parse(name) is None


def test_an_explicit_step_is_prefixed_once_and_labels_are_cut_to_what_is_allowed() -> None:
    assert (task_name("wl", "lint"), task_name("wl", "wl-lint")) == ("wl-lint", "wl-lint")
    long = "a" * 70
    assert len(label_value(long)) == 63
    assert label_value(long) != label_value(long + "b")
    assert label_value("short") == "short"


def pipeline(*steps: tuple[str, list[str]]) -> Workload:
    made = [
        {"name": name, "kind": "freeform", "agentRef": {"name": "a"}, "payload": {}, "dependsOn": needs}
        for name, needs in steps
    ]
    return workload(pipeline=made, issues=None)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([("a", ["b"])], '"a" depends on "b", which is no step'),
        ([("a", []), ("wl-a", [])], 'would both be the task "wl-a"'),
        ([("a", ["b"]), ("b", ["a"])], "wait for each other"),
        ([("a", ["a"])], "a -> a"),
    ],
)
def test_a_pipeline_that_could_never_end_is_refused(steps: Any, told: str) -> None:
    """The original waits for ever (L17), or lets two steps share a task (L16)."""
    found = choose(pipeline(*steps))
    assert isinstance(found, Unplannable)
    assert told in found.message
    assert found.reason == "InvalidPipeline"


def test_steps_come_after_those_they_depend_on() -> None:
    found = choose(pipeline(("c", ["b"]), ("b", ["a"]), ("a", [])))
    assert [step.name for step in found.steps] == ["a", "b", "c"]  # type: ignore[union-attr]


def test_issues_are_positive_and_a_workload_has_an_upper_bound() -> None:
    assert choose(workload(issues=[3, 0])).reason == "InvalidIssues"  # type: ignore[union-attr]
    assert len(choose(workload(issues=list(range(1, 4000)))).steps) == CHILDREN_MOST  # type: ignore[union-attr]
    assert len(choose(workload(issues=[5, 5])).steps) == 3  # type: ignore[union-attr]


def test_what_depends_on_a_taken_name_is_held_back() -> None:
    wl = workload(issues=[1, 2])
    tasks = [render(wl, step) for step in choose(wl).steps]  # type: ignore[union-attr]
    free = creatable(tasks, {"wl-code-1"})
    assert [each.metadata.name for each in free] == ["wl-code-2", "wl-verify-2", "wl-review-2-0"]


# Rendering


def applied(wl: Workload, changes: Any) -> Workload:
    return wl.evolve(status=merge(wl.status, changes))


def test_the_plan_is_on_record_before_anything_is_created() -> None:
    first = decided(workload())
    assert first.changes["phase"] == "Planning"
    assert [ref.name for ref in first.changes["tasks"]] == [task.metadata.name for task in first.create]
    assert {ref.uid for ref in first.changes["tasks"]} == {""}


def test_a_render_that_broke_off_is_completed() -> None:
    """L13: a child that is there is no proof that all are."""
    wl = applied(workload(), decided(workload()).changes)
    then = decided(wl, [child("code-641")])
    assert [task.metadata.name for task in then.create] == ["wl-verify-641", "wl-review-641-0"]
    assert then.changes.get("phase") is None
    whole = decided(wl, [child("code-641"), child("verify-641"), child("review-641-0")])
    assert whole.create == ()
    assert whole.changes["phase"] == "Planned"


def test_the_original_render_that_broke_off_is_completed_too() -> None:
    """Its status names what was created, without uids, and says RenderError."""
    told = Condition(type="Planned", status="False", reason="RenderError")
    wl = workload()
    wl = wl.evolve(status=wl.status.evolve(conditions=(told,), tasks=(ObjectReference(name="wl-code-641"),)))
    then = decided(wl, [child("code-641")])
    assert [task.metadata.name for task in then.create] == ["wl-verify-641", "wl-review-641-0"]


def test_a_spec_that_changes_while_it_is_rendered_adds_nothing_and_drops_what_it_lost() -> None:
    first = decided(workload(issues=[1, 2]))
    grown = applied(workload(issues=[1, 2, 3]), first.changes)
    assert len(decided(grown).create) == 6
    shrunk = decided(applied(workload(issues=[1]), first.changes))
    assert {ref.name for ref in shrunk.changes["tasks"]} == {"wl-code-1", "wl-verify-1", "wl-review-1-0"}


def test_a_deleted_child_is_asked_for_and_missed_but_not_made_again() -> None:
    """#1738, L14."""
    live = [child("code-641", "Succeeded", "GO")]
    wl = planned(workload(reviewerAgentRefs=None), live, "verify-641")
    doubt = decided(wl, live)
    assert doubt.doubtful == ("wl-verify-641",)
    assert doubt.changes["phase"] == "Dispatched"
    sure = decided(wl, live, gone={"wl-verify-641"})
    assert (sure.create, sure.doubtful) == ((), ())
    assert (sure.changes["phase"], sure.changes["failed_tasks"]) == ("Failed", 1)
    said = condition(sure.changes["conditions"], "Completed")
    assert said is not None
    assert said.reason == "ChildrenDeleted"
    assert "wl-verify-641" in said.message


def test_a_finished_child_that_is_deleted_keeps_counting() -> None:
    done = [child("code-641", "Succeeded", "GO"), child("verify-641", "Succeeded", "GATE-PASS")]
    wl = planned(workload(reviewerAgentRefs=None), done)
    wl = applied(wl, decided(wl, done).changes)
    assert wl.status.phase == "Completed"
    assert decided(wl, []).changes == {}


def test_a_namesake_of_a_child_that_is_gone_is_not_counted() -> None:
    wl = planned(workload(reviewerAgentRefs=None, verifierAgentRef=None), [], "code-641")
    late = child("code-641", "Succeeded", "GO")
    late = late.evolve(metadata=late.metadata.evolve(uid="another"))
    then = decided(wl, [late])
    assert then.doubtful == ("wl-code-641",)


def test_a_rejected_child_is_not_asked_for_again_until_the_spec_changes() -> None:
    wl = applied(workload(), decided(workload()).changes)
    refused = applied(wl, plan.reject(wl, "wl-code-641", "no such Agent", 5))
    assert (refused.status.phase, decided(refused).create) == ("Failed", ())
    assert decided(applied(refused, decided(refused).changes)).changes == {}
    edited = refused.evolve(metadata=refused.metadata.evolve(generation=2))
    assert len(decided(edited).create) == 3


def test_saying_the_same_twice_changes_nothing() -> None:
    """L21: at another second, the same view is no reason to write."""
    live = [child("code-641", "Running"), child("verify-641", "Pending"), child("review-641-0", "Pending")]
    wl = planned(workload(), live)
    wl = applied(wl, decided(wl, live).changes)
    assert decided(wl, live).changes == {}
    assert plan.decide(view(wl, live)._replace(wall=9_999)).changes == {}


# Whatever happens

VERDICTS = st.sampled_from(
    ["GO", "NO-GO", "INCOMPLETE", "NO-GO:ALREADY-RESOLVED", "NO-GO:MODEL-DECIDED", "failed", "gone"]
)
SPECS = st.fixed_dictionaries(
    {
        "issues": st.lists(st.integers(1, 70), min_size=1, max_size=3, unique=True),
        "maxReviewIterations": st.integers(0, 3),
        "maxTasks": st.sampled_from([0, 0, 4, 7]),
        "verifierAgentRef": st.sampled_from([None, {"name": "gate"}]),
        "reviewerAgentRefs": st.sampled_from([None, refs("a"), refs("a", "b")]),
        "escalationReviewerAgentRefs": st.sampled_from([None, refs("j")]),
        "escalationCoderAgentRef": st.sampled_from([None, {"name": "big"}]),
        "escalateOnFailure": st.sampled_from([None, True]),
    }
)


def finished(task: AgenticTask, word: str) -> AgenticTask:
    verdict, _, outcome = word.partition(":")
    if verdict == "failed":
        return task.evolve(status=task.status.evolve(phase="Failed", verdict="INCOMPLETE"))
    result = envelope(outcome) if outcome else None
    status = child("x-1", "Succeeded", verdict, result).status
    return task.evolve(status=status)


@settings(max_examples=150, deadline=None)
@given(SPECS, st.data())
def test_whatever_becomes_of_its_children_a_workload_ends_and_makes_nothing_twice(
    spec: dict[str, Any], data: st.DataObject
) -> None:
    wl = workload(**spec)
    live: dict[str, AgenticTask] = {}
    made: list[str] = []
    gone: set[str] = set()
    failures = 5
    for _ in range(200):
        then = plan.decide(view(wl, live.values(), gone=frozenset(gone)))
        if then.changes:
            wl = applied(wl, then.changes)
        assert {task.metadata.name for task in then.create} <= {ref.name for ref in wl.status.tasks}
        # Some creates fail: what is missing is asked for again.
        for task in then.create:
            if failures and data.draw(st.booleans(), "create fails"):
                failures -= 1
            else:
                made.append(task.metadata.name)
                live[task.metadata.name] = task.evolve(metadata=task.metadata.evolve(uid=f"uid-{len(made)}"))
        open_ = [name for name, task in live.items() if bucket(task) == "InFlight"]
        if then.create or then.changes:
            continue
        if not open_:
            break
        name = data.draw(st.sampled_from(sorted(open_)), "ends")
        word = data.draw(VERDICTS, "how")
        if word == "gone":
            gone.add(name)
            del live[name]
        else:
            live[name] = finished(live[name], word)
    assert wl.status.phase in ("Completed", "Failed")
    assert len(made) == len(set(made))
    assert len(made) == len(wl.status.tasks)
    if spec["maxTasks"]:
        assert len(made) <= spec["maxTasks"]
    if wl.status.phase == "Completed":
        assert wl.status.failed_tasks == wl.status.incomplete_tasks == 0
    assert plan.decide(view(wl, live.values(), gone=frozenset(gone))).changes == {}
