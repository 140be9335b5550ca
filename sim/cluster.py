"""SimCluster: the Cluster protocol over a simulated network.

A call is two messages. The request travels, is applied when it arrives *whether or not its sender still lives*, and the answer
travels back; either may be lost, and then the caller learns only, after a timeout, that it does not know (Unavailable).
A test or a fault may intercept a request at the server's door: hold it, drop it, or lose its reply.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from functools import partial
from types import coroutine
from typing import Any, Literal

from foreman.cluster import ClusterError, Event, Forbidden, Selector, Unavailable
from sim.apiserver import ApiServer
from sim.clock import Clock
from sim.host import SECOND, Process, Task
from sim.network import Link
from sim.selection import Stream

REQUEST_TIMEOUT = 10 * SECOND
DIRECT = ("get", "create", "patch", "patch_status", "delete")
WATCH_TIMEOUT = 300 * SECOND
WATCH_SILENCE = 30 * SECOND

Answer = tuple[bool, Any]
"""(True, result) or (False, ClusterError)."""
Rewrite = Callable[[Answer], Answer]
Fate = Literal["hold", "drop", "lose-reply"] | Rewrite
"""What an intercepted request meets; a Rewrite is applied, and its answer changed on the way out."""
Tap = Callable[["Request", bool, Any], None]
Meddle = Callable[["Watch", Event], None]


class Replica:
    """One API server process over the shared store; its watch cache trails by `lag` microseconds."""

    def __init__(self, name: str, lag: int = 0) -> None:
        self.name = name
        self.lag = lag


_NOT_YET = Replica("none")


class Endpoint:
    """The API service as the network sees it: the store behind one or more replicas, up or down."""

    def __init__(self, env: Clock, server: ApiServer, replicas: int = 1, stale_lists: bool = False) -> None:
        """`stale_lists`: lists are answered from a replica's watch cache (resourceVersion=0) instead of the store."""
        self.env = env
        self.server = server
        self.replicas = [Replica(f"apiserver-{i}") for i in range(replicas)]
        self.stale_lists = stale_lists
        self.available = True
        self.sent = 0  # when what is being served now was sent
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.refusals: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self.intercept: Callable[[Request], Fate | None] | None = None
        self.meddle: Meddle | None = None  # is given each event of a watch opened from now on, to `send` it or not
        self.tap: Tap | None = None
        self.watch: type[Watch] = Watch
        self.watches: dict[Watch, None] = {}
        verbs = DIRECT if stale_lists else (*DIRECT, "list")  # answered by the store, whatever the replica
        self.direct: dict[str, Callable[..., Any]] = {verb: getattr(server, verb) for verb in verbs}
        self._connections = 0
        self._commits: deque[tuple[int, int]] = deque(maxlen=server.history)
        if stale_lists:
            server.observers.append(lambda change: self._commits.append((env.now, change.version)))

    def connect(self) -> Replica:
        """The replica a new connection lands on: round robin, as a load balancer would."""
        self._connections += 1
        return self.replicas[self._connections % len(self.replicas)]

    def visible(self, replica: Replica) -> int:
        """The newest version the replica's watch cache has."""
        horizon = self.env.now - replica.lag
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


class Request:
    """A call on its way: awaiting it sends it and gives the answer. It outlives its sender."""

    __slots__ = ("args", "cluster", "sent", "verb", "waiter")

    def __init__(self, cluster: SimCluster, verb: str, args: tuple[Any, ...]) -> None:
        self.cluster = cluster
        self.verb = verb
        self.args = args
        self.waiter: Task | None = None

    def __await__(self) -> Generator[Request, Answer, Any]:
        cluster = self.cluster
        self.sent = cluster.env.now
        cluster.env.at(cluster.link.up() + cluster.link.slow, self.arrive)
        ok, value = yield self
        if ok:
            return value
        try:
            raise value
        finally:
            # Else the error holds this frame, which holds the error: garbage that only a collector could find.
            del value

    @property
    def actor(self) -> str:
        return self.cluster.actor

    def arrive(self, _: None) -> None:
        cluster = self.cluster
        intercept, link = cluster.endpoint.intercept, cluster.link
        fate = None
        if intercept is not None and (fate := intercept(self)) == "hold":
            return
        if (link.cut_out or link.loss_out or fate == "drop") and (fate == "drop" or link.loses_request()):
            self.time_out()
        else:
            self.apply(fate)

    def apply(self, fate: Fate | None = None) -> None:
        """Carry the request out now and send the answer back, unless `fate` has it otherwise."""
        cluster, verb = self.cluster, self.verb
        endpoint = cluster.endpoint
        if not endpoint.available:
            answer: Answer = (False, Unavailable("connection refused"))
        else:
            endpoint.calls[verb] += 1
            endpoint.sent = self.sent
            serve = None if cluster.forbidden else endpoint.direct.get(verb)
            try:
                answer = (True, serve(cluster.actor, *self.args) if serve else cluster.serve(verb, self.args))
            except ClusterError as error:
                # What crosses the wire is the error, not the server's stack.
                answer = (False, error.with_traceback(None))
                endpoint.refusals[cluster.role, verb, type(error).__name__] += 1
        if fate is not None and callable(fate):
            answer = fate(answer)
        if endpoint.tap is not None:
            endpoint.tap(self, *answer)
        if fate is None or fate != "lose-reply":
            link = cluster.link
            cluster.env.at(link.down() + link.slow, self.deliver, answer)
        else:
            self.time_out()

    def deliver(self, answer: Answer) -> None:
        link = self.cluster.link
        if (link.cut_in or link.loss_in) and link.loses_reply():
            self.time_out()
            return
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.resume(answer)

    def time_out(self) -> None:
        self.cluster.env.at(REQUEST_TIMEOUT, self._give_up, (False, Unavailable(f"{self.verb} timed out")))

    def _give_up(self, answer: Answer) -> None:
        """What the sender's own clock says: no network can lose it."""
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.resume(answer)


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

    def get(self, kind: str, name: str, namespace: str | None = None) -> Request:
        return Request(self, "get", (kind, name, namespace))

    def list(
        self,
        kind: str,
        *,
        namespace: str | None = None,
        labels: Selector | None = None,
        fields: Selector | None = None,
    ) -> Request:
        return Request(self, "list", (kind, namespace, labels, fields))

    def create(self, obj: Any) -> Request:
        return Request(self, "create", (obj,))

    def patch(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Request:
        return Request(self, "patch", (obj, changes, if_version))

    def patch_status(self, obj: Any, changes: Mapping[str, Any], *, if_version: str | None) -> Request:
        return Request(self, "patch_status", (obj, changes, if_version))

    def delete(self, obj: Any, *, if_version: str | None = None, if_uid: str | None = None) -> Request:
        return Request(self, "delete", (obj, if_version, if_uid))

    def watch(
        self,
        kind: str,
        *,
        since: str,
        namespace: str | None = None,
        labels: Selector | None = None,
        fields: Selector | None = None,
    ) -> AsyncIterator[Event]:
        return self.endpoint.watch(self, since, kind, namespace, labels, fields)

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
    """The client's end of a watch: an ordered, delayed stream of events that may break.

    It is its own awaitable: `__anext__` makes no object per event.
    """

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
        self.link = cluster.link
        self.env = cluster.env
        self.since = since
        sink = partial(meddle, self) if (meddle := cluster.endpoint.meddle) else self.send
        self.stream = Stream(kind, sink, namespace, labels, fields)
        self.replica = _NOT_YET
        self._buffer: deque[Event] = deque()
        self._apply: Callable[[Event], None] | None = None
        self.waiter: Task | None = None
        self._last = 0
        self._ended = False
        self._error: Exception | None = None
        self._doomed = False

    def __aiter__(self) -> Watch:
        return self

    def __anext__(self) -> Watch:
        return self

    def __await__(self) -> Generator[Any, Event | None, Event]:
        if self.replica is _NOT_YET:
            yield from self._open()
        if self._buffer:
            return self._buffer.popleft()
        event = None
        while event is None:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            event = yield self
        return event

    @coroutine
    def each(self, apply: Callable[[Event], None]) -> Generator[Any, Any, None]:
        """Call `apply` with every event, as its arrival would have it, until the stream ends or breaks."""
        if self.replica is _NOT_YET:
            yield from self._open()
        while self._buffer:
            apply(self._buffer.popleft())
        self._apply = apply
        if not self._ended:
            yield self
        if self._error is not None:
            raise self._error

    def _open(self) -> Generator[Any, Any, None]:
        self.replica = self.cluster.endpoint.connect()
        self.cluster.opened(self)
        try:
            yield from Request(self.cluster, "watch", (self.stream, self.since)).__await__()
        except ClusterError as error:
            self.end(error)
            raise
        self.cluster.env.at(WATCH_TIMEOUT, self._time_out)

    def send(self, event: Event) -> None:
        """The server's side: put the event on the wire."""
        link, env = self.link, self.env
        now = env.now
        at = now + link.event() + link.slow + link.watch_lag + self.replica.lag
        if at < self._last:
            at = self._last
        self._last = at
        env.at(at - now, self._deliver, event)

    def stall(self, us: int) -> None:
        """What is sent from now on arrives in `us` microseconds at the earliest."""
        self._last = max(self._last, self.env.now + us)

    def _deliver(self, event: Event) -> None:
        if self._ended or self._doomed:
            return
        if self.link.cut_in:
            self._doomed = True
            self.cluster.env.at(WATCH_SILENCE, self.end, Unavailable("watch: the connection fell silent"))
            return
        waiter = self.waiter
        if waiter is None:
            self._buffer.append(event)
            return
        # Who waits has found the buffer empty: the event goes straight into his hands.
        self.waiter = None
        if self._apply is None:
            waiter.resume(event)
        else:
            self._hand((waiter, event))

    def _hand(self, handed: tuple[Task, Event]) -> None:
        """Do with the event what who waits wants done, in his place: to wake him for it would cost more than that."""
        waiter, event = handed
        process, apply, buffer = waiter.process, self._apply, self._buffer
        if not process.running:
            process.defer(self._hand, handed)
            return
        try:
            apply(event)  # type: ignore[misc]
            while buffer:
                apply(buffer.popleft())  # type: ignore[misc]
        except Exception as error:
            self._error = error
        if self._ended or self._error is not None:
            waiter.resume(None)
        else:
            self.waiter = waiter

    def _time_out(self, _: None) -> None:
        if not self._ended and not self._doomed:
            self.send(Event("BOOKMARK", None, str(self.cluster.server.version)))
            self.cluster.env.at(self._last - self.cluster.env.now, self.end)

    def end(self, error: ClusterError | None) -> None:
        """The stream is over; with `error` it broke."""
        if not self._ended:
            self._ended = True
            self._error = error
            self.cluster.server.close(self.stream)
            self.cluster.closed(self)
            waiter, self.waiter = self.waiter, None
            if waiter is not None:
                waiter.resume(None)


def _discard(event: Event) -> None:
    """Where a list's selection sends its events: nowhere."""
