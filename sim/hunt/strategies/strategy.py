"""What a strategy is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

from sim.hunt.plans import Planned
from sim.hunt.trial import Probe, Trial
from sim.scenario import Scenario
from sim.schedule import Schedule
from sim.stream import Stream


class Ground(NamedTuple):
    """What a strategy knows of the scenario: one run of it with every message as quick as can be.

    `messages` of that run, `span` microseconds to its end; `plans`: each single fault that could strike it.
    """

    scenario: Scenario
    seed: int
    messages: int
    span: int
    plans: Sequence[Planned]


class Strategy:
    """Gives probes in turn, learns from what came of them in the same order, and says what it has covered."""

    name: ClassVar[str]

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.number = 0

    @abstractmethod
    def probe(self) -> Probe | None:
        """The next one; None when there is no other, or none before something is learnt."""

    def learn(self, trial: Trial) -> None:
        """A probe of this strategy has been run."""

    @property
    def amid(self) -> bool:
        """Whether the next probe belongs with the last, so that one process should run both."""
        return False

    def covered(self) -> Iterable[str]:
        """What the hunt may claim to have shown, in sentences; none is none."""
        return ()

    def seeded(self) -> Stream:
        """The chances of the next probe."""
        self.number += 1
        return Stream(self.ground.seed, f"{self.name}/{self.number}")


def seed_of(stream: Stream) -> int:
    return stream.bits(32)


def schedule_of(probe: Probe) -> Schedule:
    """The schedule a probe stands for."""
    from sim.hunt.schedules import FewValued, Prioritised, Swerving

    if probe.strategy == "pct":
        return Prioritised(probe.seed, [at for at, _ in probe.swerves])
    if probe.strategy in ("delay-bounded", "single-fault"):
        return Swerving(dict(probe.swerves))
    return FewValued(probe.seed)
