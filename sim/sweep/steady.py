"""What the tasks of a run waited and how busy its slots were, from a moment on: what came before is warm-up.

The moment is given, or found by MSER-5 (White, Cobb and Spratt 2000): of all cuts in the first half, the one that leaves the
smallest standard error of what remains.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence

from foreman.api import AgenticTask
from sim.stats import nearest_rank
from sim.sweep.holding import Holding, Span, within

BATCH = 5


class Steady(Holding):
    """Observes commits. Times in microseconds; one entry for each task that has ever been claimed, in the order of claims."""

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__(now)
        self.created = array("q")
        self.waits = array("q")
        self.busy: list[tuple[int, int]] = []

    def begun(self, task: AgenticTask, since: int, until: int) -> None:
        self.created.append(since)
        self.waits.append(until - since)

    def ended(self, task: AgenticTask, since: int, until: int) -> None:
        self.busy.append((since, until))

    def told(self, cut: int, end: int, slots: int) -> dict[str, float]:
        """Waits (seconds, from creation to the first claim) of tasks created from `cut` on, and, from then (or the first task)
        to `end`, the shares of slot time that was used and that was stranded: free while some task waited, be it for its
        dependencies. What never began does not count as waiting."""
        waits = sorted(wait for since, wait in zip(self.created, self.waits, strict=True) if since >= cut)
        held = [*self.busy, *((since, end) for since in self.claimed.values())]
        begin = max(cut, min(self.created, default=0))
        busy = within(held, begin, end)
        waited = [(since, since + wait) for since, wait in zip(self.created, self.waits, strict=True)]
        whole = max(end - begin, 1) * max(slots, 1)
        told = {f"wait_seconds.{name}": us / 1e6 for name, us in _ranks(waits).items()}
        stranded = stranding(held, waited, slots, begin, end) / whole
        return told | {"utilisation": busy / whole, "stranded": stranded, "warm_up_seconds": cut / 1e6}

    def warm(self) -> int:
        """Microseconds after which the waits look stationary."""
        ordered = sorted(zip(self.created, self.waits, strict=True))
        dropped = mser([wait for _, wait in ordered])
        return ordered[dropped][0] if dropped else 0


def stranding(held: Iterable[Span], waited: Iterable[Span], slots: int, begin: int, end: int) -> int:
    """Slot-microseconds from `begin` to `end` in which a slot was free while some task waited."""
    moves: list[tuple[int, int, int]] = []
    for spans, used, waiting in ((held, 1, 0), (waited, 0, 1)):
        for since, until in spans:
            if since < until:
                moves += [(since, used, waiting), (until, -used, -waiting)]
    total = used = waiting = 0
    at = begin
    for moment, more, queue in sorted(moves):
        now = min(max(moment, begin), end)
        if waiting:
            total += (now - at) * max(slots - used, 0)
        at, used, waiting = now, used + more, waiting + queue
    return total


def _ranks(waits: Sequence[int]) -> dict[str, float]:
    """Mean, nearest-rank percentiles and maximum of sorted waits; zeros of none."""
    if not waits:
        return dict.fromkeys(("mean", "p50", "p95", "p99", "max"), 0.0)
    ranks = {f"p{percent}": nearest_rank(waits, percent) for percent in (50, 95, 99)}
    return {"mean": sum(waits) / len(waits), **ranks, "max": waits[-1]}


def mser(series: Sequence[float]) -> int:
    """How many of the first observations are warm-up, by MSER-5: a multiple of five, at most half."""
    batches = [sum(series[at : at + BATCH]) / BATCH for at in range(0, len(series) - BATCH + 1, BATCH)]
    best, cut = float("inf"), 0
    total = squares = 0.0
    for left in range(1, len(batches) + 1):
        value = batches[-left]
        total += value
        squares += value * value
        error = max(squares - total * total / left, 0.0) / left**2
        at = len(batches) - left
        if left >= BATCH and at <= len(batches) // 2 and error <= best:
            best, cut = error, at
    return cut * BATCH
