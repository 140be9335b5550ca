"""Linearizability: can what the callers saw be put into one order that the specification allows?

An operation takes effect at one moment between its invocation and its response; one whose outcome its caller never
learnt, at any moment after its invocation, or never. The search is Wing and Gong's with Lowe's memo: take the operations
that may come next one after the other, and never try the same set of operations with the same state twice. Each object is
checked by itself: a history is linearizable when that of every single object is (Herlihy and Wing).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol


class Operation(NamedTuple):
    """What one caller did: `call` says what, and to which outcome, in the terms of the model.

    `invoked` and `responded` are places in one order of all events of the history; None: the outcome is not known.
    """

    invoked: int
    responded: int | None
    call: Any


class Model(Protocol):
    """A sequential specification."""

    @property
    def initial(self) -> Hashable: ...

    def step(self, state: Any, call: Any) -> Hashable | None:
        """The state after `call` in `state`; None: it cannot have come to its outcome there."""

    def states(self, calls: Sequence[Any]) -> Iterable[Hashable]:
        """Every state in which any of `calls` could come to its outcome."""


class Violation(NamedTuple):
    """Operations in the order of their invocations that fit no order: whatever the state before them was (`anyhow`), or
    from the initial one on."""

    window: Sequence[Operation]
    anyhow: bool


def check(history: Iterable[Operation], model: Model) -> Violation | None:
    """None if the history of this one object is linearizable, else the smallest window of it that is not."""
    operations = sorted(history, key=lambda each: each.invoked)
    if linearizable(operations, model, model.initial):
        return None
    shortest = _shortest(operations, model)
    for start in reversed(_cuts(shortest)):
        unknown = [each for each in shortest[:start] if each.responded is None]
        window = unknown + shortest[start:]
        if not any(linearizable(window, model, state) for state in model.states([each.call for each in window])):
            return Violation(window, anyhow=True)
    return Violation(shortest, anyhow=False)


def linearizable(operations: Sequence[Operation], model: Model, initial: Hashable) -> bool:
    """`operations` in the order of their invocations."""
    due = sum(each.responded is not None for each in operations)
    calls = _Calls(operations)
    tried: set[tuple[int, Hashable]] = set()
    taken: list[tuple[int, int, Hashable]] = []
    done, state = 0, initial
    at = calls.first()
    while due:
        if at is not None and at < calls.size:
            after = model.step(state, operations[at].call)
            now = done | 1 << at
            if after is not None and (now, after) not in tried:
                tried.add((now, after))
                taken.append((at, done, state))
                calls.take(at)
                due -= operations[at].responded is not None
                done, state = now, after
                at = calls.first()
            else:
                at = calls.after(at)
        elif taken:
            # A response, and its operation is not placed yet: one taken before was the wrong one.
            last, done, state = taken.pop()
            calls.put_back(last)
            due += operations[last].responded is not None
            at = calls.after(last)
        else:
            return False
    return True


class _Calls:
    """Invocations and responses in their order, as a doubly linked list out of which operations are taken and put back.

    Operation i's invocation is entry i, its response entry size + i.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.size = size = len(operations)
        self._head = 2 * size
        events = [(each.invoked, number) for number, each in enumerate(operations)]
        events += [(each.responded, size + i) for i, each in enumerate(operations) if each.responded is not None]
        order = [self._head, *(entry for _, entry in sorted(events)), self._head]
        self._next: dict[int, int] = dict(pairwise(order))
        self._before: dict[int, int] = dict(pairwise(reversed(order)))

    def first(self) -> int | None:
        return self.after(self._head)

    def after(self, entry: int) -> int | None:
        following = self._next[entry]
        return None if following == self._head else following

    def take(self, number: int) -> None:
        for entry in self._entries(number):
            before, following = self._before[entry], self._next[entry]
            self._next[before], self._before[following] = following, before

    def put_back(self, number: int) -> None:
        for entry in reversed(self._entries(number)):
            self._next[self._before[entry]] = self._before[self._next[entry]] = entry

    def _entries(self, number: int) -> tuple[int, ...]:
        response = self.size + number
        return (number, response) if response in self._next else (number,)


def _shortest(operations: Sequence[Operation], model: Model) -> list[Operation]:
    """What had been invoked when the history first was beyond ordering: every longer one is too."""
    moments = sorted(each.responded for each in operations if each.responded is not None)
    low, high = 0, len(moments) - 1
    while low < high:
        middle = (low + high) // 2
        if linearizable(_until(operations, moments[middle]), model, model.initial):
            low = middle + 1
        else:
            high = middle
    return _until(operations, moments[low])


def _until(operations: Sequence[Operation], moment: int) -> list[Operation]:
    """The history as it stood at `moment`: who had no answer yet knew nothing."""
    return [
        each if each.responded is None or each.responded <= moment else each._replace(responded=None)
        for each in operations
        if each.invoked <= moment
    ]


def _cuts(operations: Sequence[Operation]) -> list[int]:
    """Where a window may begin: everything before has been answered by then, or never is."""
    cuts, answered = [0], 0
    for number, each in enumerate(operations):
        if number and answered < each.invoked:
            cuts.append(number)
        answered = max(answered, each.responded or 0)
    return cuts
