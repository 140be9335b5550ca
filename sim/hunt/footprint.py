"""What a run went through, as numbers: which states of the cluster, and in which order things were written.

A state is where every task and node stands: phase, node, attempt, holder. Each object's part of it is one random-looking number
(a hash of its words, the same in every process), the state their exclusive or, so that a write changes it in one step.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any

from sim.selection import Change

_ODD = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class Footprint:
    """Observes commits. `states`: all that were there; `path`: one number for the sequence of writes, whoever made them."""

    def __init__(self) -> None:
        self.states: set[int] = set()
        self.path = 0
        self._state = 0
        self._parts: dict[tuple[str, str], int] = {}

    def committed(self, change: Change) -> None:
        _, _, actor, kind, key, _, new, _ = change
        if kind == "AgenticTask":
            after = _task(key, new)
        elif kind == "FleetNode":
            after = _node(key, new)
        else:
            return
        parts = self._parts
        self._state ^= parts.get((kind, key), 0) ^ after
        parts[kind, key] = after
        self.states.add(self._state)
        self.path = (self.path * _ODD + after + _number(actor)) & _MASK


def _task(key: str, task: Any) -> int:
    if task is None:
        return 0
    status = task.status
    return _number(key, status.phase, status.assigned_node, status.attempt, status.holder, status.verdict)


def _node(key: str, node: Any) -> int:
    return 0 if node is None else _number(key, node.status.phase)


@lru_cache(maxsize=1 << 16)
def _number(*words: object) -> int:
    text = "\0".join(map(str, words))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
