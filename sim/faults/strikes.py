"""What faults do to hosts, links, replicas and objects, and how each is mended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from foreman.cluster import ClusterError
from sim.apiserver import ApiServer
from sim.cascade import FOREGROUND
from sim.clock import Clock
from sim.cluster import Endpoint, Replica
from sim.fault import FAULTS, ON_MESSAGES, Fault
from sim.host import Host
from sim.network import Link

Mend = Callable[[], None]


class Strikes:
    """One function a fault; each returns what mends it."""

    def __init__(self, env: Clock, hosts: dict[str, Host], links: dict[str, Link], endpoint: Endpoint) -> None:
        self.env = env
        self.hosts = hosts
        self.links = links
        self.endpoint = endpoint
        self.server: ApiServer = endpoint.server
        self._standing: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._losses = {name: [link.loss_out] for name, link in links.items()}

    def strike(self, target: str, fault: Fault) -> Mend:
        return _STRIKES[fault.fault](self, target, fault)

    def felt(self, target: str, fault: Fault) -> bool:
        """Whether it makes any difference now: a machine that is down cannot go down."""
        return fault.fault not in ("crash", "freeze", "drain") or self.hosts[target].up

    def targets(self, fault: Fault, pattern: str) -> Iterator[str]:
        """What there is now that `pattern` means: hosts, or what else the fault strikes."""
        names: list[str]
        if fault.fault in ("api-outage", "compact"):
            names, pattern = ["api"], "*"
        elif fault.fault == "delete-task":
            names = [key.split("/", 1)[1] for key in self.server.tables["AgenticTask"]]
        elif fault.fault == "delete-node":
            names = list(self.server.tables["FleetNode"])
        elif fault.fault == "delete-workload":
            names = [key.split("/", 1)[1] for key in self.server.tables["Workload"]]
        elif fault.fault == "replica-lag":
            names = [replica.name for replica in self.endpoint.replicas]
        else:
            names = list(self.hosts)
        yield from sorted(name for name in names if fnmatchcase(name, pattern))

    def crash(self, name: str, fault: Fault) -> Mend:
        return self._stand(name, "down", self.hosts[name].crash, self.hosts[name].boot)

    def freeze(self, name: str, fault: Fault) -> Mend:
        return self._stand(name, "frozen", self.hosts[name].freeze, self.hosts[name].thaw)

    def drain(self, name: str, fault: Fault) -> Mend:
        return self._stand(name, "down", self.hosts[name].terminate, self.hosts[name].boot)

    def partition(self, name: str, fault: Fault) -> Mend:
        link = self.links[name]
        ways = [f"cut_{way}" for way in ("out", "in") if fault.direction in ("both", way)]
        mends = [
            self._stand(name, way, partial(setattr, link, way, True), partial(setattr, link, way, False))
            for way in ways
        ]

        def mend() -> None:
            for each in mends:
                each()

        return mend

    def flap(self, name: str, fault: Fault) -> Mend:
        """Off the network and on again, changing each `by`."""
        mends: list[Mend] = []
        over = False

        def turn(_: None) -> None:
            if over:
                return
            if mends:
                mends.pop()()
            else:
                mends.append(self.partition(name, fault))
            self.env.at(fault.by, turn)

        def mend() -> None:
            nonlocal over
            over = True
            while mends:
                mends.pop()()

        turn(None)
        return mend

    def capability(self, name: str, fault: Fault) -> Mend:
        """Its next heartbeat says so; the latest of several changes counts, field by field."""
        changed = self.hosts[name].changed
        assert fault.to is not None
        told: dict[str, Any] = {"total_ram_gb": fault.to.ram_gb, "available_ram_gb": fault.to.ram_gb}
        told |= {"accelerator": fault.to.accelerator, "installed_models": fault.to.models}
        told |= {"max_context_tokens": fault.to.context_tokens}
        change = {field: value for field, value in told.items() if value is not None}
        changed.append(change)
        return lambda: changed.remove(change)

    def slow(self, name: str, fault: Fault) -> Mend:
        return self._add(self.links[name], "slow", fault.by)

    def watch_lag(self, name: str, fault: Fault) -> Mend:
        return self._add(self.links[name], "watch_lag", fault.by)

    def skew(self, name: str, fault: Fault) -> Mend:
        return self._add(self.hosts[name], "skew", fault.by)

    def replica_lag(self, name: str, fault: Fault) -> Mend:
        replica: Replica = next(each for each in self.endpoint.replicas if each.name == name)
        return self._add(replica, "lag", fault.by)

    def loss(self, name: str, fault: Fault) -> Mend:
        link, rates = self.links[name], self._losses[name]
        rates.append(fault.share)
        link.loss_out = link.loss_in = max(rates)

        def mend() -> None:
            rates.remove(fault.share)
            link.loss_out = link.loss_in = max(rates)

        return mend

    def api_outage(self, name: str, fault: Fault) -> Mend:
        return self._stand(name, "out", self.endpoint.fail, self.endpoint.recover)

    def compact(self, name: str, fault: Fault) -> Mend:
        self.server.compact()
        return lambda: None

    def delete_task(self, name: str, fault: Fault) -> Mend:
        for key, task in list(self.server.tables["AgenticTask"].items()):
            if key.endswith(f"/{name}"):
                self._delete(task)
        return lambda: None

    def delete_node(self, name: str, fault: Fault) -> Mend:
        self._delete(self.server.tables["FleetNode"].get(name))
        return lambda: None

    def delete_workload(self, name: str, fault: Fault) -> Mend:
        """In the foreground: it stays, marked, until the garbage collector has deleted its children."""
        for key, workload in list(self.server.tables["Workload"].items()):
            if key.endswith(f"/{name}") and workload.metadata.deletion_timestamp is None:
                kept = {"metadata": {"finalizers": (*workload.metadata.finalizers, FOREGROUND)}}
                self._delete(self.server.patch("user", workload, kept, None))
        return lambda: None

    def _delete(self, obj: Any) -> None:
        try:
            self.server.delete("user", obj)
        except ClusterError:
            return

    def _stand(self, name: str, state: str, begin: Callable[[], None], end: Callable[[], None]) -> Mend:
        """`begin` a state that several faults may ask for at once; it ends when the last of them is mended."""
        standing = self._standing
        standing[name, state] += 1
        begin()

        def mend() -> None:
            standing[name, state] -= 1
            if not standing[name, state]:
                end()

        return mend

    @staticmethod
    def _add(thing: Any, field: str, by: int) -> Mend:
        setattr(thing, field, getattr(thing, field) + by)
        return lambda: setattr(thing, field, getattr(thing, field) - by)


_STRIKES: dict[str, Callable[[Strikes, str, Fault], Mend]] = {
    name: getattr(Strikes, name.replace("-", "_")) for name in FAULTS if name not in ON_MESSAGES
}
