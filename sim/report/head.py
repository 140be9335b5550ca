"""What a page says about the run as a whole."""

from __future__ import annotations

from typing import Any

from foreman.durations import show
from sim.report.gathered import Gathered
from sim.result import unmet
from sim.screen import in_words

_NO_RESULT = (
    "The run was ended from outside before it wrote its result: verdict, expectations, digest and counts of the whole "
    "run are unknown. What is shown ends where the trace does."
)
_UNCHECKED = "The run did not check invariants (--no-check): that no violation is shown says nothing."


def head_of(gathered: Gathered) -> dict[str, Any]:
    header, result, scenario = gathered.header, gathered.result, gathered.header["scenario"]
    replay = header.get("replay", "")
    return {
        "scenario": scenario.get("name") or "scenario",
        "about": " ".join(scenario.get("story", "").split()),
        "seed": header["seed"],
        "policy": scenario.get("policy", "first-fit"),
        "version": header["version"],
        "replay": replay,
        "story": replay.replace("foreman sim run", "foreman sim story", 1),
        "end": gathered.end,
        "verdict": result["verdict"] if result else "unknown",
        "figures": _figures(result) if result else {},
        "words": [*in_words(result), ("digest", result["digest"])] if result else [],
        "expect": [(path, str(wanted), line) for path, wanted, line in _expected(scenario, result)] if result else [],
        "crashes": result["crashes"] if result else [],
        "notes": [note for note, said in ((_NO_RESULT, result is None), (_UNCHECKED, not header["check"])) if said],
    }


def _figures(result: dict[str, Any]) -> dict[str, str]:
    """The few that are read first."""
    wait = result["wait_seconds"]
    return {
        "p50": _s(wait["p50"]),
        "p95": _s(wait["p95"]),
        "max": _s(wait["max"]),
        "virtual": _s(result["virtual_seconds"]),
        "utilisation": f"{100 * result['utilisation']:.0f}%",
    }


def _s(seconds: float) -> str:
    return show(round(round(seconds, 3 if seconds < 10 else 1) * 1e6))


def _expected(scenario: dict[str, Any], result: dict[str, Any] | None) -> list[tuple[str, Any, str]]:
    """Each expectation, and why it does not hold, if so. What only a comparison of two runs can tell is left out."""
    wanted = scenario.get("expect", {})
    return [
        (path, each, next(iter(unmet({path: each}, result or {})), ""))
        for path, each in wanted.items()
        if path != "differs"
    ]
