"""The shape of a workload: which task depends on which, and when each arrives. Pure, lazy, in O(width) memory.

Tasks are numbered from 0 and depend on smaller numbers only, so every shape is acyclic. Shapes of bounded size repeat,
the last one cut off at `count`. Written as `independent`, `{chain: {length: 5}}`, `{fan-out: {width: 10}}` ...;
arrivals as `batch`, `{every: 100ms}`, `{poisson: 5/s}`, `{bursts: {size: 50, every: 1m}}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Annotated, Any

from pydantic import Field

from foreman.durations import LONGEST
from sim.draw import Distribution, Exponential, Stream
from sim.kinds import Family, Strict, Whole, Width
from sim.units import Duration, Interval, Rate

Edges = Iterator[tuple[int, tuple[int, ...]]]
"""(task, the earlier tasks it depends on, ascending), for tasks 0, 1, 2 ..."""


class _Empty(Strict):
    pass


class _Length(Strict):
    length: Width


class _Width(Strict):
    width: Width


class Independent(Strict):
    """No task depends on another."""

    independent: _Empty = _Empty()

    def edges(self, count: int, stream: Stream) -> Edges:
        return zip(range(count), repeat(()))


class Chain(Strict):
    """Chains of `length` tasks, each waiting for the one before."""

    chain: _Length

    def edges(self, count: int, stream: Stream) -> Edges:
        length = self.chain.length
        return ((i, (i - 1,) if i % length else ()) for i in range(count))


class FanOut(Strict):
    """A root, then `width` leaves that wait for it."""

    fan_out: _Width = Field(alias="fan-out")

    def edges(self, count: int, stream: Stream) -> Edges:
        size = self.fan_out.width + 1
        return ((i, (i - i % size,) if i % size else ()) for i in range(count))


class FanIn(Strict):
    """`width` leaves, then a sink that waits for all of them."""

    fan_in: _Width = Field(alias="fan-in")

    def edges(self, count: int, stream: Stream) -> Edges:
        width = self.fan_in.width
        return ((i, tuple(range(i - width, i)) if i % (width + 1) == width else ()) for i in range(count))


class Diamond(Strict):
    """A root, `width` middles that wait for it, a sink that waits for all middles."""

    diamond: _Width

    def edges(self, count: int, stream: Stream) -> Edges:
        width = self.diamond.width
        for i in range(count):
            at = i % (width + 2)
            if at > width:
                yield i, tuple(range(i - width, i))
            else:
                yield i, (i - at,) if at else ()


class _Parents(Strict):
    max_parents: Annotated[int, Whole(0, 1_000)]
    window: Width


class RandomDag(Strict):
    """Each task waits for 0 to `max_parents` of the `window` tasks before it; a parent drawn twice counts once."""

    random_dag: _Parents = Field(alias="random-dag")

    def edges(self, count: int, stream: Stream) -> Edges:
        most, window, below = self.random_dag.max_parents, self.random_dag.window, stream.below
        for i in range(count):
            reach = min(i, window)
            drawn = {i - 1 - below(reach) for _ in range(below(most + 1))} if reach else ()
            yield i, tuple(sorted(drawn))


class _Branching(Strict):
    branching: Width
    depth: Width

    def size(self) -> int:
        """Tasks in one tree: 1 + branching + ... + branching**depth."""
        if self.branching == 1:
            return self.depth + 1
        # Above this no run has that many tasks, and the exact power would be a number of megabytes.
        if self.depth > 60:
            return LONGEST
        return int((self.branching ** (self.depth + 1) - 1) // (self.branching - 1))


class Tree(Strict):
    """A root with `branching` children each with as many, `depth` levels below the root, breadth first."""

    tree: _Branching

    def edges(self, count: int, stream: Stream) -> Edges:
        branching, size = self.tree.branching, self.tree.size()
        for i in range(count):
            at = i % size
            yield i, (i - at + (at - 1) // branching,) if at else ()


_SHAPES = Family(
    what="shape",
    kinds={
        "independent": Independent,
        "chain": Chain,
        "fan-out": FanOut,
        "fan-in": FanIn,
        "diamond": Diamond,
        "random-dag": RandomDag,
        "tree": Tree,
    },
    forms="independent or a mapping such as {chain: {length: 5}} or {fan-out: {width: 10}}",
    bare=("independent",),
)

Shape = Annotated[Independent | Chain | FanOut | FanIn | Diamond | RandomDag | Tree, _SHAPES]
"""A field of a scenario model: `.edges(count, stream)`."""


def shape(value: Any) -> Shape:
    """The shape that `value`, as read from YAML, describes; ValueError (pydantic's) when it describes none."""
    read: Shape = _SHAPES.read(value)
    return read


class _At(Strict):
    at: Duration = 0


class _Regular(Strict):
    def gap(self) -> Distribution | None:
        """How long it may be from one arrival to the next; None where that is not left to chance."""
        return None


class Batch(_Regular):
    """All at once."""

    batch: _At = _At()

    def times(self, count: int, stream: Stream) -> Iterator[int]:
        """`count` arrival times in microseconds, never decreasing."""
        return repeat(self.batch.at, count)


class Every(_Regular):
    """One each interval, the first at 0."""

    every: Interval

    def times(self, count: int, stream: Stream) -> Iterator[int]:
        return iter(range(0, count * self.every, self.every))


class Poisson(Strict):
    """A Poisson process of that rate: independent exponential gaps, one before the first arrival too."""

    poisson: Rate

    def times(self, count: int, stream: Stream) -> Iterator[int]:
        # The sum is kept in 2**-20 us: rounding every gap would bend a high rate.
        total, mean, draw = 0, self.poisson, stream.exponential
        for _ in range(count):
            total += mean * draw()
            yield total >> 20

    def gap(self) -> Distribution | None:
        return Exponential.model_validate({"exponential": f"{self.poisson}us"})


class _Bursts(Strict):
    size: Annotated[int, Whole(1, 10**9)]
    every: Interval


class Bursts(_Regular):
    """`size` at once each interval, the first at 0."""

    bursts: _Bursts

    def times(self, count: int, stream: Stream) -> Iterator[int]:
        size, every = self.bursts.size, self.bursts.every
        return (i // size * every for i in range(count))


_ARRIVALS = Family(
    what="arrival process",
    kinds={"batch": Batch, "every": Every, "poisson": Poisson, "bursts": Bursts},
    forms="batch or a mapping such as {every: 100ms} or {poisson: 5/s}",
    bare=("batch",),
)

Arrivals = Annotated[Batch | Every | Poisson | Bursts, _ARRIVALS]
"""A field of a scenario model: `.times(count, stream)`."""


def arrivals(value: Any) -> Arrivals:
    """The arrivals that `value`, as read from YAML, describes; ValueError (pydantic's) when it describes none."""
    read: Arrivals = _ARRIVALS.read(value)
    return read
