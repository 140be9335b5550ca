"""The clock of a run: a simpy Environment whose heap holds plain calls as well as simpy's events.

Time is whole microseconds. Nearly everything that happens in a run is "call this function with that argument then": `at` puts
just that into the heap, with no event object around it, and `advance` runs it in one loop. The heap holds only about the next
second; what is due later lies in unsorted buckets until then, so that ten thousand nodes' timers do not make it deep. What is
due at once needs no heap but waits in a queue, which has its turn when the heap holds nothing more for this moment: that was
all put there earlier. An event of simpy's own is such a call too (`_fire`), so Timeout, Process, Resource and the rest work
here as on any Environment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any

import simpy
from simpy.core import EmptySchedule, StopSimulation
from simpy.events import NORMAL, Event

_FIRST = -1
"""Before everything else that is due at the same microsecond."""

_AHEAD = 1 << 60
"""What a step of priority is worth in tickets."""

_SPAN = 20
"""A bucket spans 2**20 microseconds."""

_Entry = tuple[int, int, Callable[[Any], None], Any]
"""(due, ticket, call, argument). Tickets say who came first; urgent ones are negative."""


class _Halt(BaseException):
    """Leaves the loop of `advance`; not an Exception, so nothing on the way takes it for an error of its own."""


class _Buckets(dict[int, list[_Entry]]):
    """Entries by bucket; one is made when it is asked for. The numbers are in a heap besides: hours hold thousands."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: list[int] = []

    def __missing__(self, number: int) -> list[_Entry]:
        heappush(self._numbers, number)
        entries = self[number] = []
        return entries

    def first(self) -> tuple[int, list[_Entry]]:
        """Take out the earliest."""
        number = heappop(self._numbers)
        return number, self.pop(number)


class Clock(simpy.Environment):
    """Virtual time in microseconds. `now` is a plain attribute here: it is read many times an event."""

    now: int = 0

    def __init__(self) -> None:
        super().__init__()
        self._queue: list[_Entry] = []  # type: ignore[assignment]
        self._ticket = count().__next__
        self._soon: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._horizon = 1 << _SPAN
        self._later = _Buckets()

    @property
    def _now(self) -> int:
        """What simpy's own code calls `now`."""
        return self.now

    @_now.setter
    def _now(self, at: int) -> None:
        self.now = at

    def at(self, delay: int, call: Callable[[Any], None], argument: Any = None) -> None:
        """`call(argument)` in `delay` microseconds, after what was put there before for the same moment."""
        if not delay:
            self._soon.append((call, argument))
            return
        due = self.now + delay
        if due < self._horizon:
            heappush(self._queue, (due, self._ticket(), call, argument))
        else:
            self._later[due >> _SPAN].append((due, self._ticket(), call, argument))

    def schedule(self, event: Event, priority: int = NORMAL, delay: Any = 0) -> None:
        due = int(self.now + delay)
        if priority == NORMAL and due == self.now:
            self._soon.append((self._fire, event))
            return
        entry = due, self._ticket() - (NORMAL - priority) * _AHEAD, self._fire, event
        if due < self._horizon:
            heappush(self._queue, entry)
        else:
            self._later[due >> _SPAN].append(entry)

    def peek(self) -> float:
        if self._soon:
            return self.now
        if not self._queue and self._later:
            self._open()
        return super().peek()

    def _open(self) -> None:
        """The heap is empty: it takes the next bucket."""
        if not self._later:
            raise EmptySchedule
        bucket, entries = self._later.first()
        self._queue += entries
        heapify(self._queue)
        self._horizon = (bucket + 1) << _SPAN

    def step(self) -> None:
        queue = self._queue
        if self._soon and not (queue and queue[0][0] == self.now):
            call, argument = self._soon.popleft()
        else:
            if not queue:
                self._open()
            self.now, _, call, argument = heappop(queue)
        if call is not _halt:
            call(argument)

    def advance(self, calls: int) -> int:
        """Run up to so many of the calls that are due, fewer only after `halt`; how many have run."""
        queue, soon, pop = self._queue, self._soon, heappop
        done = 0
        try:
            for done in range(calls):  # noqa: B007 - what `halt` interrupts has been counted by it
                if soon and not (queue and queue[0][0] == self.now):
                    call, argument = soon.popleft()
                else:
                    if not queue:
                        self._open()
                    self.now, _, call, argument = pop(queue)
                call(argument)
        except _Halt:
            return done
        return calls

    def halt(self) -> None:
        """End the running `advance` (and nothing else) before its next call: a flag would have to be looked at after each."""
        entry: _Entry = (self.now, self._ticket() - (NORMAL - _FIRST) * _AHEAD, _halt, None)
        heappush(self._queue, entry)

    def _fire(self, event: Event) -> None:
        """Run the callbacks of one of simpy's events, as simpy's `step` does."""
        callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
        try:
            for callback in callbacks:
                callback(event)
        except StopSimulation:
            event.callbacks = callbacks[callbacks.index(callback) + 1 :]
            self.schedule(event, _FIRST)
            raise
        if not event._ok and not hasattr(event, "_defused"):
            failure = event._value
            raise type(failure)(*failure.args) from failure


def _halt(_: None) -> None:
    raise _Halt
