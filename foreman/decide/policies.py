"""Placement policies by name: which of the nodes that fit is the best one.

A policy is a rank: (node, requirement) -> something sortable, lowest first, unique by ending in the name. `spread` ranks
inside the failure domain that has the fewest tasks; `random` does not rank at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foreman.decide.filters import Node
from foreman.decide.requirement import Requirement

Rank = Callable[[Node, Requirement], Any]


def first_fit(node: Node, want: Requirement) -> Any:
    """Alphabetical: the original's rule."""
    return node.name


def least_loaded(node: Node, want: Requirement) -> Any:
    """The smallest share of slots in use, in 1/65536."""
    return (node.used << 16) // max(node.slots, 1), node.name


def best_fit(node: Node, want: Requirement) -> Any:
    """The least RAM, then the fewest slots, left over: keeps big nodes free for those who need them."""
    return node.ram_gb - node.taken_ram_gb, node.slots - node.used, node.name


RANKS: dict[str, Rank] = {
    "first-fit": first_fit,
    "least-loaded": least_loaded,
    "best-fit": best_fit,
    "spread": least_loaded,
    "random": first_fit,
}
POLICIES = tuple(sorted(RANKS))
