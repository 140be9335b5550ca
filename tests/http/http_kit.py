"""A served store, and raw HTTP to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, NamedTuple

import aiohttp

from sim.apiserver import ApiServer
from sim.cascade import Cascade
from sim.garbage import GarbageCollector
from sim.http.clock import LoopClock
from sim.http.serve import Server

ROOT = "/apis/foreman.llmkube.dev/v1alpha1"
TASKS = f"{ROOT}/namespaces/default/agentictasks"
NODES = f"{ROOT}/fleetnodes"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
APPLY, YAML = "application/apply-patch+yaml", "application/yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
EPOCH = 1_700_000_000


class Reply(NamedTuple):
    code: int
    body: Any
    headers: Any

    @property
    def message(self) -> str:
        return str(self.body["message"])


class Site:
    """A server in this process; `now` is the time of its clock. `ask` and `run` let it work, nothing else does."""

    def __init__(self, **options: Any) -> None:
        self.now = EPOCH
        self.store = options.pop("store", None) or ApiServer(lambda: self.now, options.pop("history", 20_000))
        self.clock = LoopClock()
        GarbageCollector(self.clock, self.store)
        Cascade(self.clock, self.store)
        self.server = Server(self.store, **options)
        self.runner = asyncio.Runner()
        self.session: aiohttp.ClientSession = None  # type: ignore[assignment]

    def __enter__(self) -> Site:
        async def start() -> None:
            await self.server.start()
            self.session = aiohttp.ClientSession()

        self.run(start())
        return self

    def __exit__(self, *exc: object) -> None:
        async def stop() -> None:
            await self.session.close()
            await self.server.stop()
            self.clock.stop()

        self.run(stop())
        self.runner.close()

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coro)

    def ask(self, method: str, path: str, body: Any = None, media: str = "application/json", **headers: str) -> Reply:
        return self.run(self.asking(method, path, body, media, **headers))

    async def asking(
        self, method: str, path: str, body: Any = None, media: str = "application/json", **headers: str
    ) -> Reply:
        """One request; names of headers with '_' for '-'."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        if data is not None:
            given.setdefault("Content-Type", media)
        async with self.session.request(method, self.server.url + path, data=data, headers=given) as answer:
            text = await answer.text()
            kind = answer.headers.get("Content-Type", "")
            return Reply(
                answer.status, json.loads(text) if kind.startswith("application/json") else text, answer.headers
            )

    def create(self, name: str, **more: Any) -> Any:
        reply = self.ask("POST", TASKS, task(name, **more))
        assert reply.code == 201, reply.body
        return reply.body

    def get(self, name: str) -> Any:
        return self.ask("GET", f"{TASKS}/{name}").body

    def patch(self, name: str, changes: Any, below: str = "", query: str = "") -> Reply:
        return self.ask("PATCH", f"{TASKS}/{name}{below}{query}", changes, MERGE)

    def names(self, query: str = "") -> list[str]:
        return [each["metadata"]["name"] for each in self.ask("GET", f"{TASKS}?{query}").body["items"]]

    def watch(self, query: str, accept: str = "application/json", path: str = TASKS) -> list[tuple[str, Any]]:
        """(type, object) of every event of a watch that the server ends after a second or earlier."""

        async def collect() -> list[tuple[str, Any]]:
            url = f"{self.server.url}{path}?watch=1&timeoutSeconds=1&{query}"
            async with self.session.get(url, headers={"Accept": accept}) as answer:
                assert answer.status == 200, await answer.text()
                lines = [json.loads(line) async for line in answer.content]
            return [(line["type"], line["object"]) for line in lines]

        events: list[tuple[str, Any]] = self.run(collect())
        return events


def task(name: str, spec: dict[str, Any] | None = None, status: Any = None, **meta: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "apiVersion": "foreman.llmkube.dev/v1alpha1",
        "kind": "AgenticTask",
        "metadata": {"name": name, **meta},
        "spec": {"kind": "freeform", "payload": {}} if spec is None else spec,
    }
    return made if status is None else made | {"status": status}


def bare(obj: dict[str, Any]) -> dict[str, Any]:
    """The object without who owns its fields."""
    meta = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": meta}


def owned(obj: dict[str, Any]) -> dict[str, Any]:
    """'manager operation [subresource]' -> its fieldsV1."""
    return {
        " ".join(filter(None, (each["manager"], each["operation"], each.get("subresource")))): each["fieldsV1"]
        for each in obj["metadata"].get("managedFields", [])
    }
