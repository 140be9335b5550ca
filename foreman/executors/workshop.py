"""The workshop of a machine, as a command was told: where repositories are, what shuts commands in, who checks branches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from foreman.executors.desk import Workshop
from foreman.executors.gate.gate import GateExecutor
from foreman.executors.gate.local import LocalGate
from foreman.executors.git import GITHUB, Git, Identity, Remote
from foreman.executors.git.errors import TOKEN
from foreman.executors.hosts import host_of
from foreman.executors.protocol import Executor
from foreman.executors.sandbox import find, seal
from foreman.executors.tools.servers import Server
from foreman.runtime import Runtime

HOST_API = "FOREMAN_CODE_HOST_API"


@dataclass(frozen=True)
class WorkshopSettings:
    """`remote`: the address of repositories, with {repo} in it, or of the only one; `workspaces`: the folder of the runs';
    `sandbox`: refuse commands where nothing can confine them."""

    workspaces: str
    remote: str = GITHUB
    keep: bool = False
    identity: Identity = Identity()  # noqa: RUF009 - frozen
    sandbox: bool = False
    servers: tuple[Server, ...] = ()


def workshop(settings: WorkshopSettings, environ: Mapping[str, str]) -> Workshop:
    """Tries out what shuts commands in here: about a second, once for a process. The token is in the environment's
    GITHUB_TOKEN, and from here on nobody else's to see."""
    token = SecretStr(environ[TOKEN]) if environ.get(TOKEN) else None
    if token is not None:
        seal()
    git = Git(Remote(settings.remote, token), environ, identity=settings.identity)
    confinement = find()
    gate = LocalGate(git, settings.workspaces, confinement, environ, sandbox=settings.sandbox)
    host = host_of(settings.remote, token, environ.get(HOST_API, ""))
    return Workshop(
        git, settings.workspaces, confinement, environ, host, gate, settings.keep, settings.sandbox, settings.servers
    )


def deterministic_executors(runtime: Runtime, shop: Workshop) -> dict[str, Executor]:
    """What does the work of Agents without a model, by the name of their tool."""
    return {"run_gate_job": GateExecutor(runtime, shop.gate)} if shop.gate is not None else {}
