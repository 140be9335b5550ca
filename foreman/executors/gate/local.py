"""The gate on this machine: a clone of its own, the script in it, shut in like a model's commands: the code is a model's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from foreman.executors.gate.request import LOG_BYTES, GateReport, GateRequest
from foreman.executors.gate.script import NothingToRun, script, summary
from foreman.executors.gate.verdict import Seen
from foreman.executors.git import Checkout, Folders, Git, GitError, Plan
from foreman.executors.sandbox import Confinement, Limits, Outcome, run, scrubbed
from foreman.executors.sandbox.environment import PATH
from foreman.executors.tools.workspace import Workspace
from foreman.runtime import Signal

DEADLINE_SECONDS = 1800.0
MEMORY = 8 << 30
LIMITS = Limits(seconds=DEADLINE_SECONDS, output=LOG_BYTES * 2, processes=2048, memory=MEMORY)


class LocalGate:
    """`root`: where clones are made, and removed again; `sandbox`: nothing runs without something that shuts it in."""

    def __init__(
        self,
        git: Git,
        root: str,
        confinement: Confinement,
        environ: Mapping[str, str],
        limits: Limits = LIMITS,
        sandbox: bool = False,
    ) -> None:
        self.git = git
        self.root = root
        self.confinement = confinement
        self.environ = environ
        self.limits = limits
        self.sandbox = sandbox

    async def run(self, request: GateRequest, cancelled: Signal | None = None) -> GateReport:
        running = asyncio.ensure_future(self._run(request))
        told = asyncio.ensure_future(cancelled.wait()) if cancelled is not None else None
        try:
            await asyncio.wait({running, *([told] if told else [])}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            return GateReport(Seen.CANCELLED, "the gate was cancelled")
        finally:
            for each in (running, told):
                if each is not None and not each.done():
                    each.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await each

    async def _run(self, request: GateRequest) -> GateReport:
        try:
            text = script(request)
        except NothingToRun as error:
            return GateReport(Seen.RENDER_ERROR, str(error))
        if self.sandbox and not self.confinement.hides_files:
            said = "the gate did not run: --require-sandbox, and nothing here can confine it; install bubblewrap"
            return GateReport(Seen.CREATE_ERROR, said)
        name = f"gate-{request.task}-{request.attempt}"
        checkout = Checkout(self.git, plan_of_gate(request), Folders.under(self.root, request.namespace, name))
        try:
            await checkout.prepare()
            return judged(await self._checked(checkout, text), self.limits)
        except (GitError, OSError) as error:
            return GateReport(Seen.CREATE_ERROR, f"the gate did not run: {error}"[:280])
        finally:
            with suppress(OSError):
                checkout.discard()

    async def _checked(self, checkout: Checkout, text: str) -> Outcome:
        workspace = Workspace(checkout.path, checkout.folders.scratch)
        try:
            return await carried_out(text, workspace, self.confinement, self.environ, self.limits)
        finally:
            workspace.close()


async def carried_out(
    text: str, workspace: Workspace, confinement: Confinement, environ: Mapping[str, str], limits: Limits
) -> Outcome:
    """A gate's script, shut in at a workspace. Raises OSError."""
    argv = confinement.command(["/bin/sh", "-c", f"exec 2>&1\n{text}"], workspace.place)
    path = confinement.path(environ.get("PATH") or PATH)
    env = scrubbed(workspace.place.scratch, environ, PATH=path)
    return await run(argv, env, workspace.fd, limits)


def plan_of_gate(request: GateRequest) -> Plan:
    """The branch as it is on the remote; the base, where it does not exist (as the original's verifier)."""
    plan = Plan(request.repo, request.branch, request.base, adopt="may", publishes=False)
    return replace(plan, task=f"{request.namespace}/{request.task}", uid=request.uid, attempt=request.attempt)


def judged(outcome: Outcome, limits: Limits) -> GateReport:
    """A process's end in the words of the table: past its deadline it has failed, as a Job has."""
    log = outcome.stdout + outcome.stderr
    if outcome.ended == "lost":
        return GateReport(Seen.DISAPPEARED, "the gate's process was killed from outside", log)
    if outcome.ended:
        why = {"time": f"it took more than {limits.seconds:g} s", "memory": "it took too much memory"}
        said = why.get(outcome.ended, f"too many {outcome.ended}" if outcome.ended == "processes" else "endless output")
        return GateReport(Seen.FAILED, f"the gate was ended: {said}", log)
    return GateReport(Seen.COMPLETE if outcome.ok else Seen.FAILED, summary(log, outcome.ok, outcome.code), log)
