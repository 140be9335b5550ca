"""The rails of a run with a checkout: what git, the gate and the code host know, brought to the pure rules beside this file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from foreman.api import Agent, AgentRole, GateAdvisory
from foreman.executors.gate.gate import Gate
from foreman.executors.gate.request import GateRequest, request_of
from foreman.executors.gate.script import ORDER
from foreman.executors.gate.verdict import Seen
from foreman.executors.git import Checkout, Draft, GitError
from foreman.executors.hosts import CodeHost, HostError
from foreman.executors.loop import Submission
from foreman.executors.loop.ending import Judgement
from foreman.executors.protocol import Execution
from foreman.executors.rails import coder, reviewer, workclass
from foreman.executors.rails.change import DIFF, Change, parse
from foreman.executors.rails.pull import body_of, title_of
from foreman.executors.rails.trial import FEEDBACK_BYTES, Trial, Tried
from foreman.executors.sandbox.tail import tail
from foreman.executors.tools.protocol import Answer, Tool

NEEDS_VERIFICATION = "NEEDS-VERIFICATION"
ASKED_CHARACTERS = 2000


@dataclass
class WorkRails:
    """One run's. `environ` holds the switches: FOREMAN_CODER_GATE=0 turns all checks of a GO off, FOREMAN_<CHECK>_GATE=0 one of
    them; FOREMAN_BITE_GATE=1 also wants tests that fail without the change."""

    execution: Execution
    agent: Agent
    checkout: Checkout
    trial: Trial | None
    environ: Mapping[str, str]
    host: CodeHost | None = None
    gate: Gate | None = None
    advisories: list[GateAdvisory] = field(default_factory=list)
    submitted: Submission | None = None
    evidence: bool = False

    # a coder's GO

    async def check(self, submission: Submission) -> str:
        """'' accepts it, else what the coder is told. What cannot be checked here is left to the gate after it."""
        self.submitted, self.advisories = submission, []
        if not self._on("coder"):
            return ""
        try:
            return await self._checked()
        except (GitError, OSError) as error:
            self._remark("coder-gate", f"the change could not be checked before the push: {error}"[:280])
            return ""

    async def _checked(self) -> str:
        async with self.checkout.draft() as draft:
            if draft.commit == self.checkout.start:
                return ""
            change = await self._change(draft.git_dir, self.checkout.start, draft.commit)
            if wrong := [each.detail for each in coder.faults(change) if self._on(each.check)]:
                return "\n".join(wrong)
            self.advisories += [each for each in coder.remarks(change) if self._on(each.check)]
            off = [name for name in ORDER if not self._on(name.removesuffix("_check"))]
            request = self._request()
            tried = await self._tried(draft, request, off) if request is not None else []
        for each in tried:
            if each.missing:
                self._remark(each.check, f"not checked here: {each.said}")
            self.evidence |= each.ok and each.check == "test"
        return next((_feedback(each) for each in tried if not each.ok and not each.missing), "")

    async def _tried(self, draft: Draft, request: GateRequest, off: Collection[str]) -> list[Tried]:
        if self.trial is None:
            self._remark("coder-gate", "the gate's commands were not run: nothing on this node can confine them")
            return []
        return await self.trial.run(draft, self.checkout.start, request, off)

    def _request(self) -> GateRequest | None:
        """Without a profile the gate means Go; of a repository that plainly is none nothing can be said."""
        task = self.execution.task
        if task.spec.gate_profile is None and not os.path.isfile(os.path.join(self.checkout.path, "go.mod")):
            return None
        return request_of(task, self.execution.attempt, bite=self.environ.get("FOREMAN_BITE_GATE") == "1")

    def _on(self, check: str) -> bool:
        return self.environ.get(f"FOREMAN_{check.upper().replace('-', '_')}_GATE") != "0"

    def _remark(self, check: str, detail: str) -> None:
        self.advisories.append(GateAdvisory(check=check, detail=detail))

    async def _change(self, git_dir: str, old: str, new: str) -> Change:
        git = self.checkout.git
        listed = await git.local(git_dir, "diff", *DIFF, "--numstat", "-z", old, new)
        return parse(listed, await git.local(git_dir, "diff", *DIFF, old, new))

    # after the loop

    async def weigh(self, judged: Judgement) -> Judgement:
        try:
            if self.agent.spec.role is AgentRole.CODER:
                return await self._coder(judged)
            if self.agent.spec.role is AgentRole.REVIEWER:
                return await self._reviewer(judged)
        except (GitError, OSError) as error:
            self._remark("rails", f"the result could not be held against the change: {error}"[:280])
        return judged

    async def _coder(self, judged: Judgement) -> Judgement:
        if judged.verdict != "GO":
            return judged
        why = ""
        if self._on("claim-evidence"):
            why = coder.unverified(judged.summary, judged.model_extra, self.evidence)
        if not why and self._on("work-class"):
            async with self.checkout.draft() as draft:
                change = await self._change(draft.git_dir, self.checkout.start, draft.commit)
            why = workclass.refusal(change, self.execution.task.spec.verdict_policy)
        if not why:
            return judged
        summary = f"{judged.summary} [needs verification: {why}]"
        return judged._replace(verdict="NO-GO", outcome=NEEDS_VERIFICATION, summary=summary, top={"unverified": why})

    async def _reviewer(self, judged: Judgement) -> Judgement:
        ends = await self.checkout.judged()
        if ends is None or not self._on("reviewer"):
            return judged
        change = await self._change(self.checkout.folders.vault, *ends)
        return reviewer.weighed(judged, change, await self._asked())

    async def _asked(self) -> str:
        """What the issue says, else the prompt: never what the reviewer says it says."""
        payload = self.execution.task.spec.payload
        if payload.issue is not None and self.host is not None:
            try:
                issue = await self.host.issue(payload.repo, payload.issue)
                return f"{issue.title}\n\n{issue.body}"[:ASKED_CHARACTERS]
            except HostError:
                pass
        return "\n\n".join(part for part in (payload.prompt_prefix, payload.prompt) if part)[:ASKED_CHARACTERS]

    async def verify(self) -> str:
        """A coder whose Agent lists run_gate_job has the branch it pushed checked by the gate."""
        if self.gate is None or "run_gate_job" not in self.agent.spec.tools or not self._on("envtest"):
            return ""
        report = await self.gate.run(request_of(self.execution.task, self.execution.attempt), self.execution.cancelled)
        if report.seen is Seen.FAILED:
            return f"the gate fails on the pushed branch: {report.summary}\n{tail(report.log, FEEDBACK_BYTES)}"
        if report.seen is not Seen.COMPLETE:
            self._remark("envtest", f"the pushed branch could not be checked: {report.summary}")
        return ""

    async def deliver(self, judged: Judgement) -> Mapping[str, Any]:
        extra: dict[str, Any] = {}
        if self.advisories:
            extra["gateAdvisories"] = [{"check": each.check, "detail": each.detail} for each in self.advisories]
        if self.checkout.notes:
            extra["gitNotes"] = list(self.checkout.notes)
        if judged.verdict == "GO" and self.execution.task.spec.payload.open_pull_request:
            extra |= await self._pull_request(judged)
        return extra

    async def _pull_request(self, judged: Judgement) -> Mapping[str, Any]:
        """Best effort: the verdict stands without it, and the result says why there is none."""
        checkout, task = self.checkout, self.execution.task
        if self.host is None:
            return {"pullRequestError": "this agent's git remote is no code host that it could ask"}
        try:
            if moved := await checkout.unmoved():
                return {"pullRequestError": f"not opened: {moved}"}
            subject = await checkout.git.local(checkout.folders.vault, "log", "-1", "--format=%s", checkout.start)
            title = title_of(task, self.submitted, subject.strip(), self.agent.spec.role)
            body = body_of(task, judged.summary, self.agent, self.execution.attempt)
            base = checkout.base or "main"
            made = await self.host.pull_request(checkout.plan.repo, checkout.plan.branch, base, title, body)
        except (HostError, GitError) as error:
            return {"pullRequestError": str(error)}
        return {"pullRequest": {"number": made.number, "url": made.url, "made": made.made}, "pullRequestURL": made.url}


def _feedback(tried: Tried) -> str:
    return f"{tried.check.removesuffix('_check')}: {tried.said}\n{tried.log}"


class Witness:
    """A tool whose success is worth something as evidence: it tells the rails. Implements `Tool`."""

    def __init__(self, tool: Tool, rails: WorkRails) -> None:
        self.tool = tool
        self.rails = rails
        self.name, self.description, self.parameters = tool.name, tool.description, tool.parameters

    async def call(self, arguments: Mapping[str, Any]) -> Answer:
        answer = await self.tool.call(arguments)
        if not answer.failed and (answer.text.startswith("exit code 0") or '"GATE-PASS"' in answer.text):
            self.rails.evidence = True
        return answer


WITNESSED = ("bash", "run_gate_job")
