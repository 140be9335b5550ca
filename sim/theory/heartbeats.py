"""Leases by heartbeat: how long a crash goes unnoticed, and how often a node that lives is taken for dead.

A node beats each h = 30 s and is given up when T = 90 s have passed without a change, looked at a second later. A crash falls
at any moment between two beats, so it is noticed T + 1 s - h/2 later on average. Where each beat is lost with chance p, a beat
that landed is the last before an expiry with chance p ** (T/h): so many must be lost in a row. (The first beat after the
operator has called a node Ready again meets a Conflict and takes two requests: that is the slack.)
"""

from __future__ import annotations

from typing import Any

from foreman.api import HEARTBEAT_TIMEOUT_SECONDS, FleetNodePhase
from foreman.node_controller import SLACK_SECONDS
from sim.draw import Stream
from sim.host import SECOND
from sim.load import check
from sim.mutations import Product
from sim.selection import Change
from sim.theory.row import Expected, Family, Values
from sim.world import World

BEAT = 30
LOSS = 0.3
CRASHES = 40
CRASH_WINDOW = 3600
LOSSY_NODES = 20
LOSSY_HOURS = 8
BASE: dict[str, Any] = {
    "workload": {"count": 0},
    "operators": {"audit": False},
    "network": {"latency": "0s", "watch": "0s"},
    "agent": {"heartbeat": f"{BEAT}s"},
}


class Witness:
    """When nodes were given up (name -> virtual seconds), and how many heartbeats landed from `since` seconds on."""

    def __init__(self, world: World, since: int = 0) -> None:
        self.world = world
        self.since = since
        self.given_up: list[tuple[str, float]] = []
        self.landed = 0
        world.server.observers.append(self.committed)

    def committed(self, change: Change) -> None:
        _, _, _, kind, key, old, new, _ = change
        if kind != "FleetNode" or old is None or new is None or self.world.now() < self.since * SECOND:
            return
        before, after = old.status, new.status
        self.landed += before.last_heartbeat_time != after.last_heartbeat_time
        if after.phase is FleetNodePhase.NOT_READY and before.phase is not after.phase:
            self.given_up.append((key, self.world.now() / SECOND))


def detection(seed: int, product: Product | None) -> Values:
    """Each node crashes once, at a moment of its own."""
    luck = Stream(seed, "theory/crashes")
    at = {f"node-{number:02}": 120 * SECOND + luck.below(CRASH_WINDOW * SECOND) for number in range(CRASHES)}
    faults = [{"at": f"{us}us", "fault": "crash", "host": host, "for": "3m"} for host, us in at.items()]
    scenario = {**BASE, "fleet": {"node": {"count": CRASHES}}, "faults": faults, "until": "3h"}
    world = World(check(scenario, "theory"), seed, product=product, check=False, digest=False)
    witness = Witness(world)
    world.run()
    late = [seconds - at[name] / SECOND for name, seconds in witness.given_up]
    return {"crash to NotReady": sum(late) / len(late)}


def false_expiry(seed: int, product: Product | None) -> Values:
    """Nobody dies, but heartbeats are lost."""
    start, hours = 300, LOSSY_HOURS
    lost = {"verb": "patch_status", "kind": "FleetNode", "actor": "node-*"}
    fault = {"fault": "lose-request", "at": f"{start}s", "for": f"{hours}h", "on": lost, "probability": LOSS}
    scenario = {**BASE, "fleet": {"node": {"count": LOSSY_NODES}}, "faults": [fault], "until": f"{hours}h"}
    world = World(check(scenario, "theory"), seed, product=product, check=False, digest=False)
    witness = Witness(world, start)
    world.run()
    return {"expiries per heartbeat": len(witness.given_up) / witness.landed}


DETECTION = HEARTBEAT_TIMEOUT_SECONDS + SLACK_SECONDS - BEAT / 2
EXPIRY = LOSS ** (HEARTBEAT_TIMEOUT_SECONDS // BEAT)
FAMILIES = [
    Family(
        "heartbeat detection",
        "T + 1 s - h/2",
        f"{CRASHES} nodes crash",
        "s",
        {"crash to NotReady": Expected(DETECTION, precision=0.05)},
        detection,
    ),
    Family(
        "false expiry, 30 % lost",
        "p^(T/h)",
        f"{LOSSY_NODES} nodes, {LOSSY_HOURS} h",
        "",
        {"expiries per heartbeat": Expected(EXPIRY, slack=0.025, precision=0.2)},
        false_expiry,
    ),
]
