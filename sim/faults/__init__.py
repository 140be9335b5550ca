"""Faults at work: `plan` when each strikes, `strikes` what is done to hosts, links and the API, `ambush` what to messages."""

from sim.faults.plan import Faults

__all__ = ["Faults"]
