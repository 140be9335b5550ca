"""How a hunt chooses what to try next: one strategy a file."""

from __future__ import annotations

from sim.hunt.plans import AT_EVENTS, AT_WRITES
from sim.hunt.strategies.bounded import DelayBounded
from sim.hunt.strategies.pct import Pct
from sim.hunt.strategies.portfolio import Portfolio
from sim.hunt.strategies.single import SingleFault
from sim.hunt.strategies.strategy import Ground, Strategy
from sim.hunt.strategies.swarm import SORTS, Swarm
from sim.hunt.strategies.uniform import Uniform

__all__ = ["DRAWN", "STRATEGIES", "Ground", "Strategy", "strategy_of"]

_SINGLE: dict[str, type[Strategy]] = {each.name: each for each in (Uniform, Swarm, Pct, DelayBounded, SingleFault)}
STRATEGIES = (*_SINGLE, Portfolio.name)

DRAWN = frozenset({*SORTS, *AT_WRITES, *AT_EVENTS, "loss", "slow", "watch-lag"})
"""The sorts of faults that a strategy draws, or its schedules are another word for."""


def strategy_of(name: str, ground: Ground) -> Strategy:
    """The strategy of that name over `ground`."""
    if name == Portfolio.name:
        return Portfolio(ground, [each(ground) for each in _SINGLE.values()])
    return _SINGLE[name](ground)
