"""What the log and the Events say of a process's work. The product itself is silent: these are its listeners."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from foreman.agent.agent import Agent
from foreman.agent.run import Run
from foreman.api import AgenticTask
from foreman.api.meta import Resource
from foreman.cache import Cache
from foreman.cluster import ClusterError, Forbidden, Invalid, NotFound
from foreman.kube.events import Recorder, news
from foreman.runtime import Runtime

COMPLAINTS = 256
log = logging.getLogger("foreman")


def chronicle(recorder: Recorder, old: Resource, new: Resource) -> None:
    what = news(old, new)
    if what is None:
        return
    told: dict[str, object] = {"kind": new.kind, "object": new.key, "reason": what.reason}
    if isinstance(new, AgenticTask) and isinstance(old, AgenticTask):
        told |= {"node": new.status.assigned_node or old.status.assigned_node, "attempt": new.status.attempt}
    log.log(logging.INFO if what.good else logging.WARNING, "%s", what.message or what.reason, extra=told)
    recorder.tell(new, what)


class Complaints:
    """Writes that the server will not have, now or later: said once each, for whoever made them only tries again."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def refused(self, obj: Resource, changes: Mapping[str, Any], error: ClusterError) -> None:
        lasting = isinstance(error, Forbidden | Invalid) or (isinstance(error, NotFound) and not obj.version)
        complaint = obj.kind, str(error)
        if lasting and complaint not in self._said and len(self._said) < COMPLAINTS:
            self._said.add(complaint)
            log.warning("refused: %s", error, extra={"kind": obj.kind, "object": obj.key})


def watch_over(runtime: Runtime, cache: Cache[Any]) -> None:
    def lost(error: ClusterError) -> None:
        log.warning("%s: listing anew: %s", cache.kind, error, extra={"reason": type(error).__name__})

    async def synced() -> None:
        await cache.synced.wait()
        log.info("%s: in sync", cache.kind, extra={"objects": len(cache)})

    cache.on_loss.append(lost)
    cache.on_recovery.append(lambda: log.info("%s: watching again", cache.kind))
    runtime.spawn(synced(), "synced")


async def registered(agent: Agent, name: str) -> None:
    await agent.registrar.registered.wait()
    log.info("registered as FleetNode %s", name, extra={"slots": agent.watcher.slots})


def standing_by(name: str, other: str) -> None:
    log.warning("standing by: %s is spoken for by %s; --take-over would take it", name, other)


def discarded(run: Run) -> None:
    log.warning("result discarded: the attempt is no longer ours", extra={"object": run.key, "attempt": run.attempt})
