"""Options of an agent that does real work on a cluster (`--agent-mode native`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from foreman.cli import flags
from foreman.cli.refusal import refuse
from foreman.cli.shop import ShopOptions

if TYPE_CHECKING:
    from foreman.kube.native import NativeSettings

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


class NativeOptions(NamedTuple):
    inference_base_url_override: Annotated[
        str, typer.Option(metavar="URL", help="The endpoint of every model, whatever the Agents say.")
    ] = ""
    inference_base_url_host_override: Annotated[
        str,
        typer.Option(
            metavar="HOST", help="Where inference services are reached from outside the cluster, at their own ports."
        ),
    ] = ""
    workspace_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Of the runs (default: ~/foreman-workspaces).")
    ] = None
    foreman_namespace: Annotated[
        str,
        typer.Option(metavar="NAMESPACE", help="Where gates, and Agents of mode Job, run as Jobs (default: all here)."),
    ] = ""
    coder_image: Annotated[
        str, typer.Option(metavar="IMAGE", help="Of Jobs whose Agent names none; it has to have foreman and git in it.")
    ] = ""
    coder_git_secret: Annotated[
        str, typer.Option(metavar="NAME", help="The Secret with the token for a Job's git remote, in that namespace.")
    ] = "foreman-git-credentials"
    coder_git_secret_key: Annotated[str, typer.Option(metavar="KEY", help="Its key.")] = "token"
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Whether models' answers come piece by piece.")
    ] = True

    def settings(self, shop: ShopOptions) -> NativeSettings:
        """Refuses what cannot be used."""
        from foreman.executors.address import base_url
        from foreman.executors.jobmode import CoderJobSettings
        from foreman.executors.precondition import Precondition
        from foreman.kube.native import NativeSettings

        jobs = flags.name("--foreman-namespace", self.foreman_namespace) if self.foreman_namespace else ""
        host = self.inference_base_url_host_override
        if host and _HOST.fullmatch(host) is None:
            refuse(
                f"--inference-base-url-host-override: {host!r} is no host: give a name or an address, without a port"
            )
        folder = Path(self.workspace_dir).expanduser() if self.workspace_dir else Path.home() / "foreman-workspaces"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            given = self.inference_base_url_override
            override = base_url(given, "--inference-base-url-override") if given else ""
        except OSError as error:
            refuse(f"--workspace-dir: cannot use {folder}: {error.strerror}")
        except Precondition as error:
            refuse(str(error))
        coder = CoderJobSettings(
            image=self.coder_image, git_secret=self.coder_git_secret, git_key=self.coder_git_secret_key
        )
        return NativeSettings(shop.settings(str(folder)), override, jobs, host, self.stream, coder)
