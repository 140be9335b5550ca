"""Optimistic concurrency: how many writes are refused for each that lands (Omega's conflict fraction).

Deciders are the product's controllers, one decision at a time: read an object at random, think for a while, write on the
version that was read; a Conflict is met as everywhere, by looking again. `x` is the mean number of writes by the others to that
object meanwhile. Above x = 0.1 retries meet each other and the closed form is too low: there only the order is held.
"""

from __future__ import annotations

from foreman.api import FleetNode, FleetNodeSpec, ObjectMeta
from foreman.controller import Controller
from sim.draw import Distribution, Stream, distribution
from sim.host import SECOND, Host, Process
from sim.load import check
from sim.mutations import Product
from sim.network import Link
from sim.theory.formulas import conflicts
from sim.theory.row import Expected, Family, Values
from sim.theory.station import QUIET
from sim.world import World

DECIDERS = 10
BUSY = 0.3
"""Of each decider's time, before anything is done twice."""
THINKING = SECOND
LANDED = 1500
OBJECTS = {"x = 0.045, fixed": 60, "x = 0.09, fixed": 30, "x = 0.09, exponential": 30, "x = 0.3": 9, "x = 0.675": 4}
NOTHING = {"fleet": {"idle": {}}, "workload": {"count": 1, "arrivals": {"every": "1s"}}, "until": "10000h", **QUIET}


class Decider:
    """One host that decides about objects at random."""

    def __init__(self, world: World, number: int, objects: int, thinking: Distribution) -> None:
        name = f"decider-{number}"
        self.world = world
        self.objects = objects
        self.luck = Stream(world.seed, f"theory/{name}")
        self.thinking = thinking.sampler(Stream(world.seed, f"theory/{name}/thinking"))
        self.gap = distribution({"exponential": f"{round(THINKING / BUSY)}us"}).sampler(self.luck)
        self.landed = self.made = 0
        world.links[name] = Link(name, world.seed, distribution("0s"), distribution("0s"))
        self.host = world.hosts[name] = Host(world.env, name, self.main)
        self.host.boot()

    async def main(self, process: Process) -> None:
        self.process = process
        self.cluster = self.world.client(process, process.host.name, "operator")
        self.controller = Controller("decide", process, self.decide, workers=1)
        self.controller.start()
        while True:
            await process.sleep(self.gap() / SECOND)
            self.made += 1
            self.controller.queue.add(f"object-{self.luck.below(self.objects)}/{self.made}")

    async def decide(self, key: str) -> None:
        seen = await self.cluster.get("FleetNode", key.partition("/")[0])
        await self.process.sleep(self.thinking() / SECOND)
        await self.cluster.patch_status(
            seen, {"current_task": f"{self.process.host.name}/{key}"}, if_version=seen.version
        )
        self.landed += 1


def measure(seed: int, product: Product | None) -> Values:
    return {name: fraction(count, "exponential" not in name, seed, product) for name, count in OBJECTS.items()}


def fraction(objects: int, fixed: bool, seed: int, product: Product | None) -> float:
    return refused(objects, "1s" if fixed else {"exponential": "1s"}, seed, product)


def refused(
    objects: int, decision: object, seed: int = 0, product: Product | None = None, count: int = DECIDERS
) -> float:
    """Refused writes for each that lands, of `count` deciders that each have a new decision to make every 3.3 s on average,
    about one of the objects, and think about it for `decision`, written as in a scenario."""
    thinking = distribution(decision)
    world = World(check(NOTHING, "theory"), seed, product=product, check=False, digest=False)
    for number in range(objects):
        world.server.create(
            "user", FleetNode(metadata=ObjectMeta(name=f"object-{number}"), spec=FleetNodeSpec(node_name="none"))
        )
    # The operator would give up objects that never beat: a write that theory has not.
    world.advance(SECOND)
    world.hosts["operator-0"].crash()
    deciders = [Decider(world, number, objects, thinking) for number in range(count)]
    world.advance(SECOND + round(LANDED / count * THINKING / BUSY))
    world.drop_unstarted()
    return sum(each.controller.errors["Conflict"] for each in deciders) / sum(each.landed for each in deciders)


def expected(name: str) -> Expected:
    fixed = "exponential" not in name
    x = (DECIDERS - 1) * BUSY / OBJECTS[name]
    return Expected(conflicts(x, fixed), precision=0.25)


SMALL = [name for name in OBJECTS if "," in name]
FAMILIES = [
    Family(
        "OCC conflict fraction",
        "Omega",
        f"{DECIDERS} controllers",
        "refused per landed",
        {name: expected(name) for name in SMALL},
        measure,
        rising=["x = 0.09, fixed", "x = 0.3", "x = 0.675"],
    )
]
