"""A row of the table: what theory says, what the simulated product did, and whether the two agree.

A family measures its quantities in independent replications, each a run of its own seed with the warm-up taken off. The
interval is Student's over the replications; its confidence holds for the whole table at once (Bonferroni). A row is ok when
the theory lies in the interval, and the interval is narrow enough to have said something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sim.mutations import Product
from sim.student import interval

CONFIDENCE = 0.99
"""That no row of the whole table is red by chance, were the runs random and not fixed by their seeds."""

Values = Mapping[str, float]
Measure = Callable[[int, Product | None], Values]
"""(seed, what runs) -> the quantities of one replication."""


class Expected(NamedTuple):
    """What theory says of one quantity. `slack`: by how much (a share of it) the theory itself is only an approximation;
    `precision`: how wide half the interval may be, as a share of the theory."""

    value: float
    slack: float = 0.0
    precision: float = 0.12


@dataclass(frozen=True)
class Family:
    """Rows that the same runs answer. `theory`: the expectation of each row; `rising`: of these quantities, each must be
    larger than the one before; `bound`: these must stay below what `theory` says."""

    name: str
    source: str
    run: str
    unit: str
    theory: Mapping[str, Expected]
    measure: Measure
    replications: int = 16
    rising: Sequence[str] = ()
    bound: bool = False
    not_applicable: str = ""

    @property
    def rows(self) -> int:
        return len(self.theory) + max(len(self.rising) - 1, 0)


@dataclass(frozen=True)
class Row:
    """`ok` is None for what does not apply."""

    family: str
    name: str
    unit: str
    theory: str
    simulated: float
    low: float
    high: float
    ok: bool | None
    note: str = field(default="")


def judge(family: Family, samples: Sequence[Values], rows: int) -> list[Row]:
    """The family's rows of a table of so many, from its replications."""
    if family.not_applicable:
        return [Row(family.name, family.name, "", "", 0.0, 0.0, 0.0, None, family.not_applicable)]
    confidence = 1 - (1 - CONFIDENCE) / rows
    look = _bounded if family.bound else _equal
    found = [look(family, name, [each[name] for each in samples], confidence) for name in family.theory]
    return found + [
        _higher(family, lower, upper, samples, confidence)
        for lower, upper in zip(family.rising, family.rising[1:], strict=False)
    ]


def _equal(family: Family, name: str, values: Sequence[float], confidence: float) -> Row:
    expected = family.theory[name]
    mean, low, high = interval(values, confidence)
    slack = expected.slack * abs(expected.value)
    holds = low - slack <= expected.value <= high + slack
    told = (high - low) / 2 <= expected.precision * abs(expected.value)
    note = "" if told else f"half the interval is more than {expected.precision:.0%} of the theory: it says nothing"
    if told and not holds:
        note = f"the theory is {expected.value / mean - 1:+.1%} away" if mean else "nothing was measured"
    if expected.slack and not note:
        note = f"theory is itself within {expected.slack:.1%}"
    return Row(family.name, name, family.unit, f"{expected.value:.4f}", mean, low, high, holds and told, note)


def _bounded(family: Family, name: str, values: Sequence[float], confidence: float) -> Row:
    most = family.theory[name].value
    worst = max(values)
    return Row(family.name, name, family.unit, f"<= {most:g}", worst, min(values), worst, worst <= most)


def _higher(family: Family, lower: str, upper: str, samples: Sequence[Values], confidence: float) -> Row:
    mean, low, high = interval([each[upper] - each[lower] for each in samples], confidence)
    return Row(family.name, f"{upper} - {lower}", family.unit, "> 0", mean, low, high, low > 0)
