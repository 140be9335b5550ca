"""The simulated world: an API server, hosts, a network and executors, in virtual time and under faults.

It re-implements the world, never the logic: what runs on it is the product itself (package `foreman`), unchanged. This
package imports `foreman`; `foreman` never imports this one, except its command line, lazily.

Same scenario and same seed give the same bytes, on any machine, any Python from 3.11 on, any PYTHONHASHSEED. Hence:
virtual time is integer microseconds; each random stream is seeded by hashing (seed, stream name); nothing is chosen
from an unsorted set; no floating-point sum and no libm function decides anything.
"""
