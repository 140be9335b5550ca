"""A command's way to a live cluster: the options every such command has, and one line for whatever is in the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from foreman.cli.refusal import refuse
from foreman.cluster import ClusterError, Forbidden, NotFound, Unavailable

if TYPE_CHECKING:
    from foreman.kube.cluster import KubeCluster
    from foreman.kube.runtime import AsyncioRuntime

T = TypeVar("T")
Work = Callable[["KubeCluster", "AsyncioRuntime"], Awaitable[T]]

Namespace = Annotated[str | None, typer.Option("--namespace", "-n", metavar="NS", help="Namespace (default: default).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
INSTALL_CRDS = "install its CRDs: foreman crds | kubectl apply -f -"


def on_cluster(kubeconfig: str | None, context: str | None, work: Work[T]) -> T:
    """What `work` returns on the cluster. What keeps it from that ends the command with one line; ^C with KeyboardInterrupt."""
    # What the client logs while it retries is for a server's log; here the last word is printed.
    logging.getLogger("foreman.kube").setLevel(logging.CRITICAL)
    return asyncio.run(_on_cluster(kubeconfig, context, work))


async def _on_cluster(kubeconfig: str | None, context: str | None, work: Work[T]) -> T:
    from foreman.kube.cluster import KubeCluster
    from foreman.kube.connection import Connection
    from foreman.kube.credentials import NoCluster
    from foreman.kube.runtime import AsyncioRuntime

    try:
        connection = await Connection.open(kubeconfig, context)
    except NoCluster as error:
        refuse(str(error))
    try:
        return await work(KubeCluster(connection), AsyncioRuntime())
    except ClusterError as error:
        refuse(in_a_line(error, connection.server))
    finally:
        await connection.close()


def in_a_line(error: ClusterError, server: str) -> str:
    """The error as a sentence that says what to do."""
    from foreman.kube.snapshot import kind_is_missing

    said = " ".join(str(error).split())
    if isinstance(error, Unavailable):
        return f"the API server at {server} does not answer: {said}"
    if isinstance(error, Forbidden):
        return said if "credentials" in said else f"no permission: {said}"
    if isinstance(error, NotFound) and kind_is_missing(error):
        return f"the cluster at {server} does not know Foreman's kinds: {INSTALL_CRDS}"
    return said


def split_key(given: str, namespace: str | None) -> tuple[str, str]:
    """(namespace, name) of 'NS/NAME', or of 'NAME' in `namespace`."""
    before, slash, name = given.rpartition("/")
    if slash and namespace is not None and namespace != before:
        refuse(f"{given} names namespace {before}, -n names {namespace}: give one")
    if not name or "/" in before or (slash and not before):
        refuse(f"{given!r} is no name of a task: expected NAME or NAMESPACE/NAME")
    return before or namespace or "default", name
