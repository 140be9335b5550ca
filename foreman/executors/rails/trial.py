"""The gate's commands on the very commit that would be pushed, in a tree of their own, before a coder's GO is believed.

Not in the model's workspace: what lies around there (caches, a .git it may have touched) is not what is pushed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

from foreman.api.gate import GateCommands, GateProfile
from foreman.executors.gate.local import LIMITS, carried_out
from foreman.executors.gate.request import GateRequest
from foreman.executors.gate.script import ORDER, script, summary
from foreman.executors.git import Draft, Git
from foreman.executors.git.folders import wipe
from foreman.executors.sandbox import Confinement, Limits
from foreman.executors.sandbox.tail import tail
from foreman.executors.tools.workspace import Workspace

FEEDBACK_BYTES = 4096
MISSING = "a command is missing"


class Tried(NamedTuple):
    """One check. `missing`: what it needs is not on this machine, so it says nothing about the change; `log` is its end."""

    check: str
    ok: bool
    missing: bool
    said: str
    log: str


class Trial:
    """`folder`: where trees are made, and removed again."""

    def __init__(self, git: Git, folder: str, confinement: Confinement, environ: Mapping[str, str]) -> None:
        self.git = git
        self.folder = folder
        self.confinement = confinement
        self.environ = environ

    async def run(self, draft: Draft, start: str, request: GateRequest, off: Collection[str]) -> list[Tried]:
        """The checks of the request's profile, but those in `off`, up to the first that fails. Raises GitError, OSError."""
        wanted = list(_one_by_one(request.profile, off))
        if not wanted:
            return []
        place = tempfile.mkdtemp(prefix="trial-", dir=self.folder)
        tree, scratch = os.path.join(place, "tree"), os.path.join(place, "scratch")
        try:
            os.mkdir(tree, 0o700)
            os.mkdir(scratch, 0o700)
            await self._lay_out(tree, draft, start)
            return await self._checked(Workspace(tree, scratch), request, wanted)
        finally:
            wipe(place)

    async def _lay_out(self, tree: str, draft: Draft, start: str) -> None:
        """A repository that needs no other: the commit, and what it is made on."""
        await self.git.local(draft.git_dir, "update-ref", "refs/heads/draft", draft.commit)
        inside = os.path.join(tree, ".git")
        await self.git.local(inside, "init", "-q", "--template=")
        fetch = ("fetch", "-q", "--depth=2", "--no-tags", "--no-write-fetch-head")
        await self.git.network(inside, draft.git_dir, *fetch, draft.git_dir, "refs/heads/draft:refs/foreman/draft")
        await self.git.local(inside, "update-ref", "refs/remotes/origin/HEAD", start)
        await self.git.local(inside, "checkout", "-q", "--force", "--detach", draft.commit, tree=tree)

    async def _checked(
        self, workspace: Workspace, request: GateRequest, wanted: list[tuple[str, GateProfile]]
    ) -> list[Tried]:
        done: list[Tried] = []
        try:
            for name, profile in wanted:
                bite = request.bite and name == "test"
                text = script(replace(request, profile=profile, bite=bite, base=""))
                outcome = await carried_out(text, workspace, self.confinement, self.environ, LIMITS)
                log = outcome.stdout + outcome.stderr
                said = _ended(outcome.ended, LIMITS) if outcome.ended else summary(log, outcome.ok, outcome.code)
                missing = not outcome.ok and MISSING in said
                done.append(Tried(name, outcome.ok, missing, said, tail(log, FEEDBACK_BYTES)))
                if not outcome.ok and not missing:
                    break
        finally:
            workspace.close()
        return done


def _one_by_one(profile: GateProfile, off: Collection[str]) -> list[tuple[str, GateProfile]]:
    """The profile once for each of its commands: each is tried although the one before is not to be had here."""
    commands = profile.commands or GateCommands()
    given = [(name, getattr(commands, name)) for name in ORDER]
    return [
        (name, profile.evolve(commands=GateCommands(**{name: command})))
        for name, command in given
        if command and name not in off
    ]


def _ended(why: str, limits: Limits) -> str:
    return {"time": f"it took more than {limits.seconds:g} s", "memory": "it took too much memory"}.get(
        why, f"ended: {why}"
    )
