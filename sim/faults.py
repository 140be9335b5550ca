"""Fault plans: what goes wrong when, and when it is mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from foreman.cluster import ClusterError
from sim.apiserver import ApiServer
from sim.clock import Clock
from sim.cluster import Endpoint, Replica
from sim.host import Host
from sim.network import Link
from sim.scenario import FAULTS, Fault, Scenario

Mend = Callable[[], None]


class Faults:
    """Strikes hosts, links and the API service as the scenario plans."""

    def __init__(
        self,
        env: Clock,
        scenario: Scenario,
        hosts: dict[str, Host],
        links: dict[str, Link],
        endpoint: Endpoint,
        note: Callable[[str, str], None],
    ) -> None:
        """`note(host, what)` is told of each fault and each mending."""
        self.env = env
        self.hosts = hosts
        self.links = links
        self.endpoint = endpoint
        self.server: ApiServer = endpoint.server
        self.note = note
        self.struck = 0
        self.pending = 0
        self.ended_at = 0
        self.on_calm: Callable[[], None] = lambda: None
        self._standing: Counter[tuple[str, str]] = Counter()
        self._losses = {name: [link.loss_out] for name, link in links.items()}
        for fault in scenario.faults:
            for number in range(fault.times):
                self._plan(fault, fault.at + number * fault.every)

    def _plan(self, fault: Fault, at: int) -> None:
        self.pending += 1
        self.env.at(at, self._strike, fault)

    def _strike(self, fault: Fault) -> None:
        mends = []
        for target in self._targets(fault):
            self.struck += 1
            self.note(target, fault.fault)
            mends.append(_STRIKES[fault.fault](self, target, fault))
        if fault.for_:
            self.env.at(fault.for_, lambda _: self._mend(fault, mends))
        else:
            self._over()

    def _mend(self, fault: Fault, mends: list[Mend]) -> None:
        for mend in mends:
            mend()
        self.note(fault.host or "api", f"{fault.fault} over")
        self._over()

    def _over(self) -> None:
        self.pending -= 1
        self.ended_at = self.env.now
        if self.pending == 0:
            self.on_calm()

    def _targets(self, fault: Fault) -> Iterator[str]:
        names: list[str]
        if fault.fault in ("api-outage", "compact"):
            names = ["api"]
        elif fault.fault == "delete-task":
            names = [key.split("/", 1)[1] for key in self.server.tables["AgenticTask"]]
        elif fault.fault == "delete-node":
            names = list(self.server.tables["FleetNode"])
        elif fault.fault == "replica-lag":
            names = [replica.name for replica in self.endpoint.replicas]
        else:
            names = list(self.hosts)
        pattern = fault.host or "*"
        yield from sorted(name for name in names if fnmatchcase(name, pattern))

    # one function a fault; each returns what mends it

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
        rates.append(fault.rate)
        link.loss_out = link.loss_in = max(rates)

        def mend() -> None:
            rates.remove(fault.rate)
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


_STRIKES: dict[str, Callable[[Faults, str, Fault], Mend]] = {
    name: getattr(Faults, name.replace("-", "_")) for name in FAULTS
}
