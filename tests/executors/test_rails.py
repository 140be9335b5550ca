"""What a model's word is held against, as plain rules: the change, its kind, a coder's claims, a reviewer's findings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import new_task
from tools_kit import git

from foreman.api import FailureReason, SelfGo, VerdictPolicy
from foreman.executors.loop.ending import Judgement
from foreman.executors.rails import coder, reviewer, workclass
from foreman.executors.rails.change import DIFF, Change, FileChange, parse
from foreman.executors.rails.pull import TITLE_CHARACTERS, body_of, title_of

# the change


def diffed(folder, before, after):
    git(folder, "init", "-q")
    for files in (before, after):
        for each in folder.iterdir():
            if each.name != ".git":
                each.unlink()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    spans = (*DIFF, "HEAD~", "HEAD")
    return parse(git(folder, "diff", "--numstat", "-z", *spans), git(folder, "diff", *spans))


def test_what_git_says_of_a_change(tmp_path):
    before = {"a.py": b"one\ntwo\nthree\n", "gone.txt": b"x\n", "logo.png": b"\0\1"}
    change = diffed(tmp_path, before, {"a.py": b"one\n2\nthree\n", "logo.png": b"\0\2", "new b.py": b"y\n"})
    a, gone, logo, new = change.files
    assert (a.path, a.added, a.removed, a.lines) == ("a.py", ("2",), ("two",), 2)
    assert a.shown == ("one", "two", "2", "three")
    assert (gone.gone, logo.binary, new.new, new.path) == (True, True, True, "new b.py")
    assert change.whole


def test_no_name_and_no_line_passes_for_a_header(tmp_path):
    hostile = b"diff --git a/x b/x\n+++ b/evil\n@@ -1,9 +1,9 @@\nno newline at the end"
    change = diffed(tmp_path, {"a": b"1\n"}, {"a": hostile, 'q"uote\n.py': b"1\n", "-- b": b""})
    assert set(change.paths) == {"a", 'q"uote\n.py', "-- b"}
    assert change.whole
    [a] = [each for each in change.files if each.path == "a"]
    assert a.added == tuple(hostile.decode().split("\n"))


def test_a_diff_that_was_cut_still_lists_its_files():
    change = parse("1\t0\ta.py\0002\t1\tb.py\0", "diff --git a/b.py b/b.py\n@@ -1 +1 @@\n-x\n+y\n")
    assert (change.paths, change.whole) == (("a.py", "b.py"), False)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_read_without_an_error(numstat, diff):
    assert len(parse(numstat, diff).files) <= numstat.count("\0") + 1


# the kind of work


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("foreman/loop.py", SelfGo.CODE_FIX),
        ("cmd/main.go", SelfGo.CODE_FIX),
        ("README.md", SelfGo.DOCS),
        ("docs/site/conf.yaml", SelfGo.DOCS),
        ("go.mod", SelfGo.PACKAGING),
        ("charts/foreman/values.yaml", SelfGo.PACKAGING),
        ("Dockerfile", SelfGo.PACKAGING),
        ("config/app.yaml", SelfGo.CONFIG),
        (".github/workflows/ci.yaml", SelfGo.CI_POLICY),
        ("./.GitHub/workflows/ci.yaml", SelfGo.CI_POLICY),
        (".github/CODEOWNERS", SelfGo.CI_POLICY),
        (".goreleaser.yaml", SelfGo.RELEASE_POLICY),
    ],
)
def test_class_of_a_file(path, kind):
    assert workclass.class_of(path) is kind


CI = ".github/workflows/ci.yaml"


@pytest.mark.parametrize(
    ("files", "policy", "refused"),
    [
        ({"a.py": 10}, (), False),
        ({CI: 10}, (), True),
        ({CI: 10}, ("ci-policy",), False),
        ({"a.py": 10}, ("docs",), True),
        ({"a.py": 90, "README.md": 10}, ("code-fix",), False),  # one kind dominates
        ({"a.py": 70, CI: 30}, (), False),  # exactly 70 % do
        ({"a.py": 69, CI: 31}, (), True),  # nothing dominates: all must be allowed
        ({"a.py": 69, "README.md": 31}, (), False),
        ({CI: 0}, (), True),  # a change of mode is a change
        ({}, (), False),
    ],
)
def test_who_may_say_go(files, policy, refused):
    made = Change(tuple(FileChange(path, lines) for path, lines in files.items()))
    said = workclass.refusal(made, VerdictPolicy(self_go=tuple(map(SelfGo, policy))))
    assert bool(said) is refused
    assert refused is ("verdictPolicy" in said)
    assert policy or workclass.refusal(made, None) == said


# a coder


def of(path, **more):
    return Change((FileChange(path, **more),))


@pytest.mark.parametrize(
    ("made", "check"),
    [
        (of("a.py", added=("x = 1",)), None),
        (of("lib/x.so", new=True, binary=True), "artifact"),
        (of("lib/x.so", binary=True), None),  # it was there before
        (of("notes.test", new=True), None),  # text by that name is no binary
        (of("a.py.orig", new=True), "artifact"),
        (of("a.py", added=("<<<<<<< HEAD",)), "conflict"),
        (of("a.md", added=("=======", "<<<<<<<<<<")), None),
    ],
)
def test_what_a_coder_has_to_mend(made, check):
    assert [each.check for each in coder.faults(made)] == ([check] if check else [])


@pytest.mark.parametrize(
    ("files", "checks"),
    [
        ((FileChange("a.py"),), ["test-presence"]),
        ((FileChange("a.py"), FileChange("tests/test_a.py")), []),
        ((FileChange("README.md"),), []),
        ((FileChange("a_test.go", gone=True),), ["test-dilution"]),
        ((FileChange("a.spec.ts", removed=("expect(1)",)),), ["test-dilution"]),
        ((FileChange("a.spec.ts", removed=("expect(1)",), added=("expect(2)",)),), []),
        ((FileChange("logo.png", new=True, binary=True),), ["embedded-artifact"]),
    ],
)
def test_what_reviewers_are_told(files, checks):
    assert [each.check for each in coder.remarks(Change(files))] == checks


@pytest.mark.parametrize(
    ("summary", "extra", "evidence", "held"),
    [
        ("mended", {}, False, False),
        ("All tests pass.", {}, False, True),
        ("All tests pass.", {}, True, False),
        ("the build now passes", {}, False, True),
        ("Verified that it works", {}, False, True),
        ("mended", {"unverified": "whether the image exists"}, True, True),
        ("mended", {"unverified": ["a", "b"]}, True, True),
        ("mended", {"unverified": "  "}, True, False),
        ("mended", {"unverified": 7}, True, False),
    ],
)
def test_what_a_go_claims(summary, extra, evidence, held):
    assert bool(coder.unverified(summary, extra, evidence)) is held


# a reviewer


MADE = Change((FileChange("src/calc.py", 2, shown=("def add(a, b):", "    return a + b * 10000")),))


def said(verdict, *findings, **extra):
    return Judgement(
        verdict, "so", "MODEL-DECIDED", model_extra={**extra, **({"findings": list(findings)} if findings else {})}
    )


@pytest.mark.parametrize(
    ("judged", "verdict"),
    [
        (said("GO"), "GO"),
        (said("NO-GO"), "NO-GO"),  # nothing that could be disproved
        (said("NO-GO", {"file": "src/calc.py", "message": "wrong"}), "NO-GO"),
        (said("NO-GO", {"file": "b/src/calc.py:2", "message": "wrong"}), "NO-GO"),
        (said("NO-GO", {"file": "calc.py", "message": "wrong"}), "NO-GO"),
        (said("NO-GO", {"message": "`return a + b * 10000` is wrong"}), "NO-GO"),
        (said("NO-GO", "src/calc.py is wrong"), "NO-GO"),
        (said("NO-GO", {"file": "src/other.py", "message": "wrong"}), "GO"),
        (said("NO-GO", {"file": "src/other.py", "message": "x"}, {"file": "src/calc.py", "message": "y"}), "NO-GO"),
        (said("NO-GO", {"severity": "REJECT", "message": "no test at all"}), "NO-GO"),
        (said("NO-GO", "REJECT: it does not do what was asked"), "NO-GO"),
        (said("GO", {"severity": "blocker", "file": "src/calc.py", "message": "wrong"}), "NO-GO"),
        (said("GO", {"severity": "must_fix", "message": "wrong"}), "NO-GO"),
        (said("GO", {"severity": "minor", "message": "a name"}), "GO"),
        (said("GO", claim="  "), "INCOMPLETE"),
        (said("GO", claim="it adds"), "GO"),
        (said("NO-GO", 7, None, {}), "NO-GO"),  # shapes nobody agreed on
    ],
)
def test_what_becomes_of_a_review(judged, verdict):
    weighed = reviewer.weighed(judged, MADE, "Add numbers")
    assert weighed.verdict == verdict
    if verdict != judged.verdict:
        assert weighed.model_extra["saidVerdict"] == judged.verdict
        assert weighed.model_extra["rail"]
    assert (weighed.failure_reason is FailureReason.MODEL_REPORTED_ERROR) is (verdict == "INCOMPLETE")


def test_facts_replace_what_a_reviewer_says_of_them():
    weighed = reviewer.weighed(said("GO", filesTouched=["invented.py"], issueAsk="less"), MADE, "Add numbers")
    assert weighed.model_extra["filesTouched"] == ["src/calc.py"]
    assert weighed.model_extra["issueAsk"] == "Add numbers"


@pytest.mark.parametrize("verdict", ["GO", "NO-GO"])
def test_a_branch_that_changes_nothing_cannot_be_judged(verdict):
    weighed = reviewer.weighed(said(verdict), Change(), "")
    assert (weighed.verdict, weighed.failure_reason) == ("INCOMPLETE", FailureReason.MODEL_REPORTED_ERROR)


def test_of_a_diff_that_is_not_whole_no_finding_is_disproved():
    judged = said("NO-GO", {"file": "elsewhere.py", "message": "x"})
    assert reviewer.weighed(judged, Change((FileChange("a"),), whole=False), "").verdict == "NO-GO"


def test_only_a_verdict_on_the_change_is_held_against_it():
    for judged in (Judgement("INCOMPLETE", "s", "MODEL-DECIDED"), Judgement("NO-GO", "s", "ALREADY-RESOLVED")):
        assert reviewer.weighed(judged, Change(), "") == judged


# a pull request


def test_words_of_a_pull_request():
    from test_native import agent

    from foreman.api import AgentRole
    from foreman.executors.loop import Submission

    task = new_task("t", payload={"repo": "o/r", "issue": 7}, kind="issue-fix")
    mine = Submission("GO", "mended", "Add, not subtract\n\nBecause.")
    assert title_of(task, mine, "subject", AgentRole.CODER) == "Add, not subtract"
    assert title_of(task, Submission("GO", "mended"), "subject", AgentRole.CODER) == "mended"
    assert title_of(task, None, "subject", AgentRole.REVIEWER) == "subject"
    assert len(title_of(task, None, "x" * 500, AgentRole.REVIEWER)) == TITLE_CHARACTERS
    body = body_of(task, "It adds.", agent(), 2)
    assert "Closes #7." in body
    assert body.endswith("Made by the agent smith in task default/t, attempt 2.")
