"""The gate: the verdict table, the presets, the script as a process, the Job."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from support import new_task
from tools_kit import MODES, REPO, bare, git, gitting, needs

from foreman.api.gate import GateCommands, GateLanguage, GateProfile
from foreman.cluster import AlreadyExists, Conflict, Forbidden, NotFound, Unavailable
from foreman.executors.gate.gate import GateExecutor
from foreman.executors.gate.job import JobGate, JobSettings, job_name, manifest
from foreman.executors.gate.local import LIMITS, LocalGate
from foreman.executors.gate.presets import resolved
from foreman.executors.gate.request import LOG_BYTES, GateReport, GateRequest, log_tail, request_of
from foreman.executors.gate.script import NothingToRun, script
from foreman.executors.gate.verdict import Seen, verdict_of
from foreman.executors.git import Remote
from foreman.executors.protocol import Cancelled, Execution
from foreman.kube.runtime import AsyncioRuntime

BRANCH = "foreman/issue-7"

# the table


@pytest.mark.parametrize(
    ("seen", "verdict", "reason"),
    [
        ("complete", "GATE-PASS", None),
        ("failed", "GATE-FAIL", "GateFailed"),
        ("disappeared", "GATE-ERROR", "GateError"),
        ("API error", "GATE-ERROR", "GateError"),
        ("poll timeout", "GATE-ERROR", "GateError"),
        ("cancelled", "GATE-ERROR", "GateError"),
        ("create error", "GATE-ERROR", "GateError"),
        ("render error", "GATE-ERROR", "GateError"),
        ("duplicate name", "GATE-ERROR", "GateError"),
        ("dispatch error", "INCOMPLETE", "ToolFailed"),
    ],
)
def test_verdict_table(seen, verdict, reason):
    assert verdict_of(Seen(seen)) == (verdict, reason)


def test_the_table_is_whole():
    assert len(Seen) == 10


@pytest.mark.parametrize(
    ("language", "image", "extensions", "commands"),
    [
        (
            None,
            "golang:1.26",
            (".go",),
            (
                "gofmt -l .",
                "golangci-lint run ./...",
                "go build ./...",
                "go test ./...",
                "make manifests && make chart-crds",
            ),
        ),
        (
            "python",
            "python:3.13",
            (".py",),
            ("ruff format --check .", "ruff check .", "python -m compileall .", "pytest -q", ""),
        ),
        ("rust", "rust:1", (".rs",), ("cargo fmt --check", "cargo clippy", "cargo build", "cargo test", "")),
        ("node", "node:22", (".js", ".ts"), ("prettier --check .", "eslint .", "", "npm test", "")),
        ("generic", "", (), ("", "", "", "", "")),
    ],
)
def test_presets(language, image, extensions, commands):
    profile = resolved(GateProfile(language=language) if language else None)
    assert (profile.image, profile.source_extensions) == (image, extensions)
    own = profile.commands or GateCommands()
    assert (own.format, own.lint, own.build, own.test, own.codegen_check) == commands


def test_what_the_profile_says_overlays_the_preset():
    given = GateProfile(language="python", image="mine", commands=GateCommands(test="make test"))
    profile = resolved(given)
    assert (profile.image, profile.source_extensions) == ("mine", (".py",))
    assert (profile.commands.test, profile.commands.lint) == ("make test", "ruff check .")


def test_the_log_tail_is_the_tail():
    log = "".join(f"line {i}\n" for i in range(10_000))
    shown = log_tail(log)
    assert shown.endswith("line 9999\n")
    assert len(shown.encode()) <= LOG_BYTES
    assert "bytes left out" in shown.splitlines()[0]
    assert log_tail("short") == "short"
    assert len(log_tail("é" * 40_000).encode()) <= LOG_BYTES


# as a process


def asked(bite=False, language=GateLanguage.GENERIC, **commands):
    profile = resolved(GateProfile(language=language, commands=GateCommands(**commands)))
    return GateRequest("default", "t", "u", REPO, BRANCH, "", profile, bite=bite)


def local(tmp_path, mode="neither", limits=None):
    environ = {"PATH": os.environ["PATH"], "GITHUB_TOKEN": "tok-secret"}
    limits = limits or replace(LIMITS, seconds=60)
    return LocalGate(gitting(tmp_path), str(tmp_path / "gates"), needs(mode), environ, limits)


def judge(gate, request):
    return asyncio.run(gate.run(request))


def branch(remote, folder, **files):
    """Commit files on the branch, begun at main."""
    clone = folder / "author"
    git(folder, "clone", "-q", str(remote), str(clone))
    git(clone, "checkout", "-q", "-b", BRANCH)
    for name, text in files.items():
        (clone / name.replace("__", "/").replace("_py", ".py")).write_text(text)
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "work")
    git(clone, "push", "-q", "origin", BRANCH)


@pytest.mark.parametrize("mode", MODES)
def test_pass(tmp_path, mode):
    remote = bare(tmp_path)
    branch(remote, tmp_path, new="x")
    report = judge(local(tmp_path, mode), asked(lint="true", test="test -f new && echo fine && env"))
    assert (report.verdict, report.failure_reason, report.summary) == ("GATE-PASS", None, "all gate checks passed")
    assert "== gate: test ok" in report.log
    assert "tok-secret" not in report.log
    assert os.listdir(tmp_path / "gates" / "default") == []


@pytest.mark.parametrize(
    ("commands", "summary"),
    [
        ({"lint": "echo bad; exit 3", "test": "touch never"}, "lint FAILED: exit code 3"),
        (
            {"test": "no-such-tool"},
            "test FAILED: a command is missing (exit code 127): is it in the image or on this node?",
        ),
        ({"format": "gofmt -l ."}, "format FAILED"),
        ({"codegen_check": "echo generated >app.py"}, "codegen FAILED: generated files are not up to date"),
        ({"build": "exit 1 # 'quotes' \"and\" $dollars"}, "build FAILED: exit code 1"),
    ],
)
def test_fail(tmp_path, commands, summary):
    bare(tmp_path)
    report = judge(local(tmp_path), asked(**commands))
    assert (report.verdict, report.failure_reason) == ("GATE-FAIL", "GateFailed")
    assert report.summary.startswith(summary)


def test_a_listing_formatter_fails_by_listing(tmp_path):
    bare(tmp_path)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gofmt").write_text("#!/bin/sh\necho app.go\n")
    (folder / "gofmt").chmod(0o755)
    gate = local(tmp_path)
    gate.environ = {"PATH": f"{folder}:{os.environ['PATH']}"}
    assert judge(gate, asked(format="gofmt -l .")).summary == "format FAILED: exit code 1"


def test_past_its_deadline_it_has_failed(tmp_path):
    bare(tmp_path)
    report = judge(local(tmp_path, limits=replace(LIMITS, seconds=1)), asked(test="sleep 600"))
    assert report.verdict == "GATE-FAIL"
    assert report.summary == "the gate was ended: it took more than 1 s"


def test_errors_are_no_failures(tmp_path):
    missing = judge(local(tmp_path), asked(test="true"))
    assert (missing.seen, missing.verdict, missing.failure_reason) == (Seen.CREATE_ERROR, "GATE-ERROR", "GateError")
    assert "octo/app.git" in missing.summary
    nothing = judge(local(tmp_path), asked())
    assert (nothing.seen, nothing.verdict) == (Seen.RENDER_ERROR, "GATE-ERROR")
    with pytest.raises(NothingToRun):
        script(asked())


BAD = {"app_py": "def answer():\n    return 42\n", "test_app_py": "assert True\n"}
GOOD = BAD | {"test_app_py": "from app import answer\nassert answer() == 42\n"}


@pytest.mark.parametrize(
    ("files", "verdict", "summary"),
    [
        (GOOD, "GATE-PASS", "all gate checks passed"),
        (BAD, "GATE-FAIL", "bite FAILED: the tests pass without the change: they do not test it"),
        ({"app_py": "x = 1\n"}, "GATE-FAIL", "bite FAILED: production code was changed and no test"),
        ({"notes": "x"}, "GATE-PASS", "all gate checks passed"),
        (GOOD | {"new_py": "y = 1\n"}, "GATE-PASS", "all gate checks passed"),
    ],
)
def test_the_bite_check(tmp_path, files, verdict, summary):
    remote = bare(tmp_path)
    branch(remote, tmp_path, **files)
    quiet = {"format": "true", "lint": "true", "build": "true"}
    python = f"if [ -f test_app.py ]; then {sys.executable} -B test_app.py; fi"
    request = replace(asked(bite=True, language=GateLanguage.PYTHON, test=python, **quiet), base="main")
    report = judge(local(tmp_path), request)
    assert (report.verdict, report.summary) == (verdict, summary), report.log


def test_cancelled(tmp_path):
    bare(tmp_path)

    async def go():
        runtime = AsyncioRuntime()
        stop = runtime.event()
        gate = local(tmp_path)
        mark = tmp_path / "running"
        task = new_task("t", kind="verify", payload={"repo": REPO, "branch": BRANCH})
        profile = GateProfile(language="generic", commands=GateCommands(test=f"touch {mark}; sleep 600"))
        task = task.evolve(spec=task.spec.evolve(gate_profile=profile))
        running = asyncio.create_task(GateExecutor(runtime, gate).execute(Execution(task, 1, stop)))
        while not mark.exists():
            await asyncio.sleep(0.01)
        stop.set()
        with pytest.raises(Cancelled, match="the gate was cancelled"):
            await running

    asyncio.run(go())


# the executor


class Says:
    def __init__(self, report):
        self.report = report

    async def run(self, request, cancelled=None):
        if isinstance(self.report, Exception):
            raise self.report
        return self.report


@pytest.mark.parametrize("seen", [each for each in Seen if each is not Seen.CANCELLED])
def test_the_envelope(seen):
    task = new_task("t", kind="verify", payload={"repo": REPO, "branch": BRANCH})

    async def go():
        runtime = AsyncioRuntime()
        report = GateReport(seen, "said", "log", "job-1", "foreman-system")
        return await GateExecutor(runtime, Says(report)).execute(Execution(task, 1, runtime.event()))

    result = asyncio.run(go())
    verdict, reason = verdict_of(seen)
    assert (result.kind, result.verdict, result.failure_reason, result.summary) == ("gate", verdict, reason, "said")
    assert result.extra["logTail"] == "log"
    assert result.extra["jobName"] == "job-1"
    assert result.extra["branch"] == BRANCH


def test_a_gate_that_breaks_is_a_failed_tool():
    task = new_task("t", kind="verify", payload={"repo": REPO, "branch": BRANCH})

    async def go():
        runtime = AsyncioRuntime()
        return await GateExecutor(runtime, Says(ValueError("oh"))).execute(Execution(task, 1, runtime.event()))

    result = asyncio.run(go())
    assert (result.verdict, result.failure_reason) == ("INCOMPLETE", "ToolFailed")


# the Job


class FakeJobs:
    """Answers of `get` in order, the last for ever; an exception is raised."""

    def __init__(self, *answers, create=None, log="the log"):
        self.answers, self.refusal, self.log = list(answers), create, log
        self.made, self.deleted = {}, []

    async def create(self, namespace, body):
        self.made[namespace, body["metadata"]["name"]] = body
        if self.refusal:
            raise self.refusal

    async def get(self, namespace, name):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def delete(self, namespace, name):
        self.deleted.append(name)

    async def log_tail(self, namespace, name, limit):
        if isinstance(self.log, Exception):
            raise self.log
        return self.log


def job(kind, status="True", reason=""):
    return {"status": {"conditions": [{"type": kind, "status": status, "reason": reason}]}}


class Clock:
    """A Runtime whose sleeps take no time."""

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def wall(self):
        return 1_700_000_000

    async def sleep(self, seconds):
        self.time += seconds


RUNNING = {"status": {"active": 1}}


@pytest.mark.parametrize(
    ("jobs", "seen", "summary"),
    [
        (FakeJobs(RUNNING, job("Complete")), Seen.COMPLETE, "all gate checks passed"),
        (FakeJobs(RUNNING, job("Failed", "False"), job("Failed")), Seen.FAILED, "one or more gate checks failed"),
        (
            FakeJobs(job("Failed"), log="x\n== gate: lint FAILED: exit code 1\n"),
            Seen.FAILED,
            "lint FAILED: exit code 1",
        ),
        (FakeJobs(job("Failed", reason="DeadlineExceeded")), Seen.FAILED, "the gate took longer than its deadline"),
        (FakeJobs(RUNNING, NotFound("gone")), Seen.DISAPPEARED, "disappeared before it had ended"),
        (FakeJobs(RUNNING, Forbidden("no")), Seen.API_ERROR, "cannot be watched: no"),
        (FakeJobs(Unavailable("away")), Seen.API_ERROR, "cannot be watched: away"),
        (FakeJobs(Unavailable("away"), job("Complete")), Seen.COMPLETE, "all gate checks passed"),
        (FakeJobs(RUNNING), Seen.POLL_TIMEOUT, "had not ended after 3600 s"),
        (FakeJobs(RUNNING, create=AlreadyExists("x")), Seen.DUPLICATE_NAME, "already"),
        (FakeJobs(RUNNING, create=Conflict("x")), Seen.CREATE_ERROR, "create job: x"),
        (FakeJobs(RUNNING, create=Unavailable("lost")), Seen.CREATE_ERROR, "create job: lost"),
        (FakeJobs(job("Complete"), log=Unavailable("y")), Seen.COMPLETE, "all gate checks passed"),
    ],
)
def test_watching_over_a_job(jobs, seen, summary):
    report = asyncio.run(JobGate(jobs, Clock(), Remote()).run(asked(test="true")))
    assert report.seen is seen
    assert report.summary.endswith(summary)
    assert report.namespace == "foreman-system"
    if isinstance(jobs.refusal, Unavailable):
        assert jobs.deleted == [report.job]


def test_a_job_of_nothing_is_not_made():
    jobs = FakeJobs(RUNNING)
    report = asyncio.run(JobGate(jobs, Clock(), Remote()).run(asked()))
    assert (report.seen, jobs.made) == (Seen.RENDER_ERROR, {})


def test_a_cancelled_job_is_removed():
    async def go():
        runtime = AsyncioRuntime()
        stop = runtime.event()
        stop.set()
        jobs = FakeJobs(RUNNING)
        report = await JobGate(jobs, runtime, Remote()).run(asked(test="true"), stop)
        assert (report.seen, jobs.deleted) == (Seen.CANCELLED, [report.job])

    asyncio.run(go())


def test_job_names():
    assert job_name("t", 1700000000123) == "foreman-gate-t-1700000000123"
    long = job_name("x" * 80, 1700000000123)
    assert len(long) == 63
    assert long.endswith("x-1700000000123")
    assert job_name("y" * 35 + "-" + "z" * 9, 1700000000123).count("--") == 0


def test_manifest():
    request = asked(test="true")
    body = manifest("n", request, "https://host/octo/app.git", JobSettings(secret="git", cache="cache"))
    assert body["spec"]["backoffLimit"] == 0
    assert body["spec"]["activeDeadlineSeconds"] == 1800
    assert body["spec"]["ttlSecondsAfterFinished"] == 86400
    assert body["metadata"]["namespace"] == "foreman-system"
    pod = body["spec"]["template"]["spec"]
    assert pod["securityContext"]["fsGroup"] == 100
    assert pod["automountServiceAccountToken"] is False
    (clone,), (check,) = pod["initContainers"], pod["containers"]
    assert check["image"] == "golang:1.26"
    assert check["resources"] == {
        "requests": {"cpu": "2", "memory": "4Gi"},
        "limits": {"cpu": "4", "memory": "8Gi"},
    }
    assert "token" in [mount["name"] for mount in clone["volumeMounts"]]
    assert "token" not in [mount["name"] for mount in check["volumeMounts"]]
    for container in (clone, check):
        checked = subprocess.run(["sh", "-n"], input=container["command"][2], text=True, capture_output=True)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_the_clone_of_a_job_works(tmp_path):
    remote = bare(tmp_path)
    branch(remote, tmp_path, new="x")
    body = manifest("n", asked(test="true"), f"file://{remote}", JobSettings())
    text = body["spec"]["template"]["spec"]["initContainers"][0]["command"][2]
    work = tmp_path / "work"
    work.mkdir()
    subprocess.run(["sh", "-c", text.replace("/work/repo", str(work / "repo"))], check=True, capture_output=True)
    assert (work / "repo" / "new").exists()


def test_the_request_of_a_task():
    task = new_task("t", kind="verify", payload={"repo": REPO, "issue": 7})
    request = request_of(task, 4)
    assert (request.repo, request.branch, request.attempt) == (REPO, BRANCH, 4)
    assert request.profile.image == "golang:1.26"
