"""Kubernetes Jobs and the logs of their pods: a small client beside KubeCluster, for what Foreman makes and never caches."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from foreman.cluster import NotFound
from foreman.executors.sandbox.tail import Tail
from foreman.kube.answers import refusal, refusal_of
from foreman.kube.connection import Connection

LINES = 4000
LOG_SILENCE = 10.0


class KubeJobs:
    """Implements `foreman.executors.jobs.Jobs`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def create(self, namespace: str, manifest: dict[str, Any]) -> None:
        await self._ask("POST", _jobs(namespace), manifest)

    async def get(self, namespace: str, name: str) -> dict[str, Any]:
        return await self._ask("GET", _jobs(namespace, name))

    async def list(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        found = await self._ask("GET", _jobs(namespace), query={"labelSelector": labels})
        return [dict(each) for each in found.get("items") or ()]

    async def delete(self, namespace: str, name: str) -> None:
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        await self._ask("DELETE", _jobs(namespace, name), options)

    async def log_tail(self, namespace: str, name: str, limit: int) -> str:
        """The last `limit` bytes. Not by limitBytes: that is where a log begins, not where it ends."""
        pod = await self._pod(namespace, name)
        path = f"{_core(namespace)}/pods/{quote(pod['metadata']['name'], safe='')}/log"
        query = {"container": _telling(pod), "tailLines": str(LINES)}
        kept = Tail(limit)
        async for status, chunk in self.connection.text(f"{path}?{urlencode(query)}", LOG_SILENCE):
            if status != 200:
                raise refusal_of(status, chunk.decode(errors="replace")[:300])
            kept.feed(chunk)
        return kept.text()

    async def _pod(self, namespace: str, job: str) -> dict[str, Any]:
        """The newest pod of a Job. Raises NotFound."""
        query = {"labelSelector": f"job-name={job}"}
        found = await self._ask("GET", f"{_core(namespace)}/pods", query=query)
        pods = sorted(found.get("items") or (), key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
        if not pods:
            raise NotFound(f"job {job} has no pod")
        return dict(pods[-1])

    async def _ask(
        self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        reply = await self.connection.request(method, path, query, body)
        if reply.status >= 300:
            raise refusal(reply)
        return dict(reply.data)


def _jobs(namespace: str, name: str = "") -> str:
    return f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/jobs" + (f"/{quote(name, safe='')}" if name else "")


def _core(namespace: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}"


def _telling(pod: dict[str, Any]) -> str:
    """The container whose log says how it went: the first of the initial ones that failed, else the first of the others."""
    for each in pod.get("status", {}).get("initContainerStatuses") or ():
        if (each.get("state") or {}).get("terminated", {}).get("exitCode"):
            return str(each["name"])
    return str(pod["spec"]["containers"][0]["name"])
