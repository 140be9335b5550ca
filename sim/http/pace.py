"""A simulated world at the pace of the wall clock, so that people and programs outside can look on and take part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from foreman.api import Verdict
from sim.executor import Plan
from sim.host import SECOND
from sim.scenario import Scenario
from sim.selection import Change
from sim.world import World

OUTSIDER = "outside"
STEP = SECOND // 2
"""Virtual microseconds between two looks at the requests from outside."""
TICK_SECONDS = 0.02


class Plans(dict[str, Plan]):
    """What becomes of a task when it runs. One made by hand takes ten seconds and is a GO; that of a Workload of the scenario
    goes as the scenario says."""

    def __init__(self, drawn: dict[str, Plan], scenario: Scenario) -> None:
        super().__init__(drawn)
        self.drawn = drawn
        self.scenario = scenario

    def __missing__(self, key: str) -> Plan:
        if any(key.startswith(f"{seed.namespace}/{name}-") for name, seed in self.scenario.workloads.items()):
            return self.drawn[key]
        return Plan(duration=10 * SECOND, verdict=Verdict.GO)


class Paced:
    """Runs a world `speed` virtual seconds to a second. Its scenario may end; the world goes on."""

    def __init__(self, world: World, speed: float, on_done: Callable[[], None]) -> None:
        self.world = world
        self.speed = speed
        self.on_done = on_done
        self.done = False
        world.plans = Plans(world.plans, world.scenario)
        world.server.observers.append(self._committed)

    def _committed(self, change: Change) -> None:
        """A task made from outside is one more that has to come to an end."""
        if change.actor == OUTSIDER and change.old is None and change.kind == "AgenticTask":
            self.world.total += 1

    async def run(self) -> None:
        """Until cancelled. Where the machine is too slow for the speed, time passes more slowly."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        owed = 0.0
        while True:
            now = loop.time()
            owed = min(owed + (now - before) * self.speed * SECOND, self.speed * SECOND)
            before = now
            while owed >= 1 and loop.time() - now < 5 * TICK_SECONDS:
                step = min(int(owed), STEP)
                owed -= step
                self._advance(step)
                await asyncio.sleep(0)
            await asyncio.sleep(TICK_SECONDS)

    def _advance(self, step: int) -> None:
        world = self.world
        world.advance(world.now() + step)
        if not self.done and (world.stopped or world.now() >= world.scenario.until):
            self.done = True
            world.judge()
            self.on_done()
