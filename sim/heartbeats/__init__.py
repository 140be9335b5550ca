"""Elided heartbeats: those that would only move a time forward, which nobody would act upon, are not run but reckoned.

The product knows nothing of it. In the simulator a Registrar whose last heartbeat met with nothing new lets its pulse stand:
it sleeps not until the next beat but until something may make a beat matter. That is

- a fault that touches its host, the operators or the API, from well before it strikes (`trouble` knows when) until it is mended
  and a beat has met with nothing new again;
- a run that begins or ends on its node, for the next beat will show another task;
- the end of an operator's process.

So whatever happens to a node happens among real heartbeats, and a pulse stands only where all of them are alike. Meanwhile an
operator takes the node's last beat from the pulse and leaves it out of its rounds. What the beats left out would have counted
is counted: resource versions, with them the server's history, calls and writes are those of the exact run.

That outcomes are equal is a claim about fixed delays: with random ones each beat would shift what the next messages draw. `fit`
says which scenarios it is made for.
"""

from sim.heartbeats.fit import exact_because
from sim.heartbeats.pulses import Heartbeats
from sim.heartbeats.tally import CountingServer

__all__ = ["CountingServer", "Heartbeats", "exact_because"]
