"""The network between a host and the API server: delay, loss, partition.

Few-valued delays ({1, 1, 9} ms) find races that small uniform jitter never does: what matters is that whole exchanges overtake
each other, not that every message differs a little.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from sim.draw import Distribution, Stream
from sim.schedule import Drawn, Schedule

Delay = Callable[[], int]


class Link:
    """One host's way to the API server and back. Delays in microseconds.

    `cut_out`/`cut_in` cut requests and replies (with watch events) one way each; `slow` is added to every message,
    `watch_lag` to every watch event; `loss_out`/`loss_in` are probabilities per message.
    """

    def __init__(
        self,
        name: str,
        seed: int,
        latency: Distribution,
        watch: Distribution,
        loss: float = 0.0,
        schedule: Schedule | None = None,
    ) -> None:
        """`schedule` decides how long messages take (default: the distributions, by `seed`)."""
        self.name = name
        self.seed = seed
        schedule = schedule or Drawn(seed)
        self.up: Delay = schedule.delays(name, "request", latency)
        self.down: Delay = schedule.delays(name, "reply", latency)
        self.event: Delay = schedule.delays(name, "event", watch)
        self.cut_out = False
        self.cut_in = False
        self.slow = 0
        self.watch_lag = 0
        self.loss_out = loss
        self.loss_in = loss

    @cached_property
    def _chance(self) -> Stream:
        return Stream(self.seed, f"net/{self.name}/loss")

    def loses_request(self) -> bool:
        return self.cut_out or (self.loss_out > 0 and self._chance.chance(self.loss_out))

    def loses_reply(self) -> bool:
        return self.cut_in or (self.loss_in > 0 and self._chance.chance(self.loss_in))
