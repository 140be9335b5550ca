"""Faults on single messages. They lie in wait where messages pass, and only there where the scenario has such a fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from foreman.cluster import Event, Unavailable
from foreman.executors import Execution
from sim.cluster import REQUEST_TIMEOUT, Answer, Endpoint, Fate, Request, Watch
from sim.executor import Plan
from sim.fault import ON_EVENTS, ON_EXECUTIONS, ON_REQUESTS, Fault
from sim.faults.sieve import Message, Sieve, matches


class Ambush:
    """One fault in wait. `fired(host, detail)` is told of each message struck."""

    def __init__(self, fault: Fault, fired: Callable[[str, str], None]) -> None:
        self.fault = fault
        self.fired = fired
        self.windows: list[Sieve] = []
        self.landed = False  # whether a request that it delayed has still changed something

    def strikes(self, message: Message) -> bool:
        """Whether this message is struck; asks every open window, so that each counts all matches."""
        if not self.windows or not matches(message, self.fault.on, self.fault.host):
            return False
        struck = [window.takes() for window in self.windows]
        self.windows[:] = [window for window in self.windows if not window.spent]
        if not any(struck):
            return False
        what = " ".join(filter(None, (message.verb, message.type, message.kind, message.key)))
        self.fired(message.actor.partition("/")[0], what)
        return True


class Ambushes:
    """All faults on messages of a run, each sort at its place: the server's door, the watches, the executors."""

    def __init__(self, endpoint: Endpoint, ambushes: Sequence[Ambush]) -> None:
        self.endpoint = endpoint
        self.requests = [each for each in ambushes if each.fault.fault in ON_REQUESTS]
        self.events = [each for each in ambushes if each.fault.fault in ON_EVENTS]
        self.executions = [each for each in ambushes if each.fault.fault in ON_EXECUTIONS]
        if self.requests:
            endpoint.intercept = self.intercept
        if self.events:
            endpoint.meddle = self.meddle
        self.spoil = self._spoil if self.executions else None

    def intercept(self, request: Request) -> Fate | None:
        """What a request at the server's door meets."""
        if not any(each.windows for each in self.requests):
            return None
        message = of_request(request)
        fates = [self._fate(each, message, request) for each in self.requests]
        return next((fate for fate in fates if fate is not None), None)

    def _fate(self, ambush: Ambush, message: Message, request: Request) -> Fate | None:
        fault = ambush.fault
        if fault.fault == "error-after-commit":
            return self._error_after(ambush, message)
        if not ambush.strikes(message):
            return None
        if fault.fault == "delay-request":
            self.endpoint.env.at(fault.by, lambda _: self._late(ambush, request))
            if fault.by > REQUEST_TIMEOUT:
                request.time_out()
            return "hold"
        return "drop" if fault.fault == "lose-request" else "lose-reply"

    def _late(self, ambush: Ambush, request: Request) -> None:
        before = self.endpoint.server.version
        request.apply()
        ambush.landed |= self.endpoint.server.version != before

    def _error_after(self, ambush: Ambush, message: Message) -> Fate | None:
        """Counts, and strikes, only writes that are really committed: known when the answer is there."""
        before = self.endpoint.server.version

        def rewrite(answer: Answer) -> Answer:
            committed = answer[0] and self.endpoint.server.version != before
            if committed and ambush.strikes(message):
                return False, Unavailable("500 Internal Server Error")
            return answer

        return rewrite if ambush.windows and matches(message, ambush.fault.on, ambush.fault.host) else None

    def meddle(self, watch: Watch, event: Event) -> None:
        """An event on its way to a watcher: not sent, sent late with all behind it, or sent twice."""
        if not any(each.windows for each in self.events):
            watch.send(event)
            return
        message = of_event(watch, event)
        struck = {each.fault.fault: each.fault.by for each in self.events if each.strikes(message)}
        if "drop-event" in struck:
            return
        if "delay-event" in struck:
            watch.stall(struck["delay-event"])
            watch.cluster.process.host.blind(self.endpoint.env.now + struck["delay-event"])
        watch.send(event)
        if "duplicate-event" in struck:
            watch.send(event)

    def _spoil(self, holder: str, execution: Execution, plan: Plan, fate: str) -> tuple[Plan, str]:
        """What becomes of an execution by `plan` that was to meet `fate`."""
        message = Message("", "", "AgenticTask", execution.task.key, holder)
        for each in self.executions:
            if each.strikes(message):
                if each.fault.fault == "wrong-verdict":
                    plan = plan._replace(verdict=each.fault.verdict)
                else:
                    fate = "hang" if each.fault.fault == "executor-hang" else "error"
        return plan, fate


def of_event(watch: Watch, event: Event) -> Message:
    obj: Any = event.object
    return Message("", event.type, watch.stream.kind, obj.key if obj else "", watch.cluster.actor)


def of_request(request: Request) -> Message:
    verb, args = request.verb, request.args
    target: Any = args[0]
    if verb == "get":
        return Message(verb, "", target, f"{args[2]}/{args[1]}" if args[2] else args[1], request.actor)
    if isinstance(target, str):
        return Message(verb, "", target, "", request.actor)
    return Message(verb, "", target.kind, getattr(target, "key", ""), request.actor)
