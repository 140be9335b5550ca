"""How long an operator thinks about a task, between the state it looks at and the write it makes of it.

The knob of Omega's study: a decision is made on one state of the world and commits some time later, and what others write
meanwhile is a conflict. An operator thinks about one task at a time and goes on hearing of the others; while its write is on
its way it thinks about the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from foreman.api import AgenticTask
from foreman.decide.queueing import GroupKey, Rank, Waiting
from foreman.operator import OperatorParts
from foreman.scheduler import Scheduler
from sim.host import SECOND

if TYPE_CHECKING:
    from sim.draw import Sampler
    from sim.scenario import Operators
    from sim.schedule import Schedule


class OneByOne(Waiting):
    """A line whose next is nobody while somebody is thought about."""

    thinking = False

    def next(self) -> tuple[GroupKey, Rank] | None:
        return None if self.thinking else super().next()


class Thinker(Scheduler):
    """A scheduler that takes its time."""

    takes: Callable[[], int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting: OneByOne = OneByOne()

    def _assume(self, task: AgenticTask, node: str, group: GroupKey) -> None:
        super()._assume(task, node, group)
        self.waiting.thinking = True

    async def _bind(self, task: AgenticTask, node: str, slot: bool) -> None:
        await self.runtime.sleep(self.takes() / SECOND)
        self.waiting.thinking = False
        self._plan()
        await super()._bind(task, node, slot)


def thoughtful(parts: OperatorParts, operators: Operators, name: str, schedule: Schedule) -> OperatorParts:
    """`parts` with a scheduler that thinks as long as the scenario says; as they are where that is no time at all."""
    if not operators.thinks():
        return parts
    draw: Sampler = schedule.delays(name, "decision", operators.decision)
    kind = type("Thinker", (Thinker, parts.scheduler), {"takes": staticmethod(draw)})
    return replace(parts, scheduler=kind)
