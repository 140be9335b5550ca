"""Quiet watches: an agent's watch that the server would close and the agent open anew, over and over, with nothing in between.

What that takes is reckoned when an event is to be sent: whether the stream stands just then, or the agent is about to open the
next one, after a list if one is due. An event of such a moment reaches it as the list or the new stream would have brought it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from foreman.cluster import ClusterError, Event
from sim.cluster import WATCH_TIMEOUT, Watch
from sim.host import SECOND

if TYPE_CHECKING:
    from sim.heartbeats.pulses import Heartbeats


class Gap:
    """Between two streams, in microseconds: the server closed the old one at `closed`, its end arrived at `ended`, a list was
    answered by the server at `listed` (0: none was due), the new one is served at `served` and stands at `opened`."""

    __slots__ = ("closed", "ended", "listed", "opened", "served")

    def __init__(self, opened: int, relist_at: float, latency: int, delay: int) -> None:
        """After the stream that stood from `opened` on; `relist_at` is in seconds, as the cache has it."""
        self.closed = opened + WATCH_TIMEOUT
        self.ended = self.closed + delay
        self.listed = self.ended + latency if self.ended / SECOND >= relist_at else 0
        self.served = self.ended + (3 if self.listed else 1) * latency
        self.opened = self.served + latency


class QuietWatch(Watch):
    """An agent's watch that is renewed only in the books, unless there is trouble."""

    heartbeats: ClassVar[Heartbeats]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.opened: int | None = None  # since when the present stream stands; None: it is not quiet
        self._listed: dict[str, Event] = {}

    def _time_out(self, _: None) -> None:
        host = self.cluster.process.host.name
        cache = self.heartbeats.caches.get(host) if self.stream.node else None
        if cache is None or self._ended or self._doomed or self.heartbeats.trouble.at(host):
            super()._time_out(_)
            return
        self.cache = cache
        self.opened = self.env.now - WATCH_TIMEOUT
        self.heartbeats.quiet[host] = self

    def send(self, event: Event) -> None:
        if self.opened is None:
            super().send(event)
            return
        gap, now, delay = self.renew(), self.env.now, self.heartbeats.watch
        if gap.listed and gap.closed <= now <= gap.listed:
            self._list_later(event, gap.listed + self.heartbeats.latency)
            return
        sent, stands = (now, self.opened) if now < gap.closed else (gap.served, gap.opened)
        self._last = max(sent + delay, self._last)
        self.env.at(max(self._last, stands) - now, self._deliver, event)

    def _list_later(self, event: Event, answered: int) -> None:
        """A list shows only what is in the end."""
        if not self._listed:
            self.env.at(answered - self.env.now, self._list)
        assert event.object is not None
        self._listed[event.object.key] = event

    def _list(self, _: None) -> None:
        listed, self._listed = self._listed, {}
        for key in sorted(listed):
            self._deliver(listed[key])

    def renew(self) -> Gap:
        """Book all renewals up to now; gives the next one."""
        assert self.opened is not None
        heartbeats, cache, now = self.heartbeats, self.cache, self.env.now
        gap = Gap(self.opened, cache.relist_at, heartbeats.latency, heartbeats.watch)
        while gap.served <= now:
            heartbeats.opened_anew += 1
            if gap.listed:
                heartbeats.listed_anew += 1
                cache.relists += 1
                cache.relist_at = (gap.listed + heartbeats.latency) / SECOND + cache.resync
            self.opened = gap.opened
            gap = Gap(self.opened, cache.relist_at, heartbeats.latency, heartbeats.watch)
        return gap

    def book(self) -> None:
        """Also what of the next renewal has been done by now."""
        if self.opened is not None:
            gap, now = self.renew(), self.env.now
            self.heartbeats.listed_anew += 0 < gap.listed <= now
            self.cache.relists += 0 < gap.listed <= now - self.heartbeats.latency

    def expect(self, _: None = None) -> None:
        """From now on every renewal is real."""
        if self.opened is None:
            return
        gap = self.renew()
        if gap.closed <= self.env.now:
            # It is opened anew just now: that is still one for the books.
            self.env.at(gap.opened - self.env.now, self.expect)
            return
        self.opened = None
        self.env.at(gap.closed - self.env.now, self._time_out)

    def end(self, error: ClusterError | None) -> None:
        self.opened = None
        super().end(error)
