"""What a scenario leaves to chance: distributions of durations, in whole microseconds.

A distribution is written as a duration (`5s`, always that) or as a mapping with one kind: `{uniform: [1ms, 9ms]}`,
`{choices: [1ms, 1ms, 9ms]}`, `{choices: {1ms: 2, 9ms: 1}}`, `{exponential: 10s}`, `{erlang: {k: 3, mean: 10s}}`,
`{lognormal: {median: 10s, p95: 60s}}`; beside the kind, `min:` and `max:` clamp what is drawn.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from itertools import accumulate, chain, repeat
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, PlainSerializer, RootModel, WithJsonSchema, model_validator

from foreman.durations import LONGEST, duration, show
from sim.kinds import Family, Strict, Whole, refusal, refusing
from sim.stream import DECIMALS, ONE, Stream, exp2
from sim.units import Duration, Interval, Rate
from sim.weighted import Weighted

__all__ = ["Distribution", "Fixed", "Rate", "Sampler", "Stream", "Weighted", "distribution"]

Sampler = Callable[[], int]
"""Draws one duration in microseconds."""

AHEAD = 32
"""Draws to a block where a stream is drawn ahead."""


class Fixed(RootModel[Duration]):
    """Always the same duration."""

    model_config = ConfigDict(frozen=True)

    def sampler(self, stream: Stream) -> Sampler:
        us = self.root
        return lambda: us

    def ahead(self, stream: Stream) -> Sampler:
        return repeat(self.root).__next__

    def mean(self) -> int:
        return self.root

    def __str__(self) -> str:
        return show(self.root)


class Varying(Strict):
    """A distribution written as a mapping; whatever is drawn is clamped to [min, max] where they are given."""

    min: Duration | None = None
    max: Duration | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Varying:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise refusal(f"expected min <= max, not min {show(self.min)} and max {show(self.max)}")
        return self

    def sampler(self, stream: Stream) -> Sampler:
        """A closure that draws from `stream`; its values are whole microseconds >= 0."""
        draw, least, most = self._unclamped(stream), self.min or 0, LONGEST if self.max is None else self.max
        if self.min is None and self.max is None:
            return draw
        return lambda: min(most, max(least, draw()))

    def ahead(self, stream: Stream) -> Sampler:
        """The same as `sampler` where nothing else draws from `stream`: faster, for it may draw more than is asked for."""
        return self.sampler(stream)

    @abstractmethod
    def mean(self) -> int:
        """The expected microseconds, clamps ignored."""

    @abstractmethod
    def _unclamped(self, stream: Stream) -> Sampler: ...

    @abstractmethod
    def _told(self) -> str: ...

    def __str__(self) -> str:
        clamps = {"min": self.min, "max": self.max}
        return ", ".join([self._told(), *(f"{name} {show(us)}" for name, us in clamps.items() if us is not None)])


def _pair(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("expected [shortest, longest], e.g. [1ms, 9ms]")
    low, high = duration(value[0]), duration(value[1])
    if low > high:
        raise ValueError(f"expected [shortest, longest], not [{show(low)}, {show(high)}]")
    return low, high


class Uniform(Varying):
    """Every microsecond from the shortest to the longest, both included, equally likely."""

    uniform: Annotated[
        tuple[int, int],
        BeforeValidator(refusing(_pair)),
        PlainSerializer(lambda pair: [show(us) for us in pair], return_type=list[str]),
        WithJsonSchema({"type": "array", "minItems": 2, "maxItems": 2, "examples": [["1ms", "9ms"]]}),
    ]

    def _unclamped(self, stream: Stream) -> Sampler:
        (low, high), below = self.uniform, stream.below
        span = high - low + 1
        return lambda: low + below(span)

    def mean(self) -> int:
        return sum(self.uniform) // 2

    def _told(self) -> str:
        return f"uniform {show(self.uniform[0])}..{show(self.uniform[1])}"


def _entries(value: Any) -> Any:
    if not isinstance(value, list | tuple | Mapping) or not value:
        raise ValueError("expected durations [1ms, 1ms, 9ms] or whole weights {1ms: 2, 9ms: 1}, at least one")
    if not isinstance(value, Mapping):
        return tuple((duration(each), 1) for each in value)
    weights: dict[int, int] = {}
    for each, weight in value.items():
        if type(weight) is not int or not 0 <= weight <= LONGEST:
            raise ValueError(f"expected a whole number >= 0 as the weight of {each}, not {weight!r}")
        us = duration(each)
        weights[us] = weights.get(us, 0) + weight
    if not any(weights.values()):
        raise ValueError("expected at least one positive weight")
    return tuple(weights.items())


def _written(entries: tuple[tuple[int, int], ...]) -> list[str] | dict[str, int]:
    if all(weight == 1 for _, weight in entries):
        return [show(us) for us, _ in entries]
    return {show(us): weight for us, weight in entries}


@cache
def _uppermost(count: int) -> tuple[bytes, bytes]:
    """What the last byte of a word stands for when one of `count` is drawn, and which bytes stand for none."""
    shift = 8 - (count - 1).bit_length()
    return bytes(byte >> shift for byte in range(256)), bytes(byte for byte in range(256) if byte >> shift >= count)


def _blocks(values: list[int], bits: Callable[[int], int]) -> Iterator[Iterator[int]]:
    """Uniform draws from up to 256 `values`, the same as by `below`, a block at a time and without a line of Python for each.

    The generator makes words of 32 bits of which a draw takes the uppermost: they are in the last byte of each.
    """
    index_of, refused = _uppermost(len(values))
    while True:
        words = bits(32 * AHEAD).to_bytes(4 * AHEAD, "little")
        yield map(values.__getitem__, words[3::4].translate(index_of, refused))


class Choices(Varying):
    """One of a few durations: (microseconds, weight) pairs. Few values make coincidences, and so races, likely."""

    choices: Annotated[
        tuple[tuple[int, int], ...],
        BeforeValidator(refusing(_entries)),
        PlainSerializer(_written, return_type=list[str] | dict[str, int]),
        WithJsonSchema({"type": ["array", "object"], "examples": [["1ms", "1ms", "9ms"], {"1ms": 2, "9ms": 1}]}),
    ]

    def _unclamped(self, stream: Stream) -> Sampler:
        values = [us for us, _ in self.choices]
        sums = list(accumulate(weight for _, weight in self.choices))
        total, below = sums[-1], stream.below
        if self._even():
            return lambda: values[below(total)]
        return lambda: values[bisect_right(sums, below(total))]

    def _even(self) -> bool:
        return all(weight == 1 for _, weight in self.choices)

    def ahead(self, stream: Stream) -> Sampler:
        values = [us for us, _ in self.choices]
        if not self._even() or not 1 < len(values) <= 256 or self.min is not None or self.max is not None:
            return self.sampler(stream)
        return chain.from_iterable(_blocks(values, stream.bits)).__next__

    def mean(self) -> int:
        return round(Fraction(sum(us * weight for us, weight in self.choices), sum(w for _, w in self.choices)))

    def _told(self) -> str:
        written = _written(self.choices)
        pairs = [f"{us} x{weight}" for us, weight in written.items()] if isinstance(written, dict) else written
        return "choices " + " ".join(pairs)


class Exponential(Varying):
    """Memoryless, with that mean."""

    exponential: Interval

    def _unclamped(self, stream: Stream) -> Sampler:
        mean, draw = self.exponential, stream.exponential
        return lambda: mean * draw() + 524288 >> 20

    def mean(self) -> int:
        return self.exponential

    def _told(self) -> str:
        return f"exponential {show(self.exponential)}"


class _Erlang(Strict):
    k: Annotated[int, Whole(1, 100)]
    mean: Interval


class Erlang(Varying):
    """The sum of k equal exponential steps: the larger k, the nearer to its mean."""

    erlang: _Erlang

    def _unclamped(self, stream: Stream) -> Sampler:
        steps, mean, draw = range(self.erlang.k), self.erlang.mean, stream.exponential
        scale = self.erlang.k * ONE
        return lambda: mean * sum([draw() for _ in steps]) // scale

    def mean(self) -> int:
        return self.erlang.mean

    def _told(self) -> str:
        return f"erlang-{self.erlang.k} {show(self.erlang.mean)}"


class _Lognormal(Strict):
    median: Interval
    p95: Interval

    @model_validator(mode="after")
    def _ordered(self) -> _Lognormal:
        if not self.median <= self.p95 <= 1000 * self.median:
            raise refusal(f"expected p95 from median to 1000 x median, not {show(self.p95)} for {show(self.median)}")
        return self


class Lognormal(Varying):
    """What service times look like: half below the median, one in twenty above p95."""

    lognormal: _Lognormal
    _Z95: ClassVar[Decimal] = Decimal("1.6448536269514722")

    def _unclamped(self, stream: Stream) -> Sampler:
        median, draw, log2 = (
            self.lognormal.median,
            stream.normal,
            round(self._sigma() / DECIMALS.ln(Decimal(2)) * 2**32),
        )

        def sample() -> int:
            us = exp2(median, draw() * log2 >> 32)
            return us if us < LONGEST else LONGEST

        return sample

    def _sigma(self) -> Decimal:
        with localcontext(DECIMALS):
            return (Decimal(self.lognormal.p95) / self.lognormal.median).ln() / self._Z95

    def mean(self) -> int:
        with localcontext(DECIMALS):
            return round(self.lognormal.median * (self._sigma() ** 2 / 2).exp())

    def _told(self) -> str:
        return f"lognormal {show(self.lognormal.median)} (p95 {show(self.lognormal.p95)})"


_FAMILY = Family(
    what="distribution",
    kinds={
        "uniform": Uniform,
        "choices": Choices,
        "exponential": Exponential,
        "erlang": Erlang,
        "lognormal": Lognormal,
    },
    forms="a duration such as 5s or a mapping such as {exponential: 10s} or {uniform: [1ms, 9ms]}",
    scalar=Fixed,
)

Distribution = Annotated[Fixed | Uniform | Choices | Exponential | Erlang | Lognormal, _FAMILY]
"""A field of a scenario model: `.sampler(stream)`, `.mean()` in microseconds, `str()`."""


def distribution(value: Any) -> Distribution:
    """The distribution that `value`, as read from YAML, describes; ValueError (pydantic's) when it describes none."""
    read: Distribution = _FAMILY.read(value)
    return read
