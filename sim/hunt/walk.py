"""Single faults without beginning each time at the beginning.

Until its fault strikes, a run is the run without it. So one run walks on, and at each fault's place the process is copied
(os.fork): in the copy the fault strikes and the run goes on to its end, the original walks on to the next. Trial by trial this
gives what running each from its start gives; a test compares.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from signal import SIGKILL

from foreman.cluster import Event
from sim.cluster import Fate, Request, Watch
from sim.collector import uncollected
from sim.ending import calmed
from sim.faults.ambush import of_event, of_request
from sim.faults.sieve import Message
from sim.hunt.footprint import Footprint
from sim.hunt.plans import Order, Place
from sim.hunt.schedules import Swerving
from sim.hunt.trial import Probe, Trial, settled, trial_of
from sim.mutations import Product
from sim.scenario import Scenario
from sim.world import World

POSSIBLE = hasattr(os, "fork")


def places(world: World) -> dict[Place, Order]:
    """Filled as the run goes on: its messages in the order in which a walk comes by them."""
    found: dict[Place, Order] = {}
    latest = 0
    passed: Counter[tuple[str, str, str, str]] = Counter()

    def note(message: Message, actor: str) -> None:
        about = actor, message.verb or message.type, message.kind, message.key
        passed[about] += 1
        found[Place(*about, passed[about])] = latest, len(found)

    def request(request: Request) -> Fate | None:
        nonlocal latest
        latest += 1
        note(of_request(request), request.actor)
        return world.faults.ambushes.intercept(request)

    def event(watch: Watch, event: Event) -> None:
        note(of_event(watch, event), watch.cluster.actor)
        world.faults.ambushes.meddle(watch, event)

    world.endpoint.intercept, world.endpoint.meddle = request, event
    return found


class Walk:
    """One run without faults beyond the scenario's own, on its way from place to place."""

    def __init__(self, scenario: Scenario, seed: int, product: Product | None = None) -> None:
        self.footprint = Footprint()
        self.world = World(settled(scenario, True), seed, product=product, schedule=Swerving({}), digest=False)
        self.world.server.observers.append(self.footprint.committed)
        self.fresh = True
        self._steps = self.world.steps()
        self._passed: Counter[tuple[str, str, str, str]] = Counter()
        self._awaited: defaultdict[Place, list[Probe]] = defaultdict(list)
        self._trials: dict[int, Trial] = {}
        self._mine: Probe | None = None  # in a copy: what it is for
        self._told = -1
        self.world.calm = calmed(self.world)
        endpoint = self.world.endpoint
        endpoint.intercept = self._request
        endpoint.meddle = self._event

    def trials(self, probes: Sequence[Probe]) -> dict[int, Trial]:
        """By number; those are missing whose place the run has passed or never comes to."""
        self._trials = {}
        self._awaited.clear()
        for probe in probes:
            if probe.place is not None:
                self._awaited[probe.place].append(probe)
        self.fresh = False
        if self._awaited:
            with uncollected():
                self._go_on()
        return self._trials

    def _go_on(self) -> None:
        try:
            for _ in self._steps:
                if self._mine is None and not self._awaited:
                    return
            if self._mine is not None:
                self._tell(self._mine)
        except BaseException:
            if self._mine is None:
                raise
            # Nothing of a copy may go on beyond this point: without an answer the trial is run from its start.
            os._exit(1)

    def _tell(self, probe: Probe) -> None:
        """The copy's last deed."""
        self.world.drop_unstarted()
        self.world.judge()
        with open(self._told, "wb") as pipe:
            pickle.dump(trial_of(self.world, probe, self.footprint), pipe)
        os._exit(0)

    def _request(self, request: Request) -> Fate | None:
        if self._mine is None:
            self._pass(of_request(request), request.actor)
        return self.world.faults.ambushes.intercept(request)

    def _event(self, watch: Watch, event: Event) -> None:
        if self._mine is None:
            self._pass(of_event(watch, event), watch.cluster.actor)
        self.world.faults.ambushes.meddle(watch, event)

    def _pass(self, message: Message, actor: str) -> None:
        about = actor, message.verb or message.type, message.kind, message.key
        self._passed[about] = nth = self._passed[about] + 1
        for probe in self._awaited.pop(Place(*about, nth), ()):
            if self._branch(probe):
                return
        if not self._awaited:
            self.world.env.halt()

    def _branch(self, probe: Probe) -> bool:
        """Copy the process; True in the copy. The original waits for what comes of it."""
        hears, tells = os.pipe()
        with warnings.catch_warnings():
            # Of threads, of which a copy has none: it touches nothing that they use.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            os.close(hears)
            self._mine, self._told = probe, tells
            for fault in probe.faults:
                assert fault.on is not None
                first = fault.on.model_copy(update={"nth": 1})
                self.world.faults.join(fault.model_copy(update={"on": first}))
            return True
        os.close(tells)
        try:
            with open(hears, "rb") as pipe:
                told = pipe.read()
        except BaseException:
            os.kill(child, SIGKILL)
            raise
        finally:
            os.waitpid(child, 0)
        if told:
            self._trials[probe.number] = pickle.loads(told)
        return False
