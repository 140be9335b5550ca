"""What a native agent reads of the cluster besides Foreman's kinds: the keys of endpoints, and where inference services are."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from foreman.cluster import Forbidden, Unavailable
from foreman.kube.connection import Connection

SLICES = "/apis/discovery.k8s.io/v1"
INFERENCE = "/apis/inference.llmkube.dev/v1alpha1"


class KubeVault:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def secret(self, namespace: str, name: str, key: str) -> str | None:
        found = await self._get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        data = found.get("data") if found is not None else None
        encoded = data.get(key) if isinstance(data, dict) else None
        if not isinstance(encoded, str):
            return None
        try:
            return base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None

    async def inference_service(self, namespace: str, name: str) -> str | None:
        found = await self._get(f"{INFERENCE}/namespaces/{namespace}/inferenceservices/{name}")
        if found is None:
            return None
        status = found.get("status")
        return str(status.get("endpoint") or "") if isinstance(status, dict) else ""

    async def service_port(self, namespace: str, name: str) -> int | None:
        query = {"labelSelector": f"kubernetes.io/service-name={name}"}
        found = await self._get(f"{SLICES}/namespaces/{namespace}/endpointslices", query)
        slices = (found or {}).get("items") or ()
        ports = (
            port.get("port")
            for each in slices
            if any(_ready(endpoint) for endpoint in each.get("endpoints") or ())
            for port in each.get("ports") or ()
        )
        return next((port for port in ports if isinstance(port, int)), None)

    async def _get(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any] | None:
        """None when it is not there. An answer's text is not repeated: it may be of a Secret."""
        reply = await self.connection.request("GET", path, query)
        if reply.status == 404:
            return None
        if reply.status in (401, 403):
            raise Forbidden(f"GET {path}: not allowed")
        if reply.status >= 300 or not isinstance(reply.data, dict):
            raise Unavailable(f"GET {path}: HTTP {reply.status}")
        return reply.data


def _ready(endpoint: dict[str, Any]) -> bool:
    """Unsaid means ready, as the API has it."""
    return (endpoint.get("conditions") or {}).get("ready") is not False
