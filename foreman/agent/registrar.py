"""The registrar: makes the FleetNode, keeps its heartbeat, says Draining on the way out.

One process speaks for a FleetNode. `status.instance` names it; every heartbeat is conditional on the version this
process wrote or read last, so a second process of the same name is noticed at once. Who finds the name in use by a
live process on another machine waits as a standby until that one falls silent; who finds its own name taken over
ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from foreman.agent.identity import same_machine
from foreman.api import (
    HEARTBEAT_TIMEOUT_SECONDS,
    AgentKind,
    FleetNode,
    FleetNodePhase,
    FleetNodeSpec,
    NodeCapability,
    ObjectMeta,
)
from foreman.cluster import AlreadyExists, Cluster, ClusterError, Conflict, Forbidden, Invalid, NotFound
from foreman.runtime import ProcessExit, Runtime

HEARTBEAT_SECONDS = 30.0
FAREWELL_SECONDS = 5.0
RETRY_SECONDS = 5.0
STANDBY_CHECK_SECONDS = 10.0


class Refused(ProcessExit):
    """This process may not keep the FleetNode it speaks for."""


class Superseded(ProcessExit):
    """Another process has taken this node's name over."""


@dataclass(frozen=True)
class Identity:
    """How the node presents itself."""

    name: str
    instance: str
    spec: FleetNodeSpec
    labels: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    os: str = ""
    arch: str = ""


class Registrar:
    """Keeps one FleetNode. `probe()` gives the present capability, `current_task()` what to display."""

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        identity: Identity,
        probe: Callable[[], NodeCapability],
        current_task: Callable[[], str] = lambda: "",
        interval: float = HEARTBEAT_SECONDS,
        take_over: bool = False,
    ) -> None:
        """`take_over`: do not wait for a live process of the same name, take the name from it (once, at the start)."""
        self.cluster = cluster
        self.runtime = runtime
        self.identity = identity
        self.probe = probe
        self.current_task = current_task
        self.interval = interval
        self.take_over = take_over
        self.node: FleetNode | None = None
        self.draining = False
        self.registered = runtime.event()
        self.standing_by_for = ""
        self.on_standby: Callable[[str], None] | None = None
        self.beaten_at = 0.0

    async def register(self) -> None:
        """Create or update the FleetNode and take its name; waits while a live process on another machine has it.

        An API that does not answer is asked again: an agent must be able to start before the API server. Raises Refused.
        """
        while not self.draining:
            try:
                # Taken at the very version at which it was found free: of two processes one finds out here.
                free = await self._await_silence(await self._upsert())
                if free is None:
                    return
                self.node = await self._write(free, FleetNodePhase.READY)
                self.take_over, self.standing_by_for = False, ""
                self.registered.set()
                return
            except (Conflict, AlreadyExists, NotFound):
                await self.runtime.sleep(0.1)
            except (Forbidden, Invalid) as error:
                raise Refused(f"cannot register FleetNode {self.identity.name}: {error}") from error
            except ClusterError:
                await self.runtime.sleep(RETRY_SECONDS)

    async def beat_for_ever(self) -> None:
        """A heartbeat each interval, counted from beat to beat: a request that waits for an answer that never comes must not
        delay the next one, or two lost ones already look like a death. A failed one is tried again at the next.

        Raises Superseded.
        """
        due = self.runtime.now()
        while not self.draining:
            due = await self.next_due(due)
            if not self.draining:
                await self._tick()

    async def next_due(self, due: float) -> float:
        """Wait for the beat after the one that was due then; gives when it is due. What was slept through is lost."""
        due = max(due + self.interval, self.runtime.now())
        await self.runtime.sleep(due - self.runtime.now())
        return due

    async def _tick(self) -> None:
        try:
            await self.beat()
        except NotFound:
            await self.register()
        except ClusterError:
            return

    async def beat(self) -> None:
        """One heartbeat. Raises Superseded, or what the cluster raises."""
        assert self.node is not None
        try:
            self.node = await self._write(self.node, None)
        except Conflict:
            node = await self._fetch()
            if node.status.instance not in ("", self.identity.instance):
                raise Superseded(f"{node.status.instance} has taken the name {self.identity.name} over") from None
            # Kept even if the write is lost: the next heartbeat must not conflict once more.
            self.node = node
            self.node = await self._write(node, None)

    async def farewell(self) -> None:
        """Say Draining, best effort, for at most 5 s."""
        self.draining = True
        done = self.runtime.event()
        self.runtime.spawn(self._say_draining(done), "farewell")
        await done.wait(timeout=FAREWELL_SECONDS)

    async def _say_draining(self, done: Any) -> None:
        try:
            while not await self._drained():
                continue
        except ClusterError:
            pass
        done.set()

    async def _drained(self) -> bool:
        """Write Draining unless the name is somebody else's; False if the write was too late for the version it read."""
        try:
            node = await self._fetch()
            if node.status.instance == self.identity.instance:
                await self._write(node, FleetNodePhase.DRAINING)
        except Conflict:
            return False
        return True

    async def _fetch(self) -> FleetNode:
        return cast(FleetNode, await self.cluster.get("FleetNode", self.identity.name))

    async def _upsert(self) -> FleetNode:
        """The FleetNode with our spec and labels; no write when they are right already."""
        wanted = self.identity
        try:
            node = await self._fetch()
        except NotFound:
            meta = ObjectMeta(name=wanted.name, labels=dict(wanted.labels))
            return await self.cluster.create(FleetNode(metadata=meta, spec=wanted.spec))
        changes = self._difference(node)
        return await self.cluster.patch(node, changes, if_version=node.version) if changes else node

    def _difference(self, node: FleetNode) -> dict[str, Any]:
        """What of our spec and labels the object lacks. Labels of other people stay; ours are never removed."""
        wanted = self.identity
        changes: dict[str, Any] = {}
        if not spec_equal(node.spec, wanted.spec):
            spec = wanted.spec
            changes["spec"] = {
                "node_name": spec.node_name,
                "tailscale_addr": spec.tailscale_addr,
                "roles": spec.roles,
                "slots": spec.slots,
            }
        labels = {key: value for key, value in wanted.labels.items() if node.metadata.labels.get(key) != value}
        if labels:
            changes["metadata"] = {"labels": labels}
        return changes

    async def _await_silence(self, node: FleetNode) -> FleetNode | None:
        """The node, once the name is free: nobody's, ours, our own machine's, Draining, or silent for the timeout.

        None when this process is on its way out."""
        since = self.runtime.now()
        beat = node.status.last_heartbeat_time
        while self._taken(node) and not self.draining:
            self._stand_by(node.status.instance)
            await self.runtime.sleep(STANDBY_CHECK_SECONDS)
            # An answer proves silence up to the question, not up to its arrival: this process may have slept in between.
            asked = self.runtime.now()
            node = await self._fetch()
            if node.status.last_heartbeat_time != beat:
                since, beat = self.runtime.now(), node.status.last_heartbeat_time
            elif asked - since > HEARTBEAT_TIMEOUT_SECONDS:
                break
        return None if self.draining else node

    def _stand_by(self, instance: str) -> None:
        """Said once for each process that is waited for."""
        if instance != self.standing_by_for:
            self.standing_by_for = instance
            if self.on_standby is not None:
                self.on_standby(instance)

    def _taken(self, node: FleetNode) -> bool:
        status = node.status
        if (
            self.take_over
            or status.instance in ("", self.identity.instance)
            or same_machine(status.instance, self.identity.instance)
        ):
            return False
        return status.phase is not FleetNodePhase.DRAINING

    async def _write(self, node: FleetNode, phase: FleetNodePhase | None) -> FleetNode:
        """A heartbeat; with `phase`, also that (the operator alone moves Ready <-> NotReady)."""
        identity = self.identity
        changes: dict[str, Any] = {
            "last_heartbeat_time": self.runtime.wall(),
            "capability": self.probe(),
            "current_task": self.current_task(),
            "instance": identity.instance,
            "agent_kind": AgentKind.FOREMAN_AGENT,
        }
        if phase is not None:
            changes["phase"] = phase
        told = {"agent_version": identity.version, "os": identity.os, "arch": identity.arch}
        changes.update((key, value) for key, value in told.items() if value)
        written = await self.cluster.patch_status(node, changes, if_version=node.version)
        self.beaten_at = self.runtime.now()
        return written


def spec_equal(one: FleetNodeSpec, other: FleetNodeSpec) -> bool:
    """Whether two specs say the same; the order of roles counts."""
    return (one.node_name, one.tailscale_addr, one.roles, one.slots) == (
        other.node_name,
        other.tailscale_addr,
        other.roles,
        other.slots,
    )
