"""The same requests to two API servers, and their answers made comparable.

Versions, uids and times differ between servers by nature: each is replaced by a name that says only when it was first seen, so
that equal histories give equal answers. What a request says of versions and uids is given by reference to such names.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from foreman.kube.connection import Connection

UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TIMES = ("creationTimestamp", "deletionTimestamp", "time")


class Ask(NamedTuple):
    """One request. `path` is below the group; 'NS' in it, in the query and in the body stands for the namespace.

    `version` and `uid`: which of the object's this request carries: '' none, 'now' the present one, 'old' the first one seen,
    'wrong' one that never was. In a DELETE they are preconditions, else they are put into the metadata of the body.
    """

    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"
    query: tuple[tuple[str, str], ...] = ()
    version: str = ""
    uid: str = ""


class Answer(NamedTuple):
    code: int
    body: Any


class Dialogue:
    """One server's side of it. `namespace` is this server's own."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.connection = connection
        self.namespace = namespace
        self.names: dict[str, dict[str, str]] = {}
        self.versions: dict[str, list[str]] = {}
        self.uids: dict[str, list[str]] = {}

    async def ask(self, ask: Ask) -> Answer:
        """Send it; the comparable answer."""
        path = self._own(ask.path)
        body = await self._addressed(ask, path)
        root = "/apis/foreman.llmkube.dev/v1alpha1"
        query = {name: self._own(value) for name, value in ask.query}
        reply = await self.connection.request(ask.method, root + path, query, body, ask.content_type)
        self._remember(path, reply.data)
        return Answer(reply.status, self.comparable(reply.data))

    async def _addressed(self, ask: Ask, path: str) -> Any:
        """The body with the versions and uids that the request is to carry."""
        body = self._own_all(copy.deepcopy(ask.body))
        chosen = {"resourceVersion": await self._choose(self.versions, ask.version, path, "resourceVersion")}
        chosen["uid"] = await self._choose(self.uids, ask.uid, path, "uid")
        given = {name: value for name, value in chosen.items() if value}
        if not given:
            return body
        if ask.method == "DELETE":
            return {**(body or {}), "preconditions": given}
        if isinstance(body, dict) and isinstance(body.get("metadata", {}), dict):
            body["metadata"] = {**body.get("metadata", {}), **given}
        return body

    async def _choose(self, seen: dict[str, list[str]], which: str, path: str, field: str) -> str:
        path = path.removesuffix("/status")
        if which == "now":
            reply = await self.connection.request("GET", f"/apis/foreman.llmkube.dev/v1alpha1{path}")
            return str(reply.data.get("metadata", {}).get(field, ""))
        if which == "old":
            return seen.get(path, [""])[0]
        return {"wrong": "1" if field == "resourceVersion" else "not-a-uid", "bad": "seven"}.get(which, "")

    def _remember(self, path: str, data: Any) -> None:
        meta = data.get("metadata") if isinstance(data, dict) else None
        if isinstance(meta, dict) and meta.get("uid"):
            path = path.removesuffix("/status")
            self.versions.setdefault(path, []).append(meta["resourceVersion"])
            self.uids.setdefault(path, []).append(meta["uid"])

    def comparable(self, data: Any) -> Any:
        """The data with everything replaced that two servers cannot agree on."""
        if isinstance(data, Mapping):
            kept = {name: data[name] for name in sorted(data) if name != "managedFields"}
            is_list = "items" in kept
            return {name: self._field(name, value, is_list) for name, value in kept.items()}
        if isinstance(data, list):
            return [self.comparable(each) for each in data]
        return self._text(data) if isinstance(data, str) else data

    def _field(self, name: str, value: Any, is_list: bool) -> Any:
        if is_list and name == "metadata":
            return dict.fromkeys(value, "...")  # A list's version and continue token are its own.
        if name == "resourceVersion":
            return self._named(str(value), "version")
        if name in TIMES and isinstance(value, str):
            return "time"
        return self.comparable(value)

    def _text(self, text: str) -> str:
        text = UID.sub(lambda found: self._named(found.group(), "uid"), text.replace(self.namespace, "NS"))
        return TIME.sub("time", text)

    def _named(self, value: str, sort: str) -> str:
        known = self.names.setdefault(sort, {})
        return known.setdefault(value, f"{sort} {len(known)}")

    def _own(self, text: str) -> str:
        return text.replace("NS", self.namespace)

    def _own_all(self, data: Any) -> Any:
        if isinstance(data, dict):
            return {name: self._own_all(value) for name, value in data.items()}
        if isinstance(data, list):
            return [self._own_all(each) for each in data]
        return self._own(data) if isinstance(data, str) else data

    async def watched(self, path: str, since: str, last: str) -> list[Any]:
        """The events after `since` up to the one about the object named `last`, comparable."""
        query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "20", "allowWatchBookmarks": "true"}
        root = "/apis/foreman.llmkube.dev/v1alpha1"
        events = []
        async for reply in self.connection.lines(root + self._own(path), query, 20):
            event = reply.data
            if event.get("type") != "BOOKMARK":
                events.append((event.get("type"), self.comparable(event.get("object"))))
            if event.get("object", {}).get("metadata", {}).get("name") == last:
                return events
        raise AssertionError(f"the watch ended before {last} came: {events}")
