"""Dominant resource fairness: nothing to validate while Foreman has no quotas."""

from __future__ import annotations

from sim.theory.row import Family

WHY = "not applicable: Foreman has no quotas"
FAMILIES = [Family("dominant resource fairness", "Ghodsi", "", "", {}, lambda seed, product: {}, 0, not_applicable=WHY)]
