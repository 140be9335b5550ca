"""SimCluster: the Cluster protocol over a simulated network.

A call is two messages. The request travels, is applied when it arrives *whether or not its sender still lives*, and the answer
travels back; either may be lost, and then the caller learns only, after a timeout, that it does not know (Unavailable).
A test or a fault may intercept a request at the server's door: hold it, drop it, or lose its reply.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal

import simpy

from foreman.cluster import ClusterError, Event, Expired, Forbidden, Listing, Selector, Unavailable
from sim.apiserver import ApiServer, Stream
from sim.host import SECOND, Process, Wake
from sim.network import Link

REQUEST_TIMEOUT = 10 * SECOND
WATCH_TIMEOUT = 300 * SECOND
WATCH_SILENCE = 30 * SECOND

Fate = Literal["hold", "drop", "lose-reply"]
Tap = Callable[["Request", bool, Any], None]


class Replica:
    """One API server process over the shared store; its watch cache trails by `lag` microseconds."""

    def __init__(self, name: str, lag: int = 0) -> None:
        self.name = name
        self.lag = lag


class Endpoint:
    """The API service as the network sees it: the store behind one or more replicas, up or down."""

    def __init__(self, env: simpy.Environment, server: ApiServer, replicas: int = 1, stale_lists: bool = False) -> None:
        """`stale_lists`: lists are answered from a replica's watch cache (resourceVersion=0) instead of the store."""
        self.env = env
        self.server = server
        self.replicas = [Replica(f"apiserver-{i}") for i in range(replicas)]
        self.stale_lists = stale_lists
        self.available = True
        self.calls: Counter[str] = Counter()
        self.refusals: Counter[tuple[str, str, str]] = Counter()
        self.intercept: Callable[[Request], Fate | None] | None = None
        self.tap: Tap | None = None
        self.watches: dict[Watch, None] = {}
        self._connections = 0
        self._commits: deque[tuple[int, int]] = deque(maxlen=server.history)
        if stale_lists:
            server.observers.append(lambda change: self._commits.append((int(env.now), change.version)))

    def connect(self) -> Replica:
        """The replica a new connection lands on: round robin, as a load balancer would."""
        self._connections += 1
        return self.replicas[self._connections % len(self.replicas)]

    def visible(self, replica: Replica) -> int:
        """The newest version the replica's watch cache has."""
        horizon = int(self.env.now) - replica.lag
        newest = self.server.version
        for at, version in reversed(self._commits):
            if at <= horizon:
                break
            newest = version - 1
        return newest

    def fail(self) -> None:
        """The API service goes down: connections break, requests are refused."""
        self.available = False
        for watch in list(self.watches):
            watch.end(Unavailable("connection reset: the API server went away"))

    def recover(self) -> None:
        self.available = True


class Request(Wake):
    """A call on its way; it outlives its sender."""

    __slots__ = ("args", "cluster", "reply", "verb")

    def __init__(self, cluster: SimCluster, verb: str, args: tuple[Any, ...]) -> None:
        self.callbacks = [self.arrive]
        self._value = None
        self.cluster = cluster
        self.verb = verb
        self.args = args
        self.reply = Wake()

    @property
    def actor(self) -> str:
        return self.cluster.actor

    def arrive(self, _: Wake) -> None:
        endpoint = self.cluster.endpoint
        fate = endpoint.intercept(self) if endpoint.intercept is not None else None
        if fate == "hold":
            return
        if fate == "drop" or self.cluster.link.loses_request():
            self.time_out()
        else:
            self.apply(lose_reply=fate == "lose-reply")

    def apply(self, lose_reply: bool = False) -> None:
        """Carry the request out now and send the answer back."""
        cluster = self.cluster
        endpoint = cluster.endpoint
        if not endpoint.available:
            outcome: tuple[bool, Any] = (False, Unavailable("connection refused"))
        else:
            endpoint.calls[self.verb] += 1
            try:
                outcome = (True, cluster.serve(self.verb, self.args))
            except ClusterError as error:
                outcome = (False, error)
                endpoint.refusals[cluster.role, self.verb, type(error).__name__] += 1
        if endpoint.tap is not None:
            endpoint.tap(self, *outcome)
        if lose_reply:
            self.time_out()
            return
        self._value = outcome
        self.callbacks = [self.deliver]
        cluster.env.schedule(self, 1, cluster.link.down() + cluster.link.slow)  # type: ignore[arg-type]

    def deliver(self, _: Wake) -> None:
        if self.cluster.link.loses_reply():
            self.time_out()
        else:
            self.reply.fire(self._value)

    def time_out(self) -> None:
        error = Unavailable(f"{self.verb} timed out")
        self.cluster.env.schedule(  # type: ignore[call-overload]
            Wake(lambda _: self.reply.fire((False, error))), 1, REQUEST_TIMEOUT
        )


class SimCluster:
    """One process's client. `actor` signs its writes ('operator-0', 'agent/gpu-3'); `role` is what it may write as."""

    def __init__(self, endpoint: Endpoint, link: Link, process: Process, actor: str, role: str) -> None:
        self.endpoint = endpoint
        self.env = endpoint.env
        self.server = endpoint.server
        self.link = link
        self.process = process
        self.actor = actor
        self.role = role
        self.forbidden: frozenset[str] = frozenset()
        process.on_death.append(self._hang_up)
        self._watches: dict[Watch, None] = {}

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Any:
        return await self._call("get", kind, name, namespace)

    async def list(
        self,
        kind: str,
        *,
        namespace: str | None = None,
        labels: Selector | None = None,
        fields: Selector | None = None,
    ) -> Listing:
        listing: Listing = await self._call("list", kind, namespace, labels, fields)
        return listing

    async def create(self, obj: Any) -> Any:
        return await self._call("create", obj)

    async def patch(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        return await self._call("patch", obj, changes, if_version)

    async def patch_status(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Any:
        return await self._call("patch_status", obj, changes, if_version)

    async def delete(self, obj: Any, *, if_version: str | None = None, if_uid: str | None = None) -> None:
        await self._call("delete", obj, if_version, if_uid)

    def watch(
        self,
        kind: str,
        *,
        since: str,
        namespace: str | None = None,
        labels: Selector | None = None,
        fields: Selector | None = None,
    ) -> AsyncIterator[Event]:
        return Watch(self, since, kind, namespace, labels, fields)

    async def _call(self, verb: str, *args: Any) -> Any:
        request = Request(self, verb, args)
        link = self.link
        self.env.schedule(request, 1, link.up() + link.slow)  # type: ignore[arg-type]
        ok, value = await request.reply
        if ok:
            return value
        raise value

    def serve(self, verb: str, args: tuple[Any, ...]) -> Any:
        """Run the request against the store, as the replica it reached would."""
        if verb in self.forbidden:
            raise Forbidden(f"{self.actor} cannot {verb}")
        if verb == "watch" and not self.process.alive:
            raise Unavailable("the client hung up")
        result = getattr(self.server, verb)(self.actor, *args)
        if verb == "list" and self.endpoint.stale_lists:
            replica = self.endpoint.connect()
            stream = Stream(args[0], _discard, *args[1:])
            return self.server.listing_at(self.endpoint.visible(replica), result, stream)
        return result

    def opened(self, watch: Watch) -> None:
        self._watches[watch] = None
        self.endpoint.watches[watch] = None

    def closed(self, watch: Watch) -> None:
        self._watches.pop(watch, None)
        self.endpoint.watches.pop(watch, None)

    def _hang_up(self) -> None:
        for watch in list(self._watches):
            watch.end(None)


class Watch:
    """The client's end of a watch: an ordered, delayed stream of events that may break."""

    def __init__(
        self,
        cluster: SimCluster,
        since: str,
        kind: str,
        namespace: str | None,
        labels: Selector | None,
        fields: Selector | None,
    ) -> None:
        self.cluster = cluster
        self.since = since
        self.stream = Stream(kind, self.send, namespace, labels, fields)
        self.replica: Replica | None = None
        self._buffer: deque[Event] = deque()
        self._reader: Wake | None = None
        self._last = 0
        self._ended = False
        self._error: ClusterError | None = None
        self._doomed = False

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Event:
        if self.replica is None:
            await self._open()
        while not self._buffer:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._reader = Wake()
            await self._reader
        return self._buffer.popleft()

    async def _open(self) -> None:
        self.replica = self.cluster.endpoint.connect()
        self.cluster.opened(self)
        try:
            await self.cluster._call("watch", self.stream, self.since)
        except ClusterError as error:
            self.end(error)
            raise
        self.cluster.env.schedule(Wake(self._time_out), 1, WATCH_TIMEOUT)  # type: ignore[arg-type]

    def send(self, event: Event) -> None:
        """The server's side: put the event on the wire."""
        cluster = self.cluster
        link = cluster.link
        now = int(cluster.env.now)
        at = now + link.event() + link.slow + link.watch_lag
        if self.replica is not None:
            at += self.replica.lag
        if at < self._last:
            at = self._last
        self._last = at
        wake = Wake(self._deliver)
        wake._value = event
        cluster.env.schedule(wake, 1, at - now)  # type: ignore[arg-type]

    def _deliver(self, wake: Wake) -> None:
        if self._ended or self._doomed:
            return
        if self.cluster.link.cut_in:
            self._doomed = True
            silence = Wake(lambda _: self.end(Unavailable("watch: the connection fell silent")))
            self.cluster.env.schedule(silence, 1, WATCH_SILENCE)  # type: ignore[arg-type]
            return
        self._buffer.append(wake._value)
        self._ring()

    def _time_out(self, _: Wake) -> None:
        if not self._ended and not self._doomed:
            self.send(Event("BOOKMARK", None, str(self.cluster.server.version)))
            closing = Wake(lambda _: self.end(None))
            delay = self._last - int(self.cluster.env.now)
            self.cluster.env.schedule(closing, 1, delay)  # type: ignore[arg-type]

    def end(self, error: ClusterError | None) -> None:
        """The stream is over; with `error` it broke."""
        if not self._ended:
            self._ended = True
            self._error = error
            self.cluster.server.close(self.stream)
            self.cluster.closed(self)
            self._ring()

    def _ring(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.fire(None)


def _discard(event: Event) -> None:
    """Where a list's selection sends its events: nowhere."""


__all__ = ["Endpoint", "Expired", "Replica", "Request", "SimCluster", "Watch"]
