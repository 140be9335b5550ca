"""Python's garbage collector, kept away from runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's garbage collector. A run makes no cyclic garbage to speak of (crashed processes are kept anyway), but
    holds a lot that each collection would look through: that takes a fifth of the time, and more the larger the fleet."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def sweep() -> None:
    """Collect what was made since the last sweep and is no longer in use. After each of many short runs: then the memory of one
    serves the next while it is still in the processor's cache."""
    gc.collect(0)
