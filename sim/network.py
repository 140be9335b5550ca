"""The network between a host and the API server: delay, loss, partition.

Few-valued delays ({1, 1, 9} ms) find races that small uniform jitter never does: what matters is that whole exchanges overtake
each other, not that every message differs a little.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.draw import Distribution, Stream

Delay = Callable[[], int]


class Link:
    """One host's way to the API server and back. Delays in microseconds.

    `cut_out`/`cut_in` cut requests and replies (with watch events) one way each; `slow` is added to every message,
    `watch_lag` to every watch event; `loss_out`/`loss_in` are probabilities per message.
    """

    __slots__ = (
        "_chance",
        "cut_in",
        "cut_out",
        "down",
        "event",
        "loss_in",
        "loss_out",
        "name",
        "slow",
        "up",
        "watch_lag",
    )

    def __init__(self, name: str, seed: int, latency: Distribution, watch: Distribution, loss: float = 0.0) -> None:
        self.name = name
        self.up: Delay = latency.ahead(Stream(seed, f"net/{name}/up"))
        self.down: Delay = latency.ahead(Stream(seed, f"net/{name}/down"))
        self.event: Delay = watch.ahead(Stream(seed, f"net/{name}/watch"))
        self._chance = Stream(seed, f"net/{name}/loss")
        self.cut_out = False
        self.cut_in = False
        self.slow = 0
        self.watch_lag = 0
        self.loss_out = loss
        self.loss_in = loss

    def loses_request(self) -> bool:
        return self.cut_out or (self.loss_out > 0 and self._chance.chance(self.loss_out))

    def loses_reply(self) -> bool:
        return self.cut_in or (self.loss_in > 0 and self._chance.chance(self.loss_in))
