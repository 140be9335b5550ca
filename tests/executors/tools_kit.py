"""Workspaces, confinements and bare repositories for tests of tools and git."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from foreman.executors.git import Checkout, Folders, Git, Plan, Remote
from foreman.executors.sandbox import Confinement, Limits, find, run, scrubbed
from foreman.executors.tools import Workspace, toolbox

MODES = ("bubblewrap", "landlock", "neither")
QUICK = Limits(seconds=20)
REPO = "octo/app"


@cache
def confinement(mode: str) -> Confinement:
    """The confinement of that mode; skips where this machine has it not."""
    found = find(bubblewrap=mode == "bubblewrap", landlock=mode != "neither")
    if mode == "bubblewrap" and not found.bubblewrap:
        return Confinement()
    return found


def needs(mode: str) -> Confinement:
    found = confinement(mode)
    if mode == "bubblewrap" and not found.bubblewrap:
        pytest.skip("no bubblewrap, or it may make no namespaces here")
    if mode == "landlock" and not found.landlock:
        pytest.skip("this kernel has no Landlock")
    return found


def workspace(folder: Path) -> Workspace:
    for name in ("work", "scratch"):
        (folder / name).mkdir()
    return Workspace(str(folder / "work"), str(folder / "scratch"))


def call(tool, **arguments):
    return asyncio.run(tool.call(arguments))


def tools(space: Workspace, mode: str = "neither", environ=None, limits: Limits = QUICK, **more):
    names = ("read_file", "write_file", "str_replace", "grep", "bash", "fetch_issue", "run_gate_job")
    given = {"PATH": os.environ["PATH"]} if environ is None else environ
    return toolbox(space, names, confinement=needs(mode), environ=given, limits=limits, **more)


def command(space: Workspace, argv, limits: Limits = QUICK):
    async def go():
        return await run(argv, scrubbed(space.place.scratch, os.environ), space.fd, limits)

    return asyncio.run(go())


def git(folder: Path, *arguments: str) -> str:
    who = {f"GIT_{who}_{what}": "someone@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **who}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def bare(folder: Path, files: dict[str, str] | None = None) -> Path:
    """A bare repository at folder/octo/app.git whose main branch has the files."""
    seed, remote = folder / "seed", folder / "octo" / "app.git"
    seed.mkdir()
    git(seed, "init", "-q", "-b", "main")
    for name, text in (files or {"app.py": "def answer():\n    return 41\n"}).items():
        (seed / name).parent.mkdir(parents=True, exist_ok=True)
        (seed / name).write_text(text)
    git(seed, "add", "-A")
    git(seed, "commit", "-q", "-m", "begin")
    remote.parent.mkdir()
    git(folder, "clone", "-q", "--bare", str(seed), str(remote))
    return remote


def gitting(folder: Path, **more) -> Git:
    return Git(Remote(str(folder / "{repo}.git"), **more), {"PATH": os.environ["PATH"]}, seconds=60)


def checkout(folder: Path, attempt: int = 1, machine: str = "a", **plan) -> Checkout:
    given = Plan(REPO, "foreman/issue-7", task="default/t", uid="u-1", attempt=attempt)
    return Checkout(gitting(folder), replace(given, **plan), Folders.under(str(folder / machine), "default", "t"))
