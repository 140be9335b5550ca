"""What this machine offers, measured: accelerator and RAM, on Linux and macOS.

The probes read text that somebody else fetched (`Reader`: a command or a file in, its output out), so they are the
same code in a test on any machine. A probe that fails reports 0 GiB, as the original does: such a node fits no task
that asks for RAM.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from foreman.api import ModelEndpoint, NodeAccelerator, NodeCapability
from foreman.api.meta import INT32_MAX

Reader = Callable[[str], str]
"""Gives the output of 'sysctl -n hw.memsize', 'vm_stat', or the text of '/proc/meminfo'. Raises OSError."""

GIB = 1024**3


@dataclass(frozen=True)
class Declared:
    """What the operator of the machine declares by flags. RAM in GiB; 0 means: measure it."""

    accelerator: str = ""
    total_ram_gb: int = 0
    installed_models: tuple[str, ...] = ()
    max_context_tokens: int = 0
    tokens_per_second: int = 0
    endpoints: tuple[ModelEndpoint, ...] = ()


def probe(system: str, declared: Declared, read: Reader) -> NodeCapability:
    """The capability of this machine. `system`: 'Darwin', 'Linux', ... as platform.system() says."""
    accelerator = declared.accelerator or ("metal" if system == "Darwin" else "")
    if system == "Darwin":
        total, available = _darwin_memory(read)
    elif declared.total_ram_gb:
        total = available = clamp_int32(declared.total_ram_gb)
    elif system == "Linux":
        total, available = _linux_memory(read)
    else:
        total = available = 0
    return NodeCapability(
        accelerator=NodeAccelerator(accelerator) if accelerator else None,
        total_ram_gb=total,
        available_ram_gb=available,
        installed_models=declared.installed_models,
        max_context_tokens=clamp_int32(declared.max_context_tokens),
        tokens_per_second=clamp_int32(declared.tokens_per_second),
        endpoints=declared.endpoints,
    )


def bytes_to_gb(count: int) -> int:
    """Whole GiB, rounded down, within int32."""
    return clamp_int32(count // GIB)


def clamp_int32(value: int) -> int:
    """`value` saturated to 0..2**31-1."""
    return min(max(value, 0), INT32_MAX)


def _darwin_memory(read: Reader) -> tuple[int, int]:
    try:
        total = int(read("sysctl -n hw.memsize"))
        pages = read("vm_stat")
        size = int(_number(r"page size of (\d+) bytes", pages))
        free = sum(int(_number(rf"Pages {kind}:\s+(\d+)", pages)) for kind in ("free", "inactive", "speculative"))
    except (OSError, ValueError):
        return 0, 0
    return bytes_to_gb(total), bytes_to_gb(free * size)


def _linux_memory(read: Reader) -> tuple[int, int]:
    try:
        text = read("/proc/meminfo")
        total, available = (int(_number(rf"{name}:\s+(\d+) kB", text)) for name in ("MemTotal", "MemAvailable"))
    except (OSError, ValueError):
        return 0, 0
    return bytes_to_gb(total * 1024), bytes_to_gb(available * 1024)


def _number(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"no {pattern!r} in the probe's output")
    return found.group(1)
