"""Seeded randomness in integers only: the same numbers on every machine and every Python.

Of `random.Random` only `getrandbits` is used: the Mersenne Twister and its seeding from an integer are fixed, while the
methods above it have changed between versions. No libm function decides a draw.

Theory of the two tables. A variable is drawn by inverting its distribution: 8 random bits choose one of 256 equally
likely bins, the rest interpolate linearly between the quantiles at the bin's edges. Where the tail is steep, the last
16 bins (probability 1/16), no interpolation is made; a new word is drawn for the tail beyond that edge instead:
- exponential: the tail of Exp(1) beyond ln 16 is again Exp(1), exactly, so the offset is added and the draw repeated;
- normal (of |Z|, the sign is a bit of its own): the tail beyond level n is cut into 256 bins of 16**-n / 256 each.
  Ten levels reach probability 2**-40 (7.1 sigma); what lies beyond is drawn from the bin before that edge.

Error. The inverse is exact at bin edges (up to the 2**-20 rounding), so the CDF is wrong only inside a bin, by at most
bin probability x curvature: inside a bin the density changes at most by 17/16, a chord then errs by less than
ln(17/16) / 8 = 0.8 % of the bin, hence |CDF error| < 0.008 / 256 = 3e-5. The mean of Exp(1) is too large by the area
between chords and curve: the sum of h**3 Q'' / 12 with h = 1/256 and Q' rising from 1 to 16 is 15 h**2 / 12 = 1.9e-5,
and with the repeats 16/15 of it, 2e-5. For the normal the widest steep bin is 0.06 / z wide, which moves the mean of
a lognormal by less than 4e-5 up to sigma 3; at sigma 4.2, the most a scenario may write, the cut costs it 0.16 %.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import cache
from hashlib import sha256
from random import Random
from statistics import NormalDist
from typing import Any, TypeVar

T = TypeVar("T")

ONE = 2**20
"""Fixed point: `exponential`, `normal` and the argument of `exp2` count in units of 2**-20."""

DECIMALS = Context(prec=40, rounding=ROUND_HALF_EVEN)
"""Decimal arithmetic with ln and exp correctly rounded, whatever context the caller has set."""

_BINS, _STEEP, _LEVELS = 256, 240, 10


class Stream:
    """One named sequence of random numbers, a function of (seed, name) alone.

    Streams of different names are independent, so drawing more in one place never changes another.
    `bits(k)` gives k uniform random bits as an int in [0, 2**k).
    """

    __slots__ = ("_name", "_seed", "bits")

    bits: Callable[[int], int]

    def __init__(self, seed: int, name: str) -> None:
        self._seed = seed
        self._name = name

    def __getattr__(self, name: str) -> Any:
        """Seeded when first drawn from, for it takes as long as a hundred draws: many a stream of a short run has none."""
        if name != "bits":
            raise AttributeError(name)
        digest = sha256(f"{self._seed}\0{self._name}".encode()).digest()
        self.bits = Random(int.from_bytes(digest, "big")).getrandbits
        return self.bits

    def below(self, n: int) -> int:
        """Uniform in [0, n); ValueError unless n is positive."""
        if n < 1:
            raise ValueError(f"cannot draw below {n}")
        bits, width = self.bits, (n - 1).bit_length()
        drawn = bits(width)
        while drawn >= n:
            drawn = bits(width)
        return drawn

    def chance(self, p: float) -> bool:
        """True with probability p, to 2**-53; always takes one draw, so that p = 0 shifts nothing after it."""
        return self.bits(53) < int(p * 9007199254740992)

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Put `items` in a uniformly random order, in place."""
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]

    def pick(self, items: Sequence[T]) -> T:
        """One of `items`, all equally likely; ValueError when there is none."""
        return items[self.below(len(items))]

    def exponential(self) -> int:
        """Exp(1) in units of 2**-20."""
        bits, edges, offset = self.bits, exponential_edges(), 0
        word = bits(32)
        while word >= 0xF0000000:
            offset += edges[_STEEP]
            word = bits(32)
        bin_ = word >> 24
        low = edges[bin_]
        return offset + low + ((edges[bin_ + 1] - low) * (word & 0xFFFFFF) >> 24)

    def normal(self) -> int:
        """The standard normal in units of 2**-20."""
        bits, edges, level = self.bits, normal_edges(), 0
        word = bits(32)
        while word >= 0xF0000000 and level < _LEVELS:
            level += 1
            word = bits(32)
        bin_ = level * _STEEP + (word >> 24) if level < _LEVELS else len(edges) - 2
        low = edges[bin_]
        size = low + ((edges[bin_ + 1] - low) * (word & 0xFFFFFE) >> 24)
        return size if word & 1 else -size


@cache
def exponential_edges() -> tuple[int, ...]:
    """Quantiles -ln(1 - i/256) for i = 0..240 in units of 2**-20."""
    with localcontext(DECIMALS):
        return tuple(round((Decimal(_BINS) / (_BINS - i)).ln() * ONE) for i in range(_STEEP + 1))


@cache
def normal_edges() -> tuple[int, ...]:
    """Quantiles of |Z| in units of 2**-20 where the upper tail is 16**-n (1 - i/256), i = 0..239 of levels n = 0..9.

    The one use of a floating point logarithm: `inv_cdf` is good to about 1e-14 and no entry lies within 6e-11 of a
    rounding boundary, so no libm can move one (a test pins both).
    """
    quantile = NormalDist().inv_cdf
    tails = [(1 - i / _BINS) / 16**n for n in range(_LEVELS) for i in range(_STEEP)]
    return tuple(round(-quantile(tail / 2) * ONE) for tail in (*tails, 1 / 16**_LEVELS))


@cache
def _powers() -> tuple[int, ...]:
    """2**(i/1024) for i = 0..1024 in units of 2**-48."""
    with localcontext(DECIMALS):
        root, power, powers = Decimal(2), Decimal(1), []
        for _ in range(10):
            root = root.sqrt()
        for _ in range(1025):
            powers.append(round(power * 2**48))
            power *= root
    return tuple(powers)


def exp2(factor: int, y: int) -> int:
    """`factor` x 2**(y / 2**20), rounded down, for y below 48 x 2**20.

    Between two entries the chord errs by at most (ln 2 / 1024)**2 / 8 = 6e-8 of the value.
    """
    powers, i = _powers(), (y & 0xFFFFF) >> 10
    low = powers[i]
    return factor * (low + ((powers[i + 1] - low) * (y & 0x3FF) >> 10)) >> (48 - (y >> 20))
