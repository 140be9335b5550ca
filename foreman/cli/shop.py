"""Options of whoever does real work here: where repositories are, who commits, what commands and servers may do."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from foreman.cli.refusal import refuse

if TYPE_CHECKING:
    from foreman.executors.tools.servers import Server
    from foreman.executors.workshop import WorkshopSettings

_UNFIT = re.compile(r"[<>\x00-\x1f\x7f]")


class ShopOptions(NamedTuple):
    git_remote_url: Annotated[
        str,
        typer.Option(metavar="URL", help="Where repositories are, {repo} standing for owner/name (default: GitHub)."),
    ] = ""
    keep_workspace: Annotated[
        bool, typer.Option("--keep-workspace", help="Leave the workspaces of runs to be looked at.")
    ] = False
    commit_author_name: Annotated[str, typer.Option(metavar="NAME", help="Who commits are by.")] = "Foreman Bot"
    commit_author_email: Annotated[str, typer.Option(metavar="EMAIL", help="The address of that.")] = (
        "foreman@localhost"
    )
    commit_committer_name: Annotated[
        str, typer.Option(metavar="NAME", help="Who made them (default: as the author).")
    ] = ""
    commit_committer_email: Annotated[str, typer.Option(metavar="EMAIL", help="The address of that.")] = ""
    require_sandbox: Annotated[
        bool,
        typer.Option("--require-sandbox", help="Run no command of a model where nothing can confine it."),
    ] = False
    mcp_config: Annotated[
        str,
        typer.Option(metavar="FILE", help="MCP servers of this machine, JSON: mcpServers. Agents name them in tools."),
    ] = ""

    def settings(self, folder: str) -> WorkshopSettings:
        """With workspaces in `folder`. Refuses what cannot be used."""
        from foreman.executors.git import GITHUB, Identity
        from foreman.executors.workshop import WorkshopSettings

        names = ("commit_author_name", "commit_author_email", "commit_committer_name", "commit_committer_email")
        for place, name in enumerate(names):
            value = getattr(self, name)
            if _UNFIT.search(value) or (place < 2 and not value.strip()):
                refuse(f"--{name.replace('_', '-')}: {value!r} cannot stand in a commit: plain text without < and >")
        identity = Identity(*(getattr(self, name).strip() for name in names))
        remote = self.git_remote_url or GITHUB
        return WorkshopSettings(folder, remote, self.keep_workspace, identity, self.require_sandbox, self._servers())

    def _servers(self) -> tuple[Server, ...]:
        from foreman.executors.tools.servers import BadServers, parse

        if not self.mcp_config:
            return ()
        try:
            with open(os.path.expanduser(self.mcp_config), encoding="utf-8") as file:
                return parse(file.read(), os.environ)
        except OSError as error:
            refuse(f"--mcp-config: cannot read {self.mcp_config}: {error.strerror}")
        except (BadServers, UnicodeDecodeError) as error:
            refuse(f"--mcp-config: {self.mcp_config}: {error}")
