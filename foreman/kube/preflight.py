"""Before a process starts in earnest: is the API server there, are we known and allowed, are the kinds installed?

A server that is away is waited for, with one line in the log: an agent must be able to start before its API server. Whatever
waiting does not mend ends the process, with one line that says what is wrong and how to mend it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

import aiohttp

from foreman.api import KINDS
from foreman.api.crd import CRD_KINDS
from foreman.api.meta import Resource
from foreman.cluster import Forbidden, NotFound, Unavailable
from foreman.kube.answers import refusal
from foreman.kube.connection import Connection, Reply
from foreman.kube.paths import path_of
from foreman.kube.process import Unusable
from foreman.runtime import ProcessExit, Runtime

RETRY_FIRST = 1.0
RETRY_MAX = 30.0
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
log = logging.getLogger("foreman.preflight")


class NotAdmitted(ProcessExit):
    """The cluster does not let this process do its work."""


class Need(NamedTuple):
    """What a process must be able to do with a kind; `part` is "status" or nothing, `namespace` None for all.

    `name`: the one object that it is about, for who may do it with no other; a right to create is never bound to a name."""

    kind: str
    verbs: tuple[str, ...]
    part: str = ""
    namespace: str | None = None
    name: str = ""

    @property
    def resource(self) -> str:
        """'agentictasks.foreman.llmkube.dev/status', as kubectl would have it."""
        cls = KINDS[self.kind]
        return f"{cls.PLURAL}.{cls.GROUP}".rstrip(".") + (f"/{self.part}" if self.part else "")


async def preflight(connection: Connection, runtime: Runtime, needs: Sequence[Need]) -> None:
    """Return once all of `needs` can be met. Raises NotAdmitted, or Unusable when a namespace does not exist."""
    await _check_kinds(connection, runtime, needs)
    for namespace in sorted({need.namespace for need in needs if need.namespace}):
        await _check_namespace(connection, runtime, namespace)
    for need in needs:
        if "list" in need.verbs and KINDS[need.kind] in CRD_KINDS:
            path = path_of(KINDS[need.kind], need.namespace)
            _judge(connection, need.kind, await _patiently(connection, runtime, "GET", path, {"limit": "1"}))
    missing = [line for need in needs for line in await _refused(connection, runtime, need)]
    if missing:
        raise NotAdmitted(f"missing permission: {'; '.join(missing)}")


async def _patiently(
    connection: Connection,
    runtime: Runtime,
    method: str,
    path: str,
    query: dict[str, str] | None = None,
    body: object = None,
) -> Reply:
    """The server's answer, whatever it says, once it gives one; the first failure is logged, and the recovery."""
    pause = RETRY_FIRST
    told = False
    while True:
        try:
            reply = await connection.request(method, path, query, body)
            if reply.status < 300 or not isinstance(refusal(reply), Unavailable):
                break
            why = str(refusal(reply))
        except Unavailable as error:
            if distrust := _distrust(error):
                raise NotAdmitted(f"no secure connection to {connection.server}: {distrust}") from error
            why = str(error)
        if not told:
            log.warning("the API server at %s does not answer, trying on: %s", connection.server, why)
            told = True
        await runtime.sleep(pause)
        pause = min(pause * 2, RETRY_MAX)
    if told:
        log.info("the API server at %s answers", connection.server)
    return reply


def _distrust(error: BaseException) -> str:
    """Why the server's certificate, or ours, is not accepted; '' when that is not what is wrong."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, aiohttp.ClientConnectorCertificateError):
            cause = cause.certificate_error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError | aiohttp.ClientSSLError):
            return " ".join(str(cause).split())
        cause = cause.__cause__
    return ""


async def _check_kinds(connection: Connection, runtime: Runtime, needs: Sequence[Need]) -> None:
    """By the server's own list of what it serves; who may not read that finds out when it lists."""
    reply = await _patiently(connection, runtime, "GET", f"/apis/{Resource.GROUP}/{Resource.VERSION}")
    if reply.status == 401:
        _judge(connection, "AgenticTask", reply)
    if reply.status not in (200, 404):
        return
    served = {each.get("name") for each in reply.data.get("resources", ())} if reply.status == 200 else set()
    plurals = sorted({KINDS[need.kind].PLURAL for need in needs if KINDS[need.kind] in CRD_KINDS} - served)
    if plurals:
        _not_installed(connection, plurals)


def _not_installed(connection: Connection, plurals: Sequence[str]) -> NoReturn:
    names = ", ".join(f"{plural}.{Resource.GROUP}" for plural in plurals)
    raise NotAdmitted(f"{connection.server} does not know {names}: install with `foreman crds | kubectl apply -f -`")


async def _check_namespace(connection: Connection, runtime: Runtime, namespace: str) -> None:
    reply = await _patiently(connection, runtime, "GET", f"/api/v1/namespaces/{namespace}")
    # Only the server's own word for it counts: who may not look, or asks a server without namespaces, learns nothing.
    said = reply.data.get("details", {}) if isinstance(reply.data, dict) else {}
    if reply.status == 404 and said.get("kind") == "namespaces":
        raise Unusable(f'namespace "{namespace}" does not exist at {connection.server}: create it, or name another')


def _judge(connection: Connection, kind: str, reply: Reply) -> None:
    if reply.status < 300:
        return
    error = refusal(reply)
    cls = KINDS[kind]
    if reply.status == 401:
        raise NotAdmitted(f"{connection.server}: {error}")
    if isinstance(error, Forbidden):
        raise NotAdmitted(f"missing permission: {error}")
    if isinstance(error, NotFound) and cls in CRD_KINDS:
        _not_installed(connection, [cls.PLURAL])
    raise NotAdmitted(f"cannot list {cls.PLURAL}: {error}")


async def _refused(connection: Connection, runtime: Runtime, need: Need) -> Iterable[str]:
    """Which verbs the server says it would refuse, each as 'patch agentictasks.foreman.llmkube.dev/status'."""
    replies = await asyncio.gather(*(_review(connection, runtime, need, verb) for verb in need.verbs))
    scope = f' in namespace "{need.namespace}"' if need.namespace else ""
    return [
        f"{verb} {need.resource}{scope}"
        for verb, reply in zip(need.verbs, replies, strict=True)
        # Who may not ask, or asks a server without authorization, finds out when it tries.
        if reply.status < 300 and reply.data.get("status", {}).get("allowed") is False
    ]


async def _review(connection: Connection, runtime: Runtime, need: Need, verb: str) -> Reply:
    cls = KINDS[need.kind]
    attributes: dict[str, Any] = {"verb": verb, "group": cls.GROUP, "resource": cls.PLURAL, "subresource": need.part}
    if need.namespace:
        attributes["namespace"] = need.namespace
    if need.name and verb != "create":
        attributes["name"] = need.name
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return await _patiently(connection, runtime, "POST", REVIEWS, None, body)
