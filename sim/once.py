"""What follows from a part of a scenario alone, worked out once and not in each of a hunt's runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

P = TypeVar("P")
R = TypeVar("R")

_MOST = 1000


def once(make: Callable[[P], R]) -> Callable[[P], R]:
    """`make`, called once for each frozen object, which is known by its identity: models that hold mappings have no hash.

    What it makes is shared by all who ask, so it must be frozen too, or nobody may change it.
    """
    known: dict[int, tuple[P, R]] = {}

    @wraps(make)
    def made(of: P) -> R:
        found = known.get(id(of))
        if found is None:
            if len(known) >= _MOST:
                known.clear()
            # The object is kept too: as long as it lives nothing else has its id.
            found = known[id(of)] = of, make(of)
        return found[1]

    return made
