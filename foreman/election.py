"""Leader election on a coordination.k8s.io Lease, written against the Cluster protocol.

The holder renews; a candidate takes over when the lease has not changed for its duration *as the candidate saw it*, so no two
clocks are compared. A leader that cannot renew in time stops leading before anybody else may start: it counts from when it
sent its last successful renewal. Safety does not rest on this: every write is conditional, so two leaders lose nothing; the
election only saves them from stepping on each other's toes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foreman.api import Lease, LeaseSpec
from foreman.cluster import Cluster, ClusterError, Conflict, NotFound
from foreman.runtime import ProcessExit, Runtime, Signal

LEASE_NAME = "foreman-operator.llmkube.dev"
LEASE_SECONDS = 15
RENEW_SECONDS = 10.0
RETRY_SECONDS = 2.0
RELEASE_SECONDS = 5.0


class LostLeadership(ProcessExit):
    """This process led and could not renew: it must stop at once and start anew as a candidate."""


class Election:
    """One candidate. `identity` must be unique among all processes that ever run."""

    def __init__(
        self,
        cluster: Cluster,
        runtime: Runtime,
        identity: str,
        namespace: str = "foreman-system",
        name: str = LEASE_NAME,
        lease_seconds: int = LEASE_SECONDS,
    ) -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.identity = identity
        self.namespace = namespace
        self.name = name
        self.lease_seconds = lease_seconds
        self.leading = False
        self._leaving = runtime.event()
        self._seen: tuple[str, float] | None = None
        self._renewed = 0.0

    async def run(self, lead: Callable[[], None]) -> None:
        """Campaign, call `lead()` once elected, then renew for ever. Raises LostLeadership."""
        while not await self._try_acquire():
            await self.runtime.sleep(RETRY_SECONDS)
            if self._leaving.is_set():
                return
        if self._leaving.is_set():
            return
        self.leading = True
        self.runtime.spawn(self._stand_down(), "leader-watchdog")
        lead()
        while True:
            await self.runtime.sleep(RETRY_SECONDS)
            if self._leaving.is_set():
                return
            await self._renew()

    async def release(self) -> None:
        """Campaign no more and let go of the lease, best effort, for at most 5 s: the next leader need not wait for it to
        run out. Whoever calls this has begun nothing new for a while, and ends right after."""
        self._leaving.set()
        done = self.runtime.event()
        self.runtime.spawn(self._let_go(done), "lease-release")
        await done.wait(timeout=RELEASE_SECONDS)

    async def _let_go(self, done: Signal) -> None:
        try:
            while not await self._let_gone():
                continue
        except ClusterError:
            pass
        self.leading = False
        done.set()

    async def _let_gone(self) -> bool:
        """Clear the lease if it is ours; False if a renewal of our own came between read and write."""
        lease = await self.cluster.get("Lease", self.name, self.namespace)
        assert isinstance(lease, Lease)
        if lease.spec.holder_identity == self.identity:
            try:
                await self.cluster.patch(lease, {"spec": {"holder_identity": ""}}, if_version=lease.version)
            except Conflict:
                return False
        return True

    async def _stand_down(self) -> None:
        """End the process when the last renewal is RENEW_SECONDS old, even while a request hangs."""
        while True:
            left = self._renewed + RENEW_SECONDS - self.runtime.now()
            if self._leaving.is_set():
                return
            if left <= 0:
                raise LostLeadership(f"{self.identity} could not renew the lease for {RENEW_SECONDS:.0f}s")
            await self.runtime.sleep(left)

    async def _try_acquire(self) -> bool:
        started = self.runtime.now()
        try:
            lease = await self.cluster.get("Lease", self.name, self.namespace)
        except NotFound:
            return await self._create(started)
        except ClusterError:
            return False
        assert isinstance(lease, Lease)
        if self._free(lease):
            return await self._take(lease, started)
        return False

    def _free(self, lease: Lease) -> bool:
        """Nobody's, ours, or not renewed for its duration while we looked."""
        if lease.spec.holder_identity in ("", self.identity):
            return True
        if self._seen is None or self._seen[0] != lease.version:
            self._seen = lease.version, self.runtime.now()
            return False
        return self.runtime.now() - self._seen[1] > (lease.spec.lease_duration_seconds or self.lease_seconds)

    async def _create(self, started: float) -> bool:
        meta = Lease().metadata.evolve(name=self.name, namespace=self.namespace)
        try:
            await self.cluster.create(Lease(metadata=meta, spec=LeaseSpec(**self._claim(0))))
        except ClusterError:
            return False
        self._renewed = started
        return True

    async def _take(self, lease: Lease, started: float) -> bool:
        changed_hands = lease.spec.holder_identity != self.identity
        claim = self._claim(lease.spec.lease_transitions + changed_hands)
        try:
            await self.cluster.patch(lease, {"spec": claim}, if_version=lease.version)
        except ClusterError:
            return False
        self._renewed = started
        return True

    def _claim(self, transitions: int) -> dict[str, Any]:
        wall = float(self.runtime.wall())
        return {
            "holder_identity": self.identity,
            "lease_duration_seconds": self.lease_seconds,
            "acquire_time": wall,
            "renew_time": wall,
            "lease_transitions": transitions,
        }

    async def _renew(self) -> None:
        started = self.runtime.now()
        try:
            lease = await self.cluster.get("Lease", self.name, self.namespace)
            assert isinstance(lease, Lease)
            if lease.spec.holder_identity != self.identity:
                if self._leaving.is_set():
                    return
                raise LostLeadership(f"{lease.spec.holder_identity} has taken the lease from {self.identity}")
            renewal = {"spec": {"renew_time": self._distinct_time(lease)}}
            await self.cluster.patch(lease, renewal, if_version=lease.version)
        except ClusterError:
            return
        self._renewed = started

    def _distinct_time(self, lease: Lease) -> float:
        """Now, but never what the lease says already: a renewal that changes nothing would be no write, and
        candidates wait for one."""
        now, last = float(self.runtime.wall()), lease.spec.renew_time
        return now if now != last else now + 0.001
