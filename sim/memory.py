"""Whether a scenario fits into the memory of this machine."""

from __future__ import annotations

import re
from pathlib import Path

from sim.scenario import Scenario
from sim.source import Problem
from sim.units import show_size

TASK_BYTES = 6 * 1024
"""A task that is kept: its object, its versions in the caches, its statistics."""
FOLDED_TASK_BYTES = 64
NODE_BYTES = 40 * 1024
_UNKNOWN = 8 * 2**30


def available() -> int:
    """Bytes this machine can still give; 8 GiB where it does not say."""
    try:
        told = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(encoding="ascii"), re.M)
    except (OSError, UnicodeDecodeError):
        told = None
    return int(told[1]) * 1024 if told else _UNKNOWN


def too_large(scenario: Scenario) -> list[Problem]:
    """The one problem of a scenario that needs more than `available()`."""
    workload = scenario.workload
    tasks = workload.count if workload else 0
    kept = not workload or not workload.ttl
    nodes = sum(group.count * group.twins for group in scenario.fleet.values())
    for_tasks, for_nodes = tasks * (TASK_BYTES if kept else FOLDED_TASK_BYTES), nodes * NODE_BYTES
    free = available()
    if for_tasks + for_nodes <= free:
        return []
    if for_nodes > for_tasks:
        return [(("fleet",), f"{nodes} nodes need about {_gib(for_nodes)}, {_free(free)}; lower the counts")]
    advice = "lower workload.count" + (" or set workload.ttl" if kept else "")
    return [(("workload", "count"), f"{tasks} tasks need about {_gib(for_tasks)}, {_free(free)}; {advice}")]


def _free(free: int) -> str:
    return f"this machine has {_gib(free)} free"


def _gib(count: int) -> str:
    return re.sub(r"([KMGT]i)?$", r" \1B", show_size(count), count=1)
