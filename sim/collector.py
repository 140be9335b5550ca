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
