"""Nothing is lost when any one process dies, sleeps, or is not answered, at any of its API calls: tried at every one of them.

The scenario is run once to number its requests; then once more for each request and each fate, up to that request the same to
the byte. What must hold afterwards is always the same: every task Succeeded, by exactly one report, and no invariant broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import world

from foreman.api import TERMINAL, Phase
from sim.cluster import Fate, Request
from sim.host import SECOND
from sim.world import World

SCENARIO = """
until: 30m
linger: 130s
operators: {replicas: 2, restartDelay: 5s}
agent: {restartDelay: 5s, grace: 5s}
fleet: {cpu: {count: 2}}
tasks:
  first: {spec: {kind: freeform, payload: {}}}
  aside: {spec: {kind: freeform, payload: {}}}
  after: {spec: {kind: freeform, payload: {}, dependsOn: [first]}}
executor: {duration: 2s}
"""
TASKS = {"default/first", "default/aside", "default/after"}
HOSTS = {"operator-0", "operator-1", "cpu-0", "cpu-1", "user"}
RESTART = 5 * SECOND
FREEZE = 120 * SECOND

Strike = Callable[[World, Request], Fate | None]


def crash(w: World, request: Request) -> None:
    """The power goes while the request is at the server's door; the supervisor starts the program again."""
    process = request.cluster.process
    if process.alive:
        process.host.crash()
        w.env.at(RESTART, lambda _: process.host.boot())


def freeze(w: World, request: Request) -> None:
    process = request.cluster.process
    process.freeze()
    w.env.at(FREEZE, lambda _: process.thaw() if process.alive else None)


def crash_before(w: World, request: Request) -> Fate:
    crash(w, request)
    return "drop"


def crash_after(w: World, request: Request) -> None:
    crash(w, request)


def freeze_before(w: World, request: Request) -> Fate:
    freeze(w, request)
    return "drop"


def freeze_after(w: World, request: Request) -> None:
    freeze(w, request)


def drain(w: World, request: Request) -> None:
    """SIGTERM: an agent gives back what it cannot finish and ends, and starts again a minute later. Others take no notice."""
    process = request.cluster.process
    process.host.terminate()

    def start_again(_: Any) -> None:
        if process.alive:
            w.env.at(60 * SECOND, start_again)
        else:
            process.host.boot()

    w.env.at(60 * SECOND, start_again)


def lose_reply(w: World, request: Request) -> Fate:
    return "lose-reply"


def drop(w: World, request: Request) -> Fate:
    return "drop"


class Sweep:
    """One run in which `strike` hits the request number `at`; none is hit when `at` is None."""

    def __init__(self, at: int | None = None, strike: Strike | None = None, *sets: str) -> None:
        self.at = at
        self.strike = strike
        self.world = world(SCENARIO, *sets)
        self.requests: list[str] = []
        self.hosts: set[str] = set()
        self.landed: Counter[str] = Counter()
        self.world.endpoint.intercept = self._intercept
        self.world.server.observers.append(self._committed)
        self.world.run()

    def _intercept(self, request: Request) -> Fate | None:
        number = len(self.requests)
        target: Any = request.args[0]
        about = target if isinstance(target, str) else getattr(target, "key", target.kind)
        self.requests.append(f"{request.actor} {request.verb} {about}")
        self.hosts.add(request.cluster.process.host.name)
        return self.strike(self.world, request) if self.strike is not None and number == self.at else None

    def _committed(self, change: Any) -> None:
        if change.kind == "AgenticTask" and change.old is not None and change.new is not None:
            ended = change.new.status.phase in TERMINAL and change.old.status.phase not in TERMINAL
            self.landed[change.key] += ended and self.world.roles.get(change.actor) == "agent"

    def faults(self) -> Iterator[str]:
        """What is wrong with the world at the end."""
        w = self.world
        tasks = w.server.tables["AgenticTask"]
        yield from (f"{key} was lost" for key in sorted(TASKS - tasks.keys()))
        for key, task in sorted(tasks.items()):
            if task.status.phase is not Phase.SUCCEEDED:
                yield f"{key} is {task.status.phase}"
            if self.landed[key] != 1:
                yield f"{key} ended by {self.landed[key]} reports"
        yield from (f"{each.invariant}: {each.message}" for each in w.checkers.violations)
        yield from (f"{host} crashed in {name}: {error!r}" for host, name, error in w.crashes)


def sweep(strike: Strike, *sets: str) -> list[str]:
    """Strike at every request in turn; what went wrong, and where."""
    undisturbed = Sweep(None, None, *sets).requests
    found = []
    for at, request in enumerate(undisturbed):
        run = Sweep(at, strike, *sets)
        assert run.requests[: at + 1] == undisturbed[: at + 1], "the run has to be the same up to the strike"
        found += [f"{strike.__name__} at {at} ({request}): {fault}" for fault in run.faults()]
    return found


STRIKES = [crash_before, crash_after, freeze_before, freeze_after, lose_reply, drop, drain]
SHAPES = {
    "two operators, two nodes": (),
    "one operator, one node with two slots": ("operators.replicas=1", "fleet.cpu.count=1", "fleet.cpu.slots=2"),
    "two agents of one name": ("fleet.cpu.count=1", "fleet.cpu.twins=2"),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strike", STRIKES)
def test_nothing_is_lost_whichever_request_is_struck(strike, shape):
    assert sweep(strike, *SHAPES[shape]) == []


@pytest.mark.parametrize("strike", [freeze_before, freeze_after])
def test_an_agent_that_sleeps_through_a_run_loses_nothing(strike):
    assert sweep(strike, "executor.duration=100s") == []


def test_the_sweep_strikes_every_process_in_every_verb():
    run = Sweep()
    assert list(run.faults()) == []
    assert run.hosts == HOSTS
    assert {request.split()[1] for request in run.requests} == {
        "list",
        "watch",
        "get",
        "create",
        "patch",
        "patch_status",
    }


def test_a_strike_is_felt():
    """Each strike at the first claim really changes the run: a sweep of blanks would be green as well."""
    undisturbed = Sweep()
    claim = next(i for i, each in enumerate(undisturbed.requests) if each.startswith("cpu-") and "default/" in each)
    runs = [Sweep(claim, strike) for strike in STRIKES]
    assert undisturbed.requests not in [run.requests for run in runs]
    assert [run.world.hosts["cpu-1"].boots for run in runs] == [2, 2, 1, 1, 1, 1, 2]


@pytest.mark.parametrize("mutation", ["unconditional-writes", "no-attempt-fence"])
def test_without_a_safeguard_the_sweep_turns_red(mutation):
    assert sweep(freeze_before, "executor.duration=100s", f"mutations=[{mutation}]") != []
