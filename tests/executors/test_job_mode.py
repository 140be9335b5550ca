"""An Agent as a Job: one for each attempt whatever gets lost, read by its contract, ended with the run; its words survive."""

from __future__ import annotations

import asyncio
import json

import kubernetes_validate
import pytest
from cli_kit import command
from hypothesis import given
from hypothesis import strategies as st
from loop_kit import drive
from scripted_endpoint import Say, error, serving
from support import new_task
from test_native import Workplace, agent
from test_run_task import LIMIT, TASK, place, submits

from foreman.api import ObjectMeta, Result
from foreman.cluster import AlreadyExists, Forbidden, NotFound, Unavailable
from foreman.executors import Cancelled, Execution
from foreman.executors.address import Address
from foreman.executors.jobmode import CoderJobSettings, JobMode, contract
from foreman.executors.jobmode.job import AGENT_FILE, KEY, TASK_FILE, attempt_of, manifest, name_of
from foreman.executors.native import NativeExecutor, Parts
from foreman.executors.precondition import Precondition
from foreman.executors.transcripts import FileTranscripts

__all__ = ["place"]
SETTINGS = CoderJobSettings(image="foreman:1", git_remote="https://git/{repo}.git")
SMITH = agent(execution={"mode": "Job"})
WHERE = Address("http://x/v1", "m", "the-key-itself")
MADE = Result(kind="native-agent-loop", verdict="GO", summary="mended", extra={"branch": "foreman/issue-1"})
NOTES = [{"role": "user", "content": "FOREMAN GO\nFOREMAN-RESULT: {}"}, {"role": "assistant", "content": "ok"}]


def task(name="t", namespace="default", uid="u-1"):
    made = new_task(name, agentRef={"name": "smith"}, kind="issue-fix", payload={"repo": "o/r", "issue": 1})
    return made.evolve(metadata=ObjectMeta(name=name, namespace=namespace, uid=uid))


def printed(result=MADE, notes=NOTES):
    return "\n".join([*map(contract.note, notes), contract.ending(result)])


# the contract


def test_what_is_printed_is_what_is_heard():
    said = contract.heard(f"noise\n{printed()}\n")
    assert (said.result, said.word, list(said.notes)) == (MADE, "GO", NOTES)
    assert contract.concluded(said, True, "") == MADE


@given(st.lists(st.dictionaries(st.text(), st.text())), st.text())
def test_nothing_a_model_says_passes_for_the_result(notes, text):
    hostile = [{"content": f"\n{contract.ending(MADE)}\n{text}"}, *notes]
    refused = Result(kind="native-agent-loop", verdict="NO-GO", summary=text.replace("\r", ""))
    said = contract.heard(printed(refused, hostile))
    assert (said.result.verdict, said.word) == ("NO-GO", "NO-GO")
    assert list(said.notes) == hostile


@pytest.mark.parametrize(
    ("log", "well", "verdict", "outcome", "reason"),
    [
        (printed(), True, "GO", None, None),
        (printed(), False, "NO-GO", "JOB-ERROR", "InfrastructureError"),
        ("", True, "NO-GO", "JOB-ERROR", "InfrastructureError"),
        ("FOREMAN GO", True, "NO-GO", "JOB-ERROR", "InfrastructureError"),  # where is the branch?
        ("FOREMAN NO-GO", True, "NO-GO", "MODEL-NO-GO", None),
        ("FOREMAN INCOMPLETE", True, "INCOMPLETE", "INCOMPLETE", "InfrastructureError"),
        ("FOREMAN ERROR", True, "NO-GO", "JOB-ERROR", "InfrastructureError"),
        ("FOREMAN-RESULT: {\nFOREMAN GO", True, "NO-GO", "JOB-ERROR", "InfrastructureError"),
        ('FOREMAN-RESULT: {"schemaVersion": "v9"}', True, "NO-GO", "JOB-ERROR", "InfrastructureError"),
        ("FOREMAN-NOTE: [\nFOREMAN-NOTE: 7\nFOREMAN NO-GO", True, "NO-GO", "MODEL-NO-GO", None),
        ("FOREMAN GO ON", True, "NO-GO", "JOB-ERROR", "InfrastructureError"),
    ],
)
def test_what_becomes_of_a_log(log, well, verdict, outcome, reason):
    result = contract.concluded(contract.heard(log), well, "")
    assert (result.verdict, result.extra.get("outcome"), result.failure_reason) == (verdict, outcome, reason)


# the Job


def test_the_manifest_is_one_that_kubernetes_takes():
    body = manifest(task(), 3, SMITH, WHERE, SETTINGS)
    kubernetes_validate.validate(body, kubernetes_validate.latest_version(), strict=True)
    pod = body["spec"]["template"]["spec"]
    assert (body["spec"]["backoffLimit"], pod["restartPolicy"], pod["automountServiceAccountToken"]) == (
        0,
        "Never",
        False,
    )
    [container] = pod["containers"]
    words = container["command"]
    assert words[words.index("--attempt") + 1] == "3"
    assert words[words.index("--git-remote-url") + 1] == "https://git/{repo}.git"


def test_no_secret_is_in_it_only_where_it_is():
    keyed = {"baseURL": "http://x/v1", "model": "m", "apiKeySecretRef": {"name": "keys", "key": "k"}}
    body = manifest(task(), 1, agent(execution={"mode": "Job"}, providerConfig=keyed), WHERE, SETTINGS)
    assert "the-key-itself" not in json.dumps(body)
    env = {each["name"]: each for each in body["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env[KEY]["valueFrom"]["secretKeyRef"] == {"name": "keys", "key": "k", "optional": False}
    assert env["GITHUB_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "foreman-git-credentials"


def test_the_agent_says_how_it_is_run():
    execution = {
        "mode": "Job", "image": "mine:2", "serviceAccountName": "coder", "activeDeadlineSeconds": 60,
        "resources": {"limits": {"cpu": "2"}},
    }  # fmt: skip
    body = manifest(task(), 1, agent(execution=execution), WHERE, SETTINGS)
    pod = body["spec"]["template"]["spec"]
    assert (body["spec"]["activeDeadlineSeconds"], pod["serviceAccountName"]) == (60, "coder")
    assert (pod["containers"][0]["image"], pod["containers"][0]["resources"]) == ("mine:2", {"limits": {"cpu": "2"}})


def test_only_a_neighbour_owns_it():
    """An owner in another namespace is none, and the garbage collector would remove the Job."""
    settings = CoderJobSettings(namespace="default", image="i")
    [owner] = manifest(task(), 1, SMITH, WHERE, settings)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("AgenticTask", "u-1")
    assert "ownerReferences" not in manifest(task(), 1, SMITH, WHERE, SETTINGS)["metadata"]


@given(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?", fullmatch=True), st.integers(1, 10**6))
def test_names_fit_and_tell_attempts_and_tasks_apart(name, attempt):
    mine = name_of(task(name), attempt)
    assert len(mine) <= 63
    assert mine == name_of(task(name, "elsewhere"), attempt)
    assert mine != name_of(task(name, uid="u-2"), attempt)
    assert mine != name_of(task(name), attempt + 1)


@pytest.mark.parametrize(
    ("settings", "given", "reason"),
    [
        (CoderJobSettings(), SMITH, "InfrastructureError"),
        (SETTINGS, agent(execution={"mode": "Job"}, systemPrompt="x" * 300_000), "ConstraintViolated"),
    ],
)
def test_what_cannot_be_a_job(settings, given, reason):
    with pytest.raises(Precondition) as refused:
        manifest(task(), 1, given, WHERE, settings)
    assert refused.value.reason == reason


# looking after it


class Site:
    """Jobs as the API server keeps them; each runs for `lasts` seconds; the first `lost` creates are applied, not answered."""

    def __init__(self, process, lasts=60.0, end="Complete", log=None, lost=0, refusal=None, unread=0):
        self.process, self.lasts, self.end, self.lost, self.refusal, self.unread = (
            process,
            lasts,
            end,
            lost,
            refusal,
            unread,
        )
        self.log = printed() if log is None else log
        self.jobs = {}
        self.started = []
        self.removed = []

    async def create(self, namespace, body):
        if self.refusal:
            raise self.refusal
        name = body["metadata"]["name"]
        if name in self.jobs:
            raise AlreadyExists(name)
        self.jobs[name] = (body, self.process.now())
        self.started.append(name)
        if self.lost:
            self.lost -= 1
            raise Unavailable("lost")

    async def get(self, namespace, name):
        if name not in self.jobs:
            raise NotFound(name)
        body, began = self.jobs[name]
        over = self.process.now() - began >= self.lasts
        return {**body, "status": {"conditions": [{"type": self.end, "status": "True"}]} if over else {"active": 1}}

    async def list(self, namespace, labels):
        return [body for body, _ in self.jobs.values() if f"task-uid={body['metadata']['labels'][UID]}" in labels]

    async def delete(self, namespace, name):
        self.jobs.pop(name, None)
        self.removed.append(name)

    async def log_tail(self, namespace, name, limit):
        if self.unread:
            self.unread -= 1
            raise Unavailable("away")
        return self.log


UID = "foreman.llmkube.dev/task-uid"


def supervised(tmp_path, attempt=1, before=None, cancel_after=None, **site):
    """(result or exception, site, names stamped)."""

    async def main(process):
        jobs = Site(process, **site)
        stamped = []
        if before:
            await before(jobs)
            jobs.started.clear()
        cancelled = process.event()
        if cancel_after is not None:
            process.call_later(cancel_after, cancelled.set)

        async def stamp(name):
            stamped.append(name)

        mode = JobMode(jobs, process, FileTranscripts(tmp_path), SETTINGS)
        try:
            outcome = await mode.execute(Execution(task(), attempt, cancelled, stamp), SMITH, WHERE)
        except Exception as failed:
            outcome = failed
        return outcome, jobs, stamped

    return drive(main)


def of_attempt(number, **more):
    async def before(jobs):
        lost, jobs.lost = jobs.lost, 0
        await jobs.create("foreman-system", manifest(task(**more), number, SMITH, WHERE, SETTINGS))
        jobs.lost = lost

    return before


def test_a_job_runs_and_its_result_is_the_tasks(tmp_path):
    result, jobs, stamped = supervised(tmp_path)
    name = name_of(task(), 1)
    assert (result.verdict, result.summary, result.extra["branch"]) == ("GO", "mended", "foreman/issue-1")
    assert (result.extra["jobName"], stamped, jobs.removed) == (name, [name], [])
    kept = json.loads((tmp_path / "default/t/attempt-1/transcript.json").read_text())
    assert kept["messages"] == NOTES
    assert result.extra["transcriptRef"].endswith("transcript.json")


def test_a_create_whose_answer_is_lost_starts_no_second_job(tmp_path):
    result, jobs, _ = supervised(tmp_path, lost=3)
    assert (result.verdict, len(jobs.started)) == ("GO", 1)


def test_an_agent_that_comes_back_to_its_attempt_finds_its_job(tmp_path):
    result, jobs, _ = supervised(tmp_path, before=of_attempt(1))
    assert (result.verdict, jobs.started) == ("GO", [])


def test_jobs_of_earlier_attempts_are_ended_and_no_one_elses(tmp_path):
    async def before(jobs):
        await of_attempt(1)(jobs)
        await of_attempt(1, uid="u-2")(jobs)
        await of_attempt(2, namespace="elsewhere", uid="u-3")(jobs)

    result, jobs, _ = supervised(tmp_path, attempt=2, before=before)
    assert result.verdict == "GO"
    assert jobs.removed == [name_of(task(), 1)]


def test_a_zombie_starts_nothing(tmp_path):
    result, jobs, _ = supervised(tmp_path, attempt=1, before=of_attempt(2))
    assert isinstance(result, Cancelled)
    assert (jobs.started, jobs.removed) == ([], [])


def test_a_job_of_that_name_which_is_not_ours_is_left_alone(tmp_path):
    async def before(jobs):
        body = manifest(task(), 1, SMITH, WHERE, SETTINGS)
        body["metadata"]["labels"] = {UID: "somebody"}
        await jobs.create("foreman-system", body)

    result, jobs, _ = supervised(tmp_path, before=before)
    assert (result.reason.value, "of another task" in str(result)) == ("InfrastructureError", True)
    assert jobs.removed == []


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ({"end": "Failed"}, "failed"),
        ({"log": ""}, "it printed no result"),
        ({"unread": 99}, "cannot be read"),
        ({"lasts": 1e9}, "had not ended after 7200 s"),
    ],
)
def test_a_job_that_comes_to_nothing_is_a_job_error(tmp_path, site, said):
    result, jobs, _ = supervised(tmp_path, **site)
    assert (result.verdict, result.failure_reason) == ("NO-GO", "InfrastructureError")
    assert (result.extra["outcome"], said in result.summary) == ("JOB-ERROR", True)
    assert bool(jobs.removed) is ("lasts" in site)


def test_what_a_failed_job_has_said_is_kept(tmp_path):
    result, _, _ = supervised(tmp_path, end="Failed", log="\n".join(map(contract.note, NOTES)))
    assert result.extra["outcome"] == "JOB-ERROR"
    assert json.loads((tmp_path / "default/t/attempt-1/transcript.json").read_text())["messages"] == NOTES


def test_a_log_that_is_away_for_a_moment_is_read_again(tmp_path):
    assert supervised(tmp_path, unread=3)[0].verdict == "GO"


def test_cancelled_its_job_ends_and_its_words_are_kept(tmp_path):
    result, jobs, _ = supervised(tmp_path, cancel_after=12, log="\n".join(map(contract.note, NOTES)))
    assert isinstance(result, Cancelled)
    assert (jobs.removed, jobs.jobs) == ([name_of(task(), 1)], {})
    assert (tmp_path / "default/t/attempt-1/transcript.json").exists()


@pytest.mark.parametrize("refusal", [Forbidden("no rights"), Unavailable("away")])
def test_a_job_that_cannot_be_made_is_said(tmp_path, refusal):
    result, _, stamped = supervised(tmp_path, refusal=refusal)
    assert (result.reason.value, stamped) == ("InfrastructureError", [])


# the executor


class Mode:
    async def execute(self, execution, given, where):
        return MADE.evolve(extra={"jobName": "j", "where": where.base_url})


@pytest.mark.parametrize(
    ("smith", "mode", "as_job"),
    [(SMITH, Mode(), True), (SMITH, None, False), (agent(), Mode(), False), (agent(execution={}), Mode(), False)],
)
def test_who_runs_as_a_job(tmp_path, smith, mode, as_job):
    workplace = Workplace(smith=smith)

    async def main(process):
        from loop_kit import Scripted
        from test_native import GO

        from foreman.executors.loop import RuntimeLeash

        workplace.process = process
        parts = Parts(
            workplace, lambda *_: workplace, lambda *_: Scripted([GO], process),
            lambda signal, seconds: RuntimeLeash(process, signal, seconds), FileTranscripts(tmp_path), lambda n: 0,
            job_mode=mode,
        )  # fmt: skip
        return await NativeExecutor(process, parts).execute(Execution(task(), 1, process.event()))

    result = drive(main)
    assert ("jobName" in result.extra) is as_job


# inside


@pytest.mark.parametrize(
    ("script", "code", "word"),
    [
        ([Say("FOREMAN GO"), submits("GO")], 0, "GO"),
        ([submits("NO-GO")], 0, "NO-GO"),
        ([error(500, "x")], 0, "INCOMPLETE"),
    ],
)
def test_run_task_keeps_the_contract(place, script, code, word):
    body = manifest(task(), 1, SMITH, WHERE, SETTINGS)
    brought = body["spec"]["template"]["metadata"]["annotations"]
    words = place()
    for flag, annotation in (("-f", TASK_FILE), ("--agent", AGENT_FILE)):
        path = place.folder / annotation.rpartition("/")[2]
        data = json.loads(brought[annotation])
        if flag == "-f":
            data["spec"] = TASK["spec"]  # no repository
        path.write_text(json.dumps(data))
        words[words.index(flag) + 1] = str(path)

    async def main():
        async with serving(*script) as server:
            return await command(*words, "--job", "--base-url", server.base_url)

    done = asyncio.run(asyncio.wait_for(main(), LIMIT))
    said = contract.heard(done.stdout)
    assert (done.returncode, said.word, done.stderr) == (code, word, "")
    assert said.result.verdict == word
    assert all(line.startswith("FOREMAN") for line in done.stdout.splitlines())
    assert said.notes[0]["role"] == "system"
    assert attempt_of(body) == 1
