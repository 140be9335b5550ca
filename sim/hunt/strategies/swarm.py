"""swarm: each run draws which sorts of faults there are at all, then a few of each; few sorts at a time find what many hide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sim.fault import Fault
from sim.host import SECOND
from sim.hunt.strategies.strategy import Ground, Strategy, seed_of
from sim.hunt.trial import Probe
from sim.names import all_node_names, host_names
from sim.stream import Stream

MOST = 3
"""Faults of a sort."""
SPANS = (2, 20, 95, 150)
"""Seconds a fault may last: below and above what the product takes for silence."""
WRITES = 12
"""A fault that waits for the n-th write of an actor draws n up to this."""

Draft = dict[str, Any]


class Swarm(Strategy):
    name = "swarm"

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.nodes = all_node_names(ground.scenario)
        self.hosts = [name for name in host_names(ground.scenario) if name != "user"]

    def probe(self) -> Probe:
        stream = self.seeded()
        sorts = [name for name in SORTS if stream.chance(0.25)] or [stream.pick(tuple(SORTS))]
        drafts = [SORTS[sort](self, stream) | {"fault": sort} for sort in sorts for _ in range(1 + stream.below(MOST))]
        faults = tuple(Fault.model_validate(draft) for draft in drafts)
        return Probe(self.name, self.number, seed_of(stream), faults)

    def time(self, stream: Stream) -> str:
        return f"{stream.below(max(self.ground.span, SECOND))}us"

    def lasting(self, stream: Stream) -> Draft:
        """A fault of a host: at a time, or at one of its writes."""
        host = stream.pick(self.hosts)
        draft: Draft = {"host": host, "for": f"{stream.pick(SPANS)}s"}
        if stream.chance(0.5):
            return draft | {"at": self.time(stream)}
        return draft | {"on": {"actor": host, "nth": 1 + stream.below(WRITES)}}

    def message(self, stream: Stream) -> Draft:
        """A fault on some messages of a host about tasks or nodes."""
        on = {"kind": stream.pick(("AgenticTask", "AgenticTask", "FleetNode")), "nth": 1 + stream.below(WRITES)}
        return {"host": stream.pick(self.hosts), "on": on, "times": 1 + stream.below(2)}

    def write(self, stream: Stream) -> Draft:
        draft = self.message(stream)
        return draft | {"on": draft["on"] | {"verb": stream.pick(("patch_status", "patch_status", "patch"))}}


def _delayed(draft: Draft, stream: Stream) -> Draft:
    return draft | {"by": f"{stream.pick((1, 12, 95))}s"}


def _skew(swarm: Swarm, stream: Stream) -> Draft:
    by = stream.pick(("-3m", "-70s", "70s", "3m"))
    return {"host": stream.pick(swarm.hosts), "at": "0s", "by": by}


def _outage(swarm: Swarm, stream: Stream) -> Draft:
    return {"at": swarm.time(stream), "for": f"{stream.pick(SPANS)}s"}


SORTS: Mapping[str, Callable[[Swarm, Stream], Draft]] = {
    "crash": Swarm.lasting,
    "freeze": Swarm.lasting,
    "partition": lambda swarm, stream: swarm.lasting(stream) | {"direction": stream.pick(("both", "out", "in"))},
    "api-outage": _outage,
    "skew": _skew,
    "lose-request": Swarm.write,
    "lose-reply": Swarm.write,
    "delay-request": lambda swarm, stream: _delayed(swarm.write(stream), stream),
    "error-after-commit": Swarm.write,
    "drop-event": Swarm.message,
    "duplicate-event": Swarm.message,
    "delay-event": lambda swarm, stream: _delayed(swarm.message(stream), stream),
}
