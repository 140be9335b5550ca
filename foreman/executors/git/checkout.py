"""A task's workspace: cloned before the work, committed and pushed after.

Two repositories. The *vault* lies beside the workspace, out of the model's reach: it fetched everything, and knows where
the work began. The workspace has a copy of it as its own .git, for the model to look around, commit and even break: nothing
in it is ever trusted. What is published is the files of the workspace, as one commit on top of the beginning, made in a third
repository that is new each time, so that nothing the model could have written (config, hooks, filters, index) steers a command
that holds the token.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from foreman.api.task import FailureReason
from foreman.executors.git.command import Git
from foreman.executors.git.errors import CommitRejected, GitError, NotPrepared, PushFailed, Superseded, not_prepared
from foreman.executors.git.fence import PREFIX, Record, may_force, may_take, parse
from foreman.executors.git.folders import Folders, wipe
from foreman.executors.git.plan import Plan

TRIES = 3
MESSAGE_CHARACTERS = 20_000
BYPRODUCTS = (
    "__pycache__/",
    "*.pyc",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    "node_modules/",
    ".venv/",
    ".DS_Store",
)
"""What tools leave behind wherever they run: never part of a change, unless the repository has it already."""


@dataclass(frozen=True)
class Published:
    """`changed`: False when there was nothing to commit; then nothing was pushed and `commit` is where the work began."""

    branch: str
    commit: str
    changed: bool = True


class Draft(NamedTuple):
    """`commit` is where the work began when nothing was changed."""

    git_dir: str
    commit: str


@dataclass(frozen=True)
class _Seen:
    """The remote as it was when the workspace was made; '' for what was not there."""

    branch: str = ""
    base: str = ""
    revise: str = ""
    fence: str = ""
    default: str = ""


@dataclass
class Checkout:
    """Prepare once, publish whenever there is something to publish, then `discard` (or keep it to be looked at)."""

    git: Git
    plan: Plan
    folders: Folders
    start: str = ""
    notes: list[str] = field(default_factory=list)
    _seen: _Seen = _Seen()
    _held: Record | None = None
    _fence: str = ""

    @property
    def path(self) -> str:
        return self.folders.workspace

    @property
    def record(self) -> Record:
        return Record(self.plan.task, self.plan.uid, self.plan.attempt)

    @property
    def address(self) -> str:
        return self.git.remote.address(self.plan.repo)

    def discard(self) -> None:
        """Raises OSError, naming what cannot be removed."""
        for path in self.folders:
            wipe(path)

    # before the work

    async def prepare(self) -> None:
        """Clone, whatever an earlier attempt left behind. Raises NotPrepared, Superseded."""
        address = self.address
        try:
            self.discard()
            self.folders.make()
        except OSError as error:
            said = f"cannot make a clean workspace: {error.filename}: {error.strerror}"
            raise NotPrepared(said, FailureReason.INFRASTRUCTURE_ERROR) from error
        try:
            await self.git.local(self.folders.vault, "init", "-q", "--template=")
            await self.git.local(self.folders.vault, "config", "core.bare", "false")
            self._seen = await self._look(address)
            begin = self._beginning()
            await self._fetch(address)
            await self._check_out(begin)
            if self.plan.publishes:
                await self._take_fence(address)
        except (NotPrepared, Superseded):
            raise
        except GitError as error:
            raise not_prepared(address, error, self.git.remote.token is not None) from error
        shutil.copytree(self.folders.vault, os.path.join(self.path, ".git"), symlinks=True)

    async def _look(self, address: str) -> _Seen:
        plan = self.plan
        wanted = {"branch": plan.branch, "base": plan.base, "revise": plan.revise}
        refs = {name: f"refs/heads/{branch}" for name, branch in wanted.items() if branch}
        refs["fence"] = PREFIX + plan.branch
        said = await self.git.network(
            self.folders.vault, address, "ls-remote", "--symref", address, "HEAD", *refs.values()
        )
        rows = [line.split("\t") for line in said.splitlines()]
        there = {row[1]: row[0] for row in rows if len(row) == 2 and not row[0].startswith("ref:")}
        default = next((row[0].removeprefix("ref: refs/heads/") for row in rows if row[0].startswith("ref:")), "")
        if not plan.base:
            refs["base"] = "HEAD"
        return _Seen(default=default, **{name: there.get(ref, "") for name, ref in refs.items()})

    def _beginning(self) -> str:
        """The commit to begin at. Raises NotPrepared: what must be there is not."""
        plan, seen = self.plan, self._seen
        if plan.adopt and seen.branch:
            return seen.branch
        if plan.adopt == "must":
            raise NotPrepared(f"{plan.repo}: there is no branch {plan.branch} to review")
        if plan.revise and plan.rebase:
            if not seen.revise:
                raise NotPrepared(f"{plan.repo}: there is no branch {plan.revise} to go on from")
            return seen.revise
        if not seen.base:
            missing = f"there is no branch {plan.base}" if plan.base else "the repository is empty"
            raise NotPrepared(f"{plan.repo}: {missing}: nothing to begin from")
        return seen.base

    async def _fetch(self, address: str) -> None:
        refs = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
        if self._seen.fence:
            refs.append(f"+{PREFIX}{self.plan.branch}:refs/foreman/fence")
        await self.git.network(
            self.folders.vault, address, "fetch", "-q", "--no-tags", "--no-write-fetch-head", address, *refs
        )

    async def _check_out(self, begin: str) -> None:
        vault, tree, branch = self.folders.vault, self.path, self.plan.branch
        await self.git.local(vault, "checkout", "-q", "--force", "-B", branch, begin, tree=tree)
        if self.plan.revise and self.plan.rebase and self._seen.base:
            try:
                await self.git.local(vault, "rebase", "-q", self._seen.base, tree=tree)
            except GitError:
                # The findings can be worked on all the same; the conflict is for whoever merges.
                self.notes.append(f"{self.plan.revise} does not rebase cleanly on its base; left as it was")
                await self.git.local(vault, "rebase", "--abort", tree=tree, check=False)
                await self.git.local(vault, "checkout", "-q", "--force", "-B", branch, begin, tree=tree)
        self.start = (await self.git.local(vault, "rev-parse", "HEAD")).strip()

    async def _take_fence(self, address: str) -> None:
        for _ in range(TRIES):
            self._held = await self._record_at(self._seen.fence)
            if not may_take(self.record, self._held):
                raise Superseded(f"attempt {self.plan.attempt} comes too late: {self._told(self._held)}")
            mine = await self._recorded(self.folders.vault, self.record, self._seen.fence)
            ref = PREFIX + self.plan.branch
            try:
                lease = f"--force-with-lease={ref}:{self._seen.fence}"
                await self.git.network(
                    self.folders.vault, address, "push", "-q", "--porcelain", lease, address, f"{mine}:{ref}"
                )
            except GitError:
                before = self._seen
                self._seen = await self._look(address)
                if self._seen == before:
                    raise
                await self._fetch(address)
                continue
            self._fence = mine
            return
        raise NotPrepared(f"{self.plan.branch}: others keep taking the fence of the branch; try again later")

    async def _record_at(self, commit: str) -> Record | None:
        if not commit:
            return None
        return parse(await self.git.local(self.folders.vault, "log", "-1", "--format=%B", commit))

    async def _recorded(self, git_dir: str, record: Record, parent: str) -> str:
        nothing = (await self.git.local(git_dir, "mktree")).strip()
        parents = ("-p", parent) if parent else ()
        return (await self.git.local(git_dir, "commit-tree", nothing, *parents, "-m", record.message())).strip()

    def _told(self, held: Record | None) -> str:
        who = f"{held.task}, attempt {held.attempt}" if held else "somebody else"
        return f"the branch {self.plan.branch} is held by {who}"

    # after the work

    async def publish(self, message: str) -> Published:
        """Commit what is in the workspace on top of where it began, and push. Raises CommitRejected, PushFailed, Superseded."""
        if not (self.plan.publishes and self._fence):
            raise PushFailed("this workspace was made for reading: nothing of it is pushed")
        async with self.draft(message) as made:
            if made.commit == self.start:
                return Published(self.plan.branch, self.start, changed=False)
            await self._push(made.git_dir, made.commit)
        return Published(self.plan.branch, made.commit)

    @asynccontextmanager
    async def draft(self, message: str = "draft") -> AsyncIterator[Draft]:
        """The commit that would be published now, in a repository that is gone afterwards. Raises CommitRejected."""
        fresh = tempfile.mkdtemp(prefix="draft-", dir=self.folders.state)
        try:
            git_dir = os.path.join(fresh, "git")
            yield Draft(git_dir, await self._commit(git_dir, message))
        finally:
            wipe(fresh)

    async def judged(self) -> tuple[str, str] | None:
        """What a reader has before it: the commit the branch left its base at, and its head; None where the base is unknown."""
        if not self._seen.base:
            return None
        vault = self.folders.vault
        fork = (await self.git.local(vault, "merge-base", self._seen.base, self.start, check=False)).strip()
        return (fork, self.start) if fork else None

    async def unmoved(self) -> str:
        """'' while the branch on the remote still is what this workspace has published, or began at; else why not.
        Raises GitError."""
        now = await self._look(self.address)
        if self._fence and now.fence != self._fence:
            return f"the branch {self.plan.branch} is held by another attempt now"
        expected = self._seen.branch
        return "" if now.branch and now.branch == expected else f"the branch {self.plan.branch} has moved meanwhile"

    @property
    def base(self) -> str:
        """The branch that this work is for; '' where the remote does not say what its default is."""
        return self.plan.base or self._seen.default

    async def _commit(self, git_dir: str, message: str) -> str:
        """The commit of the workspace's files; the start when they are as they were."""
        try:
            await self.git.local(git_dir, "init", "-q", "--template=")
            with open(os.path.join(git_dir, "objects", "info", "alternates"), "w") as file:
                file.write(os.path.join(self.folders.vault, "objects") + "\n")
            os.makedirs(os.path.join(git_dir, "info"), exist_ok=True)
            with open(os.path.join(git_dir, "info", "exclude"), "w") as file:
                file.write("".join(f"{each}\n" for each in BYPRODUCTS))
            await self.git.local(git_dir, "read-tree", self.start)
            await self.git.local(git_dir, "add", "-A", "--", ".", tree=self.path)
            await self._drop_repositories(git_dir)
            made = (await self.git.local(git_dir, "write-tree")).strip()
            was = (await self.git.local(git_dir, "rev-parse", f"{self.start}^{{tree}}")).strip()
            if made == was:
                return self.start
            text = message.replace("\0", "").strip()[:MESSAGE_CHARACTERS] or f"Work of {self.plan.task}"
            text = f"{text}\n\n{self.record.trailers()}"
            return (await self.git.local(git_dir, "commit-tree", made, "-p", self.start, "-m", text)).strip()
        except (GitError, OSError) as error:
            raise CommitRejected(f"cannot commit the workspace: {error}") from error

    async def _drop_repositories(self, git_dir: str) -> None:
        """Repositories made inside the workspace would be committed as a link to nowhere: they are left out."""
        was = _links(await self.git.local(git_dir, "ls-tree", "-r", "-z", self.start))
        now = _links(await self.git.local(git_dir, "ls-files", "-s", "-z"))
        for path in sorted(now - was):
            self.notes.append(f"{path} is a repository of its own: left out")
            await self.git.local(git_dir, "rm", "-q", "-f", "--cached", "--", path, tree=self.path)

    async def _push(self, git_dir: str, commit: str) -> None:
        there = self._seen.branch
        if there and not may_force(self.record, self._held, there, self.plan.allow_overwrite):
            await self._builds_on(git_dir, there, commit)
        record = Record(self.plan.task, self.plan.uid, self.plan.attempt, commit)
        # In the vault, so that a later push of this attempt has its parent.
        moved = await self._recorded(self.folders.vault, record, self._fence)
        branch, ref = f"refs/heads/{self.plan.branch}", PREFIX + self.plan.branch
        push = (
            *("push", "-q", "--porcelain", "--atomic", f"--force-with-lease={branch}:{there}"),
            *(f"--force-with-lease={ref}:{self._fence}", self.address, f"{commit}:{branch}", f"{moved}:{ref}"),
        )
        for last in (False, True):
            try:
                await self.git.network(git_dir, self.address, *push)
                break
            except GitError as error:
                if await self._has_landed(git_dir, moved, error):
                    break
                if last:
                    raise PushFailed(str(error)) from error
        # From here on this is what the remote has, and what a second push (after more work) replaces.
        self._seen, self._held, self._fence = replace(self._seen, branch=commit, fence=moved), record, moved

    async def _builds_on(self, git_dir: str, there: str, commit: str) -> None:
        try:
            await self.git.local(git_dir, "merge-base", "--is-ancestor", there, commit)
        except GitError:
            raise PushFailed(
                f"the branch {self.plan.branch} has work that this does not build on; payload.allowOverwrite lets it go"
            ) from None

    async def _has_landed(self, git_dir: str, moved: str, error: GitError) -> bool:
        """After a push that failed: whether it was applied all the same. Raises Superseded, PushFailed."""
        try:
            now = await self._look(self.address)
            if now.fence in (moved, self._fence):
                if now.fence == self._fence and now.branch != self._seen.branch:
                    raise PushFailed(f"the branch {self.plan.branch} was changed by somebody else meanwhile")
                return now.fence == moved
            await self.git.network(
                git_dir, self.address, "fetch", "-q", "--no-write-fetch-head", self.address, now.fence or "HEAD"
            )
            held = parse(await self.git.local(git_dir, "log", "-1", "--format=%B", now.fence))
        except (PushFailed, Superseded):
            raise
        except GitError as unheard:
            raise PushFailed(f"{error}; and then {unheard}") from error
        raise Superseded(f"attempt {self.plan.attempt} was overtaken: {self._told(held)}") from error


def _links(listing: str) -> set[str]:
    """The paths of links to other repositories in what ls-tree or ls-files say."""
    rows = (entry.partition("\t") for entry in listing.split("\0") if entry.startswith("160000 "))
    return {path for _, _, path in rows}
