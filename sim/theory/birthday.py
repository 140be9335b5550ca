"""The claim birthday: several schedulers, one snapshot, each takes one of the waiting tasks at random.

Operators without a leader see the same tasks wait and, at one moment, a node with one free slot open. Each binds one task by
the product's own conditional write; of those that chose the same task all but one are refused.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from foreman.api import AgenticTask, Phase
from foreman.decide.queueing import Rank
from foreman.operator import OperatorParts
from foreman.scheduler import Scheduler
from sim.cluster import Request
from sim.load import check
from sim.mutations import Product
from sim.theory.formulas import birthday
from sim.theory.row import Expected, Family, Values
from sim.world import World

TRIALS = 20


class Lottery(Scheduler):
    """The line is in random order, another for each operator."""

    def _rank(self, task: AgenticTask) -> Rank:
        return Rank(self.fleet.draw(2**32), 0, 0, task.key)

    rank = _rank


def measure(actors: int, tasks: int, seed: int, product: Product | None) -> Values:
    lost = [losers(actors, tasks, seed + trial, product) for trial in range(TRIALS)]
    return {"P(conflict)": sum(map(bool, lost)) / TRIALS, "losers": sum(lost) / TRIALS}


def losers(actors: int, tasks: int, seed: int, product: Product | None) -> int:
    """How many of the actors are refused in the one round there is."""
    scenario = {
        "fleet": {"node": {}},
        "operators": {"replicas": actors, "audit": False},
        "workload": {"count": tasks},
        "network": {"latency": "1ms", "watch": "1ms"},
        # Until then everybody has come to know all tasks.
        "faults": [{"at": "0s", "fault": "partition", "host": "node-0", "for": "5s"}],
    }
    given = product or Product(operator=OperatorParts(scheduler=Lottery))
    world = World(check(scenario, "theory"), seed, product=given, check=False, digest=False)
    answers: list[bool] = []

    def heard(request: Request, ok: bool, _: Any) -> None:
        if request.verb == "patch_status" and request.args[1].get("phase") is Phase.SCHEDULED:
            answers.append(ok)
            if len(answers) == actors:
                world.halt()

    world.endpoint.tap = heard
    world.run()
    return answers.count(False)


def family(actors: int, tasks: int) -> Family:
    probability, lost = birthday(actors, tasks)
    theory = {"P(conflict)": Expected(probability, precision=0.25), "losers": Expected(lost, precision=0.25)}
    name = f"claim birthday, {actors} of {tasks}"
    return Family(name, "birthday", f"{actors} operators", "", theory, partial(measure, actors, tasks))


FAMILIES = [family(10, 50)]
