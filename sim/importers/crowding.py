"""How much of the fleet a trace asks for at its busiest moment, and how much closer its tasks must come to ask for more.

Public traces are of fleets that were hardly full, or leave out what else filled them: as recorded nobody waits, and all
policies are alike. Closer arrivals are a way to make tasks compete that leaves each task as long as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from sim.importers.imported import Imported
from sim.importers.lines import BadTrace
from sim.listed import Work

ALL = "all"
FURTHEST = 10**9
"""So much closer together, all come at once."""
NEAR = 1.001
"""A factor is found to a thousandth."""


def peaks(found: Imported) -> dict[str, float]:
    """At the busiest moment, slots asked for by slots there are, were each task to begin as it comes: of ALL, and of each
    accelerator that some tasks require."""
    return {name: _most(of, found.work) / slots for name, (of, slots) in _shares(found).items()}


def _shares(found: Imported) -> dict[str, tuple[set[str], int]]:
    """The classes of tasks that must share some slots, and how many these are."""
    wanted = {name: each.get("requires", {}).get("accelerator", "") for name, each in found.classes.items()}
    shares = {ALL: (set(wanted), _slots(found, None))}
    for accelerator in sorted(set(wanted.values()) - {""}):
        classes = {name for name, each in wanted.items() if each == accelerator}
        shares[accelerator] = classes, _slots(found, accelerator)
    return {name: share for name, share in shares.items() if share[1]}


def _slots(found: Imported, accelerator: str | None) -> int:
    groups = [each for each in found.fleet.values() if accelerator is None or each.get("accelerator") == accelerator]
    return sum(each.get("count", 1) * each.get("slots", 1) for each in groups)


def _most(classes: set[str], work: Iterable[Work], factor: float = 1) -> int:
    """The most tasks of these classes that would run at one moment."""
    moves = []
    for each in work:
        if each.of in classes:
            at = each.at / factor
            moves += [(at, 1), (at + each.duration, -1)]
    return max(accumulate(move for _, move in sorted(moves)), default=0)


def factor_for(found: Imported, load: float) -> float:
    """How much closer together the tasks must come for `load` to be asked for of the scarcest slots at the busiest moment.
    Raises BadTrace where no factor does that."""
    if any(each.tokens is not None for each in found.work):
        raise BadTrace(
            "--load: how long a run takes that is counted in tokens is not known before: expected --pack FACTOR"
        )
    shares = _shares(found).values()

    def peak(factor: float) -> float:
        return max(_most(of, found.work, factor) / slots for of, slots in shares)

    if (most := peak(FURTHEST)) < load:
        raise BadTrace(f"--load {load:g}: expected at most {most:.3g}, which is all {len(found.work)} tasks at once")
    low, high = 1 / FURTHEST, float(FURTHEST)
    while high / low > NEAR:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if peak(middle) < load else (low, middle)
    return float(f"{high:.4g}")


def packed(found: Imported, factor: float) -> Imported:
    """The gaps between arrivals so many times shorter, the tasks as long as they are; says so among the losses."""
    before = peaks(found)
    found.work = [each._replace(at=round(each.at / factor)) for each in found.work]
    after = peaks(found)
    told = ", ".join(f"{after[name]:.3g} of {_named(name)} (recorded: {before[name]:.3g})" for name in after)
    gaps = f"tasks as long as they were, but the gaps between arrivals {factor:g} times shorter"
    found.losses[f"{gaps}: at the busiest moment they ask for {told}"] += len(found.work)
    return found


def _named(name: str) -> str:
    return "all slots" if name == ALL else f"those with {name}"
