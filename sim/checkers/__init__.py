"""What must hold in every run: safety on each committed write, liveness at the end."""

from sim.checkers.checkers import CAPABILITY_GRACE, HANDBACK_LIMIT, STORM_PER_MINUTE, Checkers
from sim.checkers.invariants import LIVENESS, SAFETY, Violation
from sim.checkers.special import SPECIAL
from sim.checkers.stability import SETTLE

__all__ = [
    "CAPABILITY_GRACE",
    "HANDBACK_LIMIT",
    "LIVENESS",
    "SAFETY",
    "SETTLE",
    "SPECIAL",
    "STORM_PER_MINUTE",
    "Checkers",
    "Violation",
]
