"""Closed forms: queues, races for tasks, choices. Waits in units of the mean service."""

from __future__ import annotations

from math import comb, exp


def erlang_c(servers: int, load: float) -> float:
    """P(wait) of M/M/c; `load` is that of each server, below 1."""
    offered = servers * load
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = offered * blocked / (server + offered * blocked)
    return blocked / (1 - load * (1 - blocked))


def mmc_wait(servers: int, load: float) -> float:
    return erlang_c(servers, load) / (servers * (1 - load))


def pollaczek_khinchine(load: float, variation: float) -> float:
    """Mean wait of M/G/1; `variation`: variance of a service over its squared mean."""
    return load * (1 + variation) / (2 * (1 - load))


def cobham(loads: tuple[float, ...]) -> list[float]:
    """Mean wait of each class in M/M/1 with priorities that do not preempt, the most urgent first."""
    waits, above = [], 0.0
    for load in loads:
        waits.append(sum(loads) / ((1 - above) * (1 - above - load)))
        above += load
    return waits


def joining_shortest(load: float, choices: int) -> float:
    """Mean sojourn where everybody joins the shortest of so many queues drawn at random, of infinitely many."""
    total, exponent, level = 0.0, 0.0, 1.0
    while (term := load**exponent) > 1e-12:
        total += term
        exponent, level = exponent + level * choices, level * choices
    return total


def birthday(actors: int, tasks: int) -> tuple[float, float]:
    """(P(some conflict), E(losers)) when each takes one of the tasks at random."""
    clear = 1.0
    for taken in range(actors):
        clear *= (tasks - taken) / tasks
    return 1 - clear, actors - tasks * (1 - (1 - 1 / tasks) ** actors)


def conflicts(x: float, fixed: bool) -> float:
    """Refused writes for each that lands, `x` the mean number of others' writes while one decides: for a fixed time or an
    exponential one."""
    return exp(x) - 1 if fixed else x


def overlap(objects: int, touched: int) -> float:
    """P that two draws of so many of the objects share one."""
    return 1 - comb(objects - touched, touched) / comb(objects, touched)
