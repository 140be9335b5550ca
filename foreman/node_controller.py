"""The node controller: Ready while the heartbeat changes, NotReady when it has not for 90 s, deleted when long drained.

It also tells placement which nodes may be used. NotReady nodes are never deleted: a laptop comes back.
"""

from __future__ import annotations

from typing import Any

from foreman.api import (
    CONDITION_READY,
    DRAIN_REAP_SECONDS,
    REASON_HEARTBEAT_FRESH,
    REASON_HEARTBEAT_STALE,
    FleetNode,
    FleetNodePhase,
    condition,
    with_condition,
)
from foreman.cache import Cache
from foreman.cluster import Cluster, Conflict, NotFound
from foreman.controller import Controller
from foreman.liveness import Liveness
from foreman.runtime import Runtime
from foreman.scheduler import Scheduler
from foreman.task_controller import TaskController

SLACK_SECONDS = 1.0


class NodeController:
    """Reconciles FleetNodes by name."""

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        nodes: Cache[FleetNode],
        liveness: Liveness,
        scheduler: Scheduler,
        tasks: TaskController,
    ) -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.nodes = nodes
        self.liveness = liveness
        self.scheduler = scheduler
        self.tasks = tasks
        self.controller = Controller("node", runtime, self.reconcile, workers=4, view=nodes.get)
        nodes.listen(self._changed)

    def start(self) -> None:
        self.controller.start()

    def _changed(self, name: str, old: FleetNode | None, new: FleetNode | None) -> None:
        """A heartbeat that changes nothing but its time wakes nobody."""
        if new is None:
            self.scheduler.fleet.forget(name)
            self.controller.queue.add(name)
        elif old is None or _news(old, new):
            self.scheduler.fleet.learn(new, self._usable(new))
            self.controller.queue.add(name)
        elif new.status.phase is not FleetNodePhase.READY:
            self.controller.queue.add(name)

    def _usable(self, node: FleetNode) -> bool:
        return node.status.phase is FleetNodePhase.READY and not self.liveness.stale(node.metadata.name)

    async def reconcile(self, name: str) -> float | None:
        node = self.nodes.get(name)
        silence = self.liveness.silence(name)
        if node is None:
            return self._absent(name, silence)
        if node.status.phase is FleetNodePhase.DRAINING:
            return await self._draining(node, silence)
        stale = silence > self.liveness.timeout
        if not stale and not self._proven(node):
            return self.liveness.timeout - silence + SLACK_SECONDS
        if stale:
            self.scheduler.fleet.learn(node, ready=False)
            self.tasks.node_lost(name)
        elif self._usable(node) and not self.scheduler.fleet.node(name).ready:
            # It spoke before its silence could be published: nothing in the FleetNode says that it was ever lost.
            self.scheduler.fleet.learn(node, ready=True)
        await self._publish(node, stale)
        return self.liveness.timeout - min(silence, self.liveness.timeout - SLACK_SECONDS) + SLACK_SECONDS

    def _proven(self, node: FleetNode) -> bool:
        """Whether a node that is not stale may be called Ready: one that was lost, or never spoke, must speak first."""
        if node.status.phase is FleetNodePhase.NOT_READY:
            return self.liveness.heard(node.metadata.name)
        return node.status.last_heartbeat_time is not None

    def _absent(self, name: str, silence: float) -> float | None:
        """Tasks of a node that is gone wait as long as those of a silent one: its agent may register again."""
        if not self.scheduler.fleet.tasks_on(name):
            return None
        if silence > self.liveness.timeout:
            self.tasks.node_lost(name)
            return self.liveness.timeout
        return self.liveness.timeout - silence + SLACK_SECONDS

    async def _draining(self, node: FleetNode, silence: float) -> float:
        if silence > self.liveness.timeout:
            self.tasks.node_lost(node.metadata.name)
            if node.status.current_task:
                nothing = {"current_task": ""}
                self.nodes.observe(await self.cluster.patch_status(node, nothing, if_version=node.version))
        if silence <= DRAIN_REAP_SECONDS:
            return self.liveness.timeout
        try:
            # Both preconditions: an agent that revived in the meantime has changed the version or the uid (#979).
            await self.cluster.delete(node, if_version=node.version, if_uid=node.metadata.uid)
        except (Conflict, NotFound):
            pass
        return self.liveness.timeout

    async def _publish(self, node: FleetNode, stale: bool) -> None:
        phase = FleetNodePhase.NOT_READY if stale else FleetNodePhase.READY
        reason = REASON_HEARTBEAT_STALE if stale else REASON_HEARTBEAT_FRESH
        told = condition(node.status.conditions, CONDITION_READY)
        misleading = stale and bool(node.status.current_task)
        if node.status.phase is phase and told is not None and told.reason == reason and not misleading:
            return
        message = "no heartbeat within 1m30s" if stale else "heartbeat received"
        conditions = with_condition(
            node.status.conditions, CONDITION_READY, not stale, reason, message, self.runtime.wall()
        )
        changes: dict[str, Any] = {"phase": phase, "conditions": conditions}
        if misleading:
            # Its agent cannot say any more that the task was taken back; it will write what it runs when it comes back.
            changes["current_task"] = ""
        try:
            self.nodes.observe(await self.cluster.patch_status(node, changes, if_version=node.version))
        except NotFound:
            # Else its tasks would wait for it to be published as lost (Kubernetes #56261).
            self.nodes.forget(node)


def _news(old: FleetNode, new: FleetNode) -> bool:
    """Whether anything has changed that placement or this controller looks at."""
    before, now = old.status, new.status
    return (
        before.phase is not now.phase
        or (before.capability is not now.capability and before.capability != now.capability)
        or (old.spec is not new.spec and old.spec != new.spec)
        or old.metadata.labels != new.metadata.labels
    )
