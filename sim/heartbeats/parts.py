"""The parts of agents and operators that let heartbeats rest; each is the product's own but for what it says here."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from foreman.agent.registrar import Registrar
from foreman.agent.run import Run
from foreman.agent.watcher import Watcher
from foreman.api import CONDITION_READY, REASON_HEARTBEAT_FRESH, FleetNodePhase, condition
from foreman.liveness import Liveness
from foreman.node_controller import SLACK_SECONDS, NodeController
from sim.heartbeats.pulses import Heartbeats, Pulse
from sim.host import SECOND, Process


class RestingRegistrar(Registrar):
    """Sleeps through the beats that a standing pulse stands for."""

    heartbeats: ClassVar[Heartbeats]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name = self.identity.name
        cast(Process, self.runtime).on_death.append(lambda: self.heartbeats.gone(name))

    async def next_due(self, due: float) -> float:
        pulse = self.heartbeats.rest(self, due)
        return await super().next_due(due) if pulse is None else cast(float, await pulse.wake)


class _Runs(dict[str, Run]):
    """The runs in hand; what changes them changes what the next heartbeat says."""

    def __init__(self, heartbeats: Heartbeats, node: str) -> None:
        super().__init__()
        self.heartbeats = heartbeats
        self.node = node

    def __setitem__(self, key: str, run: Run) -> None:
        self.heartbeats.stir(self.node)
        super().__setitem__(key, run)

    def __delitem__(self, key: str) -> None:
        self.heartbeats.stir(self.node)
        super().__delitem__(key)


class StirringWatcher(Watcher):
    """Stirs the pulse when a run begins or ends, and shows its cache."""

    heartbeats: ClassVar[Heartbeats]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.runs = _Runs(self.heartbeats, self.node)
        self.heartbeats.caches[cast(Process, self.runtime).host.name] = self.tasks


class RestingLiveness(Liveness):
    """Takes the last beat of a pulse that stands for seen when it would have been."""

    heartbeats: ClassVar[Heartbeats]

    def silence(self, name: str) -> float:
        pulse = self.heartbeats.pulses.get(name)
        if pulse is not None:
            self._seen[name] = pulse.seen(self.heartbeats.env.now) / SECOND
        return super().silence(name)

    def fresh_until(self, name: str) -> float:
        pulse = self.heartbeats.pulses.get(name)
        if pulse is None or pulse.woken:
            return super().fresh_until(name)
        return self.heartbeats.trouble.next() / SECOND

    def on_time(self, name: str, at: int) -> bool:
        """Whether the last beat was seen just then, and every beat counts."""
        return round(self._seen.get(name, 0) * SECOND) == at and self.heard(name)


class RestingNodeController(NodeController):
    """Leaves a node whose pulse stands out of its rounds; its next look is put off until the pulse is stirred."""

    heartbeats: ClassVar[Heartbeats]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        process = cast(Process, self.runtime)
        self.heartbeats.views[process.host.name] = self
        process.on_death.append(lambda: self.heartbeats.lost(process.host.name, self))

    def settled(self, name: str, seen: int) -> bool:
        """Whether there is nothing to say of the node as long as it beats, its last beat having been seen just then."""
        node = self.nodes.get(name)
        if node is None or node.status.phase is not FleetNodePhase.READY or not self.nodes.watching:
            return False
        told = condition(node.status.conditions, CONDITION_READY)
        return (
            told is not None
            and told.reason == REASON_HEARTBEAT_FRESH
            and cast(RestingLiveness, self.liveness).on_time(name, seen)
            and self.scheduler.fleet.node(name).ready
        )

    async def reconcile(self, name: str) -> float | None:
        again = await super().reconcile(name)
        pulse = self.heartbeats.pulses.get(name)
        if again is None or pulse is None or pulse.woken:
            return again
        pulse.put_off.pop(self, None)
        pulse.put_off[self] = self.heartbeats.env.now + round(again * SECOND)
        return None

    def look_again(self, pulse: Pulse, look: int) -> None:
        """Look when the rounds that were left out would have come to the node next; `look`: the first of them."""
        now = self.heartbeats.env.now
        self.controller.queue.add_after(pulse.name, (self._round(look, pulse, now) - now) / SECOND)

    def _round(self, look: int, pulse: Pulse, now: int) -> int:
        """The first look after `now`: each is one timeout and slack after the last beat that the one before knew of."""
        patience = round((self.liveness.timeout + SLACK_SECONDS) * SECOND)
        if look <= now:
            look = pulse.seen(look) + patience
        whole = patience // pulse.interval * pulse.interval
        return look if look > now else look + ((now - look) // whole + 1) * whole


AGENT = {"registrar": RestingRegistrar, "watcher": StirringWatcher}
OPERATOR = {"liveness": RestingLiveness, "node_controller": RestingNodeController}
