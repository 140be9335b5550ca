"""The desk of a run: a workspace of its own, with or without a repository in it, and the tools that reach no further."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from foreman.api import Agent, FailureReason, SecretKeySelector, TaskKind
from foreman.executors.gate.gate import Gate
from foreman.executors.gate.request import request_of
from foreman.executors.git import (
    Checkout,
    CommitRejected,
    Folders,
    Git,
    GitError,
    NotPrepared,
    PushFailed,
    plan_of,
)
from foreman.executors.git.folders import wipe
from foreman.executors.git.plan import NEEDS_REPO
from foreman.executors.hosts import CodeHost
from foreman.executors.loop import Check
from foreman.executors.loop.pictures import Picture
from foreman.executors.outcome import COMMIT_REJECTED, NO_CHANGES, PUSH_FAILED, Published
from foreman.executors.precondition import Precondition
from foreman.executors.protocol import Execution
from foreman.executors.rails.trial import Trial
from foreman.executors.rails.work import WITNESSED, Witness, WorkRails
from foreman.executors.sandbox import Confinement, Limits
from foreman.executors.tools import Tool, UnknownTool, Workspace, toolbox
from foreman.executors.tools.images import Unseen, shown
from foreman.executors.tools.mcp import McpFailed, McpSession
from foreman.executors.tools.servers import BadServers, Server, bounds_of, wanted

PROMPTED = (TaskKind.FREEFORM, TaskKind.ISSUE_FIX)
"""Kinds that say nothing by themselves; a review or a check is one without another word."""
Secrets = Callable[[str, SecretKeySelector], Awaitable[str]]


@dataclass(frozen=True)
class Workshop:
    """What all desks of a machine have in common. `root`: the folder of their workspaces; `environ`: the agent's environment;
    `keep`: leave workspaces to be looked at; `sandbox`: no command of a model without something that shuts it in; `servers`:
    the MCP servers of this machine; `secret` reads the header secrets of an Agent's own, and raises Precondition."""

    git: Git
    root: str
    confinement: Confinement
    environ: Mapping[str, str]
    host: CodeHost | None = None
    gate: Gate | None = None
    keep: bool = False
    sandbox: bool = False
    servers: tuple[Server, ...] = ()
    secret: Secrets | None = None

    def desk(self, execution: Execution, agent: Agent) -> WorkDesk:
        return WorkDesk(self, execution, agent)


class WorkDesk:
    """One run's. A freeform task without a repository gets an empty workspace."""

    def __init__(self, shop: Workshop, execution: Execution, agent: Agent) -> None:
        self.shop = shop
        self.execution = execution
        self.agent = agent
        self.tools: Mapping[str, Tool] = {}
        self.check: Check | None = None
        self.rails: WorkRails | None = None
        self.pictures: Sequence[Picture] = ()
        self.checkout: Checkout | None = None
        self.folders: Folders | None = None
        self.workspace: Workspace | None = None
        self.session: McpSession | None = None

    async def prepare(self) -> None:
        try:
            await self._lay_out()
        except NotPrepared as error:
            raise Precondition(error.reason or FailureReason.CLONE_FAILED, str(error)) from None
        except GitError as error:
            raise Precondition(error.reason or FailureReason.INFRASTRUCTURE_ERROR, str(error)) from None
        except UnknownTool as error:
            raise Precondition(FailureReason.TOOL_FAILED, f"Agent {self.agent.key}: {error}") from None
        except Unseen as error:
            raise Precondition(FailureReason.CONSTRAINT_VIOLATED, str(error)) from None
        except OSError as error:
            said = f"cannot make a clean workspace: {error.filename}: {error.strerror}"
            raise Precondition(FailureReason.INFRASTRUCTURE_ERROR, said) from None

    def _check_asked(self) -> None:
        """Raises Precondition: a model that is asked for nothing does something all the same."""
        task = self.execution.task.spec
        said = (task.payload.prompt, task.payload.prompt_prefix)
        if task.kind in PROMPTED and task.payload.issue is None and not any(each.strip() for each in said):
            wrong = "payload.prompt: is empty, and there is no payload.issue: nothing is asked for"
            raise Precondition(FailureReason.CONSTRAINT_VIOLATED, wrong)

    def _check_confinement(self) -> None:
        """Raises Precondition: commands would run unconfined, and may not."""
        shop, meant = self.shop, self.agent.spec.tools
        if not shop.sandbox or shop.confinement.hides_files or "bash" not in meant:
            return
        said = (
            f"Agent {self.agent.key} lists bash, this node was told --require-sandbox, and neither bubblewrap nor Landlock nor "
            "sandbox-exec works here: install bubblewrap, or take bash from the Agent"
        )
        raise Precondition(FailureReason.CONSTRAINT_VIOLATED, said)

    async def _lay_out(self) -> None:
        self._check_asked()
        self._check_confinement()
        task, shop = self.execution.task, self.shop
        meta = task.metadata
        self.folders = Folders.under(shop.root, meta.namespace or "default", meta.name)
        if task.spec.payload.repo or task.spec.kind in NEEDS_REPO or self._single_remote():
            self.checkout = Checkout(shop.git, plan_of(task, self.execution.attempt), self.folders)
            await self.checkout.prepare()
        else:
            for path in self.folders:
                wipe(path)
            self.folders.make()
        self.workspace = Workspace(self.folders.workspace, self.folders.scratch)
        spec = self.agent.spec
        self.pictures = list(shown(self.workspace, task.spec.payload.images, spec.vision))
        tools = toolbox(
            self.workspace,
            spec.tools,
            confinement=shop.confinement,
            environ=shop.environ,
            limits=replace(Limits(), seconds=float(spec.bash_timeout_seconds)),
            repo=task.spec.payload.repo,
            host=shop.host,
            gate=shop.gate,
            request=request_of(task, self.execution.attempt) if shop.gate is not None else None,
        )
        self.tools = tools
        if self.checkout is not None:
            self.rails = rails = self._rails(self.checkout)
            self.check = rails.check
            self.tools = {name: Witness(each, rails) if name in WITNESSED else each for name, each in tools.items()}
        self.tools = {**self.tools, **await self._of_servers(self.workspace.root)}

    async def _of_servers(self, folder: str) -> Mapping[str, Tool]:
        """Raises Precondition: a server that the run was given is not to be had."""
        spec = self.agent.spec
        try:
            servers = wanted(self.agent, self.shop.servers, self.execution.task.spec.mcp_enabled)
            servers = [replace(each, headers=await self._headers(each)) for each in servers]
            self.session = McpSession(servers, bounds_of(spec.mcp), folder)
            return await self.session.start()
        except (BadServers, McpFailed) as error:
            raise Precondition(FailureReason.TOOL_FAILED, f"Agent {self.agent.key}: {error}") from None

    async def _headers(self, server: Server) -> Mapping[str, str]:
        config = self.agent.spec.mcp
        mine = [
            each for each in (config.servers if config else ()) if each.name == server.name and each.url == server.url
        ]
        found = dict(server.headers)
        for header in mine[0].headers if mine and not server.strict else ():
            selector = header.value_from.secret_key_ref if header.value_from else None
            if selector is None:
                continue
            if self.shop.secret is None:
                said = (
                    f"the MCP server {server.name} wants a Secret in its header {header.name}, and this is no cluster"
                )
                raise Precondition(FailureReason.AUTH_UNAVAILABLE, said)
            found[header.name] = await self.shop.secret(self.execution.task.metadata.namespace or "default", selector)
        return found

    def _rails(self, checkout: Checkout) -> WorkRails:
        shop = self.shop
        barred = shop.sandbox and not shop.confinement.hides_files
        trial = None if barred else Trial(shop.git, checkout.folders.state, shop.confinement, shop.environ)
        return WorkRails(self.execution, self.agent, checkout, trial, shop.environ, shop.host, shop.gate)

    def _single_remote(self) -> bool:
        """A remote for one repository is there for every task that may change something."""
        template = self.shop.git.remote.template
        return bool(template) and "{repo}" not in template and self.execution.task.spec.kind is TaskKind.FREEFORM

    async def publish(self, message: str) -> Published | None:
        if self.checkout is None:
            return None
        branch = self.checkout.plan.branch
        try:
            made = await self.checkout.publish(message)
        except CommitRejected as error:
            return Published(branch, outcome=COMMIT_REJECTED, detail=str(error))
        except PushFailed as error:
            return Published(branch, outcome=PUSH_FAILED, detail=str(error))
        except GitError as error:
            return Published(branch, outcome=PUSH_FAILED, detail=str(error))
        if not made.changed:
            return Published(branch, outcome=NO_CHANGES, detail="no file was changed")
        return Published(made.branch, made.commit)

    async def close(self) -> None:
        if self.session is not None:
            await self.session.stop()
        if self.workspace is not None:
            self.workspace.close()
        if self.shop.keep or self.folders is None:
            return
        try:
            for path in self.folders:
                wipe(path)
        except OSError:
            # The next attempt wipes it again, and says so if it cannot.
            return
