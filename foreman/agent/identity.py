"""Names: of the node, and of the process that speaks for it."""

from __future__ import annotations

import re

NODE_NAME_MAX = 63


def sanitize_name(raw: str) -> str:
    """A hostname made into a FleetNode name: lower case, [a-z0-9-], at most 63 characters, never empty."""
    name = re.sub(r"[^a-z0-9-]+", "-", raw.lower()).strip("-")
    return name[:NODE_NAME_MAX].rstrip("-") or "fleetnode"


def split_csv(raw: str) -> tuple[str, ...]:
    """'a, b,,c' -> ('a', 'b', 'c')."""
    return tuple(part for part in (piece.strip() for piece in raw.split(",")) if part)


def instance_of(machine: str, life: str) -> str:
    """The identity of one life of an agent on one machine, 'machine/life'."""
    return f"{machine}/{life}"


def same_machine(one: str, other: str) -> bool:
    """Whether two instances live, or lived, on one machine: then the older is dead, for only one can run there."""
    return one.rpartition("/")[0] == other.rpartition("/")[0]
