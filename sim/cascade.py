"""Deletion that reaches dependents, for objects that stay until that is done: foreground and orphan propagation.

The garbage collector (sim.garbage) sees to the background kind. Here an object that is to be deleted carries a finalizer of the
collector's own; when its dependents are gone, or have let go of it, the finalizer is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.apiserver import ApiServer
from sim.garbage import DELAY, JANITOR, Timer
from sim.selection import Address, Change

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


class Cascade:
    def __init__(self, timer: Timer, server: ApiServer) -> None:
        self.timer = timer
        self.server = server
        server.observers.append(self.committed)

    def committed(self, change: Change) -> None:
        obj = change.new
        if obj is not None and _to_be_deleted(obj):
            self.timer.at(DELAY // 10, self._work, (change.kind, change.key))
        if change.new is None:
            for owner in change.old.metadata.owner_references:
                self.timer.at(DELAY // 10, self._look_for, owner)

    def _look_for(self, owner: Any) -> None:
        """A dependent is gone: its owner may have waited for that."""
        for key, obj in self.server.tables.get(owner.kind, {}).items():
            if obj.metadata.uid == owner.uid and _to_be_deleted(obj):
                self._work((owner.kind, key))
                return

    def _work(self, address: Address) -> None:
        kind, key = address
        obj = self.server.tables[kind].get(key)
        if obj is None or not _to_be_deleted(obj):
            return
        dependents = [found for each in self.server.dependents(obj.metadata.uid) if (found := self._find(each, obj))]
        if ORPHAN in obj.metadata.finalizers:
            self._let_go(obj, dependents)
            self._finish(obj, ORPHAN)
        elif not [each for each in dependents if _blocks(each, obj)]:
            self._finish(obj, FOREGROUND)
        else:
            for each in dependents:
                if each.metadata.deletion_timestamp is None:
                    self.server.delete(JANITOR, each)

    def _find(self, address: Address, owner: Any) -> Any:
        """The dependent at that address if it still names the owner."""
        obj = self.server.tables[address[0]].get(address[1])
        if obj is None or all(each.uid != owner.metadata.uid for each in obj.metadata.owner_references):
            return None
        return obj

    def _let_go(self, owner: Any, dependents: Sequence[Any]) -> None:
        for each in dependents:
            kept = tuple(ref for ref in each.metadata.owner_references if ref.uid != owner.metadata.uid)
            self.server.patch(JANITOR, each, {"metadata": {"owner_references": kept}}, None)

    def _finish(self, obj: Any, finalizer: str) -> None:
        kept = tuple(each for each in obj.metadata.finalizers if each != finalizer)
        self.server.patch(JANITOR, obj, {"metadata": {"finalizers": kept}}, None)


def _to_be_deleted(obj: Any) -> bool:
    meta = obj.metadata
    return meta.deletion_timestamp is not None and bool({ORPHAN, FOREGROUND} & set(meta.finalizers))


def _blocks(dependent: Any, owner: Any) -> bool:
    return any(
        ref.uid == owner.metadata.uid and ref.block_owner_deletion for ref in dependent.metadata.owner_references
    )
