"""The workshop of a machine, as a command was told: where repositories are, what shuts commands in, who checks branches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from foreman.executors.desk import Workshop
from foreman.executors.gate.gate import GateExecutor
from foreman.executors.gate.local import LocalGate
from foreman.executors.git import GITHUB, Git, Remote
from foreman.executors.hosts import GitHub
from foreman.executors.protocol import Executor
from foreman.executors.sandbox import find, seal
from foreman.runtime import Runtime

TOKEN = "GITHUB_TOKEN"


@dataclass(frozen=True)
class WorkshopSettings:
    """`remote`: the address of repositories, with {repo} in it, or of the only one; `workspaces`: the folder of the runs'."""

    workspaces: str
    remote: str = GITHUB
    keep: bool = False


def workshop(settings: WorkshopSettings, environ: Mapping[str, str]) -> Workshop:
    """Tries out what shuts commands in here: about a second, once for a process. The token is in the environment's
    GITHUB_TOKEN, and from here on nobody else's to see."""
    token = SecretStr(environ[TOKEN]) if environ.get(TOKEN) else None
    if token is not None:
        seal()
    git = Git(Remote(settings.remote, token), environ)
    confinement = find()
    gate = LocalGate(git, settings.workspaces, confinement, environ)
    return Workshop(git, settings.workspaces, confinement, environ, GitHub(token), gate, settings.keep)


def deterministic_executors(runtime: Runtime, shop: Workshop) -> dict[str, Executor]:
    """What does the work of Agents without a model, by the name of their tool."""
    return {"run_gate_job": GateExecutor(runtime, shop.gate)} if shop.gate is not None else {}
