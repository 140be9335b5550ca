"""The rails on real repositories: what a coder's GO is checked against, what a reviewer judges, which pull request opens."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support import new_task
from test_native import agent
from tools_kit import REPO, bare, confinement, git, gitting

from foreman.api import FailureReason
from foreman.executors import Execution
from foreman.executors.desk import Workshop
from foreman.executors.gate.request import GateReport
from foreman.executors.gate.verdict import Seen
from foreman.executors.hosts import HostError, Issue, PullRequest
from foreman.executors.loop import Submission
from foreman.executors.loop.ending import Judgement
from foreman.kube.runtime import AsyncioRuntime

GO = Submission("GO", "mended", "Add, not subtract")
SAID = Judgement("GO", "mended", "MODEL-DECIDED")
TRUE = {"format": "true", "lint": "true", "build": "true", "test": "true"}


class Host:
    """A code host that keeps its pull requests by branch, as GitHub does."""

    def __init__(self, fails=False):
        self.fails = fails
        self.opened = {}

    async def issue(self, repo, number):
        return Issue(number, "Sums are wrong", "2 + 2 is 0", "open")

    async def pull_request(self, repo, branch, base, title, body):
        if self.fails:
            raise HostError("the host is away")
        made = (repo, branch, base) not in self.opened
        self.opened[repo, branch, base] = (title, body)
        return PullRequest(7, "http://host/pull/7", made)


class Gate:
    def __init__(self, *seen):
        self.seen = list(seen)
        self.asked = []

    async def run(self, request, cancelled=None):
        self.asked.append(request.branch)
        return GateReport(self.seen.pop(0), "test: exit code 1", "the log")


@asynccontextmanager
async def desk(
    tmp_path, *, role="coder", kind="issue-fix", attempt=1, environ=None, host=None, gate=None, tools=(), **spec
):
    """A prepared desk."""
    payload = {"repo": REPO, "issue": 7, "branch": "foreman/issue-7", "prompt": "Mend it.", **spec.pop("payload", {})}
    task = new_task("t", agentRef={"name": "smith"}, kind=kind, payload=payload, **spec)
    given = {"PATH": os.environ["PATH"], **(environ or {})}
    shop = Workshop(gitting(tmp_path), str(tmp_path / "shop"), confinement("neither"), given, host, gate)
    smith = agent(role, tools=["read_file", "write_file", "bash", "submit_result", *tools])
    made = shop.desk(Execution(task, attempt, AsyncioRuntime().event()), smith)
    await made.prepare()
    try:
        yield made
    finally:
        await made.close()


def write(made, **files):
    for name, text in files.items():
        (Path(made.checkout.path) / name.replace("__", ".")).write_text(text)


def profile(**commands):
    return {"language": "generic", "commands": {**TRUE, **commands}}


def checked(tmp_path, files, **more):
    bare(tmp_path)

    async def go():
        async with desk(tmp_path, **more) as made:
            write(made, **files)
            said = await made.check(GO)
            return said, [each.check for each in made.rails.advisories], made.rails.evidence

    return asyncio.run(go())


EDIT = {"app__py": "def answer():\n    return 42\n"}


def test_the_commands_run_on_what_would_be_pushed(tmp_path):
    looks = 'test "$(cat app.py | tail -1)" = "    return 42" && test ! -e __pycache__ && git status --porcelain'
    said, _, evidence = checked(tmp_path, {**EDIT, "x__pyc": "left by a tool"}, gateProfile=profile(test=looks))
    assert (said, evidence) == ("", True)


def test_the_first_check_that_fails_is_told_with_the_end_of_its_log(tmp_path):
    said, _, evidence = checked(tmp_path, EDIT, gateProfile=profile(build="echo SYNTAX; exit 3", test="echo never"))
    assert said.startswith("build: build FAILED: exit code 3")
    assert "SYNTAX" in said
    assert "never" not in said
    assert not evidence


def test_what_is_not_on_this_machine_is_no_fault_of_the_coder(tmp_path):
    said, remarked, _ = checked(tmp_path, EDIT, gateProfile=profile(lint="no-such-linter ."))
    assert (said, "lint" in remarked) == ("", True)


def test_drift_of_generated_files_is_found(tmp_path):
    said, _, _ = checked(tmp_path, EDIT, gateProfile=profile(codegenCheck="echo '# made' >> app.py"))
    assert "generated files are not up to date" in said


@pytest.mark.parametrize("switch", ["FOREMAN_CODER_GATE", "FOREMAN_TEST_GATE"])
def test_checks_can_be_switched_off(tmp_path, switch):
    said, _, _ = checked(tmp_path, EDIT, gateProfile=profile(test="false"), environ={switch: "0"})
    assert said == ""


def test_tests_that_pass_without_the_change_bite_only_when_asked_to(tmp_path):
    files = {**EDIT, "test_app__py": "pass\n"}
    given = {"gateProfile": {"language": "python", "commands": TRUE}}
    said, _, _ = checked(tmp_path, files, environ={"FOREMAN_BITE_GATE": "1"}, **given)
    assert "the tests pass without the change" in said


def test_without_a_profile_only_the_change_itself_is_looked_at(tmp_path):
    said, _, _ = checked(tmp_path, {"app__py": "<<<<<<< HEAD\n"})
    assert "conflict markers" in said
    (tmp_path / "b").mkdir()
    said, remarked, _ = checked(tmp_path / "b", EDIT)
    assert (said, remarked) == ("", ["test-presence"])


def test_no_change_is_for_the_push_to_say(tmp_path):
    assert checked(tmp_path, {}, gateProfile=profile(test="false"))[0] == ""


def weighed(tmp_path, judged, files, **more):
    bare(tmp_path)

    async def go():
        async with desk(tmp_path, **more) as made:
            write(made, **files)
            await made.check(GO)
            return await made.rails.weigh(judged)

    return asyncio.run(go())


def test_a_go_outside_the_policy_needs_verification(tmp_path):
    judged = weighed(tmp_path, SAID, EDIT, verdictPolicy={"selfGO": ["docs"]})
    assert (judged.verdict, judged.outcome) == ("NO-GO", "NEEDS-VERIFICATION")
    assert "code-fix" in judged.top["unverified"]


def test_a_claim_that_nothing_shows_needs_verification_and_a_passed_test_shows_it(tmp_path):
    claim = replace_summary("all tests pass")
    assert weighed(tmp_path, claim, EDIT).outcome == "NEEDS-VERIFICATION"
    (tmp_path / "b").mkdir()
    assert weighed(tmp_path / "b", claim, EDIT, gateProfile=profile()).verdict == "GO"


def replace_summary(text):
    return SAID._replace(summary=text)


def test_a_command_of_the_models_own_is_evidence(tmp_path):
    bare(tmp_path)

    async def go():
        async with desk(tmp_path) as made:
            write(made, **EDIT)
            await made.tools["bash"].call({"command": "false"})
            before = made.rails.evidence
            await made.tools["bash"].call({"command": "true"})
            return before, made.rails.evidence

    assert asyncio.run(go()) == (False, True)


# a reviewer


def branch(remote, folder, text="def answer():\n    return 42\n"):
    git(folder, "clone", "-q", str(remote), "work")
    work = folder / "work"
    git(work, "checkout", "-q", "-b", "foreman/issue-7")
    (work / "app.py").write_text(text)
    git(work, "commit", "-qam", "Answer 42", "--allow-empty")
    git(work, "push", "-q", "origin", "foreman/issue-7")
    return work


def reviewed(tmp_path, judged, text="def answer():\n    return 42\n", host=None, **more):
    branch(bare(tmp_path), tmp_path, text)

    async def go():
        async with desk(tmp_path, role="reviewer", kind="review", host=host, **more) as made:
            held = await made.rails.weigh(judged)
            return held, await made.rails.deliver(held)

    return asyncio.run(go())


def test_a_review_is_held_against_the_branch(tmp_path):
    elsewhere = Judgement("NO-GO", "bad", "MODEL-DECIDED", model_extra={"findings": [{"file": "x.py", "message": "y"}]})
    held, _ = reviewed(tmp_path, elsewhere, host=Host())
    assert held.verdict == "GO"
    assert held.model_extra["filesTouched"] == ["app.py"]
    assert held.model_extra["issueAsk"].startswith("Sums are wrong")


def test_a_review_of_nothing_is_an_error(tmp_path):
    held, extra = reviewed(
        tmp_path, SAID, text="def answer():\n    return 41\n", payload={"openPullRequest": True}, host=Host()
    )
    assert (held.verdict, held.failure_reason) == ("INCOMPLETE", FailureReason.MODEL_REPORTED_ERROR)
    assert "pullRequestURL" not in extra


# pull requests


def test_an_approved_branch_gets_one_pull_request_however_often(tmp_path):
    host = Host()
    _, extra = reviewed(tmp_path, SAID, host=host, payload={"openPullRequest": True})
    assert extra["pullRequestURL"] == "http://host/pull/7"
    assert extra["pullRequest"] == {"number": 7, "url": "http://host/pull/7", "made": True}
    assert list(host.opened) == [(REPO, "foreman/issue-7", "main")]
    title, body = host.opened[REPO, "foreman/issue-7", "main"]
    assert (title, "Closes #7." in body) == ("Answer 42", True)

    async def again():
        async with desk(tmp_path, role="reviewer", kind="review", host=host, payload={"openPullRequest": True}) as made:
            return await made.rails.deliver(SAID)

    assert asyncio.run(again())["pullRequest"]["made"] is False
    assert len(host.opened) == 1


@pytest.mark.parametrize(
    ("judged", "payload", "host"),
    [(SAID, {}, Host()), (SAID._replace(verdict="NO-GO"), {"openPullRequest": True}, Host())],
)
def test_no_pull_request_that_nobody_asked_for(tmp_path, judged, payload, host):
    _, extra = reviewed(tmp_path, judged, host=host, payload=payload)
    assert "pullRequest" not in extra
    assert host.opened == {}


@pytest.mark.parametrize("host", [Host(fails=True), None])
def test_a_pull_request_that_cannot_be_opened_leaves_the_verdict(tmp_path, host):
    held, extra = reviewed(tmp_path, SAID, host=host, payload={"openPullRequest": True})
    assert held.verdict == "GO"
    assert extra["pullRequestError"]


def test_a_branch_that_moved_since_is_not_offered(tmp_path):
    work, host = branch(bare(tmp_path), tmp_path), Host()

    async def go():
        async with desk(tmp_path, role="reviewer", kind="review", host=host, payload={"openPullRequest": True}) as made:
            git(work, "commit", "-q", "--allow-empty", "-m", "later")
            git(work, "push", "-q", "origin", "foreman/issue-7")
            return await made.rails.deliver(SAID)

    assert "has moved" in asyncio.run(go())["pullRequestError"]
    assert host.opened == {}


def test_a_coders_pushed_branch_is_offered_unless_a_later_attempt_holds_it(tmp_path):
    bare(tmp_path)
    host = Host()

    async def go():
        wanted = {"openPullRequest": True}
        async with desk(tmp_path, host=host, payload=wanted) as mine:
            write(mine, **EDIT)
            await mine.check(GO)
            await mine.publish("Add, not subtract")
            first = await mine.rails.deliver(SAID)
            other = replace(mine.shop, root=str(tmp_path / "elsewhere"))
            task = mine.execution.task
            later = other.desk(Execution(task, 2, AsyncioRuntime().event()), mine.agent)
            await later.prepare()
            second = await mine.rails.deliver(SAID)
            await later.close()
            return first, second

    first, second = asyncio.run(go())
    assert first["pullRequestURL"]
    assert "held by another attempt" in second["pullRequestError"]
    assert host.opened[REPO, "foreman/issue-7", "main"][0] == "Add, not subtract"


# after the push


@pytest.mark.parametrize(
    ("seen", "tools", "told", "remarked"),
    [
        (Seen.COMPLETE, ("run_gate_job",), False, False),
        (Seen.FAILED, ("run_gate_job",), True, False),
        (Seen.DISAPPEARED, ("run_gate_job",), False, True),
        (Seen.FAILED, (), False, False),
    ],
)
def test_the_gate_on_the_pushed_branch(tmp_path, seen, tools, told, remarked):
    bare(tmp_path)

    async def go():
        async with desk(tmp_path, gate=Gate(seen), tools=tools) as made:
            return await made.rails.verify(), bool(made.rails.advisories)

    said, advised = asyncio.run(go())
    assert (bool(said), advised) == (told, remarked)
    assert not told or ("the log" in said and "test: exit code 1" in said)


def test_more_work_replaces_what_the_same_attempt_has_pushed(tmp_path):
    remote = bare(tmp_path)

    async def go():
        async with desk(tmp_path) as made:
            write(made, **EDIT)
            first = await made.publish("once")
            write(made, app__py="def answer():\n    return 43\n")
            second = await made.publish("twice")
            return first, second

    first, second = asyncio.run(go())
    assert first.commit_sha != second.commit_sha
    assert git(remote, "rev-parse", "foreman/issue-7") == second.commit_sha
    assert git(remote, "log", "--format=%s", "main..foreman/issue-7") == "twice"
