"""The JSON of stored objects, as it was sent: the models the store holds leave out what says nothing.

A version of the store belongs to one state of one object, so documents are kept by version, as long as that state is current
or in the history. What the simulation itself wrote has no document of its own and is written out from its model.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from foreman.api import to_wire
from foreman.api.meta import Resource
from sim.apiserver import ApiServer
from sim.http.status import Json
from sim.selection import Change

_ENCODED_MAX = 4096


class Documents:
    """One store's documents. They are shared: who changes one copies it first."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._docs: dict[str, Json] = {}
        self._encoded: dict[str, bytes] = {}
        self._before: dict[str, str] = {}
        self._superseded: deque[tuple[int, str]] = deque()
        server.observers.append(self._committed)

    def of(self, obj: Resource) -> Json:
        """The object's JSON."""
        doc = self._docs.get(obj.version)
        return to_wire(obj) if doc is None else doc

    def last(self, obj: Resource) -> Json:
        """The JSON of an object as a DELETED event shows it: as it was before that version."""
        doc = self._docs.get(self._before.get(obj.version, ""))
        if doc is None:
            return to_wire(obj)
        return {**doc, "metadata": {**doc["metadata"], "resourceVersion": obj.version}}

    def encoded(self, obj: Resource) -> bytes:
        """The same as bytes: many watchers of one event share the work."""
        found = self._encoded.get(obj.version)
        if found is None:
            if len(self._encoded) >= _ENCODED_MAX:
                self._encoded.clear()
            found = self._encoded[obj.version] = encode(self.of(obj))
        return found

    def keep(self, doc: Json) -> None:
        """`doc` is the JSON of the object that is about to be committed with its version."""
        self._docs[doc["metadata"]["resourceVersion"]] = doc

    def _committed(self, change: Change) -> None:
        if change.old is not None:
            self._before[str(change.version)] = change.old.version
            self._superseded.append((change.version, change.old.version))
        while self._superseded and self._superseded[0][0] <= self._server.compacted:
            at, version = self._superseded.popleft()
            self._before.pop(str(at), None)
            self._docs.pop(version, None)


def encode(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
