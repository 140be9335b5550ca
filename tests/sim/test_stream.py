"""The numbers themselves are pinned: a drift of platform, Python or code turns these red before it changes a digest."""

from __future__ import annotations

import math
import random
from collections import Counter
from hashlib import sha256
from itertools import pairwise
from statistics import NormalDist, fmean

import pytest

from sim.stream import ONE, Stream, exp2, exponential_edges, normal_edges


def _digest(value: object) -> str:
    return sha256(repr(value).encode()).hexdigest()[:16]


def test_first_values_of_seed_0() -> None:
    stream, items = Stream(0, "pin"), list(range(8))
    assert [stream.below(1000) for _ in range(5)] == [391, 431, 583, 550, 159]
    assert [stream.chance(0.5) for _ in range(8)] == [False, False, True, False, False, False, False, True]
    assert stream.bits(64) == 2394998537897726233
    assert stream.pick("abcdef") == "b"
    assert stream.exponential() == 174071
    assert stream.normal() == -1346208
    stream.shuffle(items)
    assert items == [7, 2, 0, 4, 3, 6, 5, 1]


def test_tables_and_long_sequences() -> None:
    stream = Stream(0, "pin")
    assert _digest(exponential_edges()) == "b1d7767272459eb3"
    assert _digest(normal_edges()) == "f6c73b8abb7c5bd3"
    assert _digest([stream.exponential() for _ in range(20_000)]) == "23e16d5939f0225f"
    assert _digest([stream.normal() for _ in range(20_000)]) == "7d1c7cf1696e4524"
    assert _digest([exp2(10**7, y) for y in range(-ONE, ONE, 997)]) == "5e48f141afc3ee9d"


def test_no_table_entry_hangs_on_the_last_bit_of_a_logarithm() -> None:
    tails = [(1 - i / 256) / 16**n for n in range(10) for i in range(240)][1:]
    scaled = [-NormalDist().inv_cdf(tail / 2) * ONE for tail in (*tails, 1 / 16**10)]
    assert min(abs(each % 1 - 0.5) for each in scaled) > 1e-5  # inv_cdf itself is good to 1e-8 on this scale


def test_streams_are_functions_of_seed_and_name_only() -> None:
    def first(seed: int, name: str) -> list[int]:
        stream = Stream(seed, name)
        return [stream.bits(32) for _ in range(4)]

    random.seed(1)
    before = first(1, "network")
    random.seed(2)
    assert first(1, "network") == before
    others = [first(2, "network"), first(1, "hosts"), first(-1, "network"), first(11, ""), first(1, "1"), before]
    assert len({tuple(each) for each in others}) == len(others)


def test_drawing_from_one_stream_leaves_another_alone() -> None:
    alone = Stream(3, "b").below(100)
    other, stream = Stream(3, "a"), Stream(3, "b")
    other.shuffle(list(range(50)))
    assert stream.below(100) == alone


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 1000])
def test_below_is_uniform(n: int) -> None:
    stream, draws = Stream(0, "below"), 20_000
    counts = Counter(stream.below(n) for _ in range(draws))
    assert set(counts) <= set(range(n))
    chi2 = sum((counts[i] - draws / n) ** 2 / (draws / n) for i in range(n))
    assert chi2 < n - 1 + 5 * math.sqrt(2 * n)


@pytest.mark.parametrize("n", [0, -1])
def test_below_nothing_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="cannot draw below"):
        Stream(0, "x").below(n)
    with pytest.raises(ValueError, match="cannot draw below 0"):
        Stream(0, "x").pick([])


def test_chance() -> None:
    stream = Stream(0, "chance")
    assert not any(stream.chance(0) for _ in range(1000))
    assert all(stream.chance(1) for _ in range(1000))
    assert fmean(stream.chance(0.3) for _ in range(100_000)) == pytest.approx(0.3, abs=0.006)


def test_shuffle_reaches_every_order_equally() -> None:
    stream, counts = Stream(0, "shuffle"), Counter[str]()
    for _ in range(12_000):
        items = list("abc")
        stream.shuffle(items)
        counts["".join(items)] += 1
    assert len(counts) == 6
    assert all(1_800 < count < 2_200 for count in counts.values())


def test_exponential_table_errs_by_less_than_the_header_says() -> None:
    edges = [each / ONE for each in exponential_edges()]
    mean = (sum(low + high for low, high in pairwise(edges)) / 512 + edges[-1] / 16) / (15 / 16)
    assert abs(mean - 1) < 2.1e-5
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    assert max(abs(-math.expm1(-x) - (i + 0.5) / 256) for i, x in enumerate(middles)) < 3e-5


def test_normal_table_errs_by_less_than_the_header_says() -> None:
    edges = [each / ONE for each in normal_edges()]
    for i, (low, high) in enumerate(pairwise(edges)):
        level, bin_ = divmod(i, 240)
        upper = (1 - (bin_ + 0.5) / 256) / 16**level / 2
        assert abs(NormalDist().cdf(-(low + high) / 2) - upper) < 3e-5


def test_exponential_sample() -> None:
    stream, draws = Stream(0, "exponential"), 200_000
    sample = sorted(stream.exponential() / ONE for _ in range(draws))
    assert fmean(sample) == pytest.approx(1, abs=0.01)
    gap = max(abs(i / draws + math.expm1(-x)) for i, x in enumerate(sample))
    assert gap < 1.63 / math.sqrt(draws)  # Kolmogorov-Smirnov at 1 %
    assert sample[-1] > 8


def test_normal_sample() -> None:
    stream, draws = Stream(0, "normal"), 100_000
    sample = sorted(stream.normal() / ONE for _ in range(draws))
    assert max(abs(i / draws - NormalDist().cdf(x)) for i, x in enumerate(sample)) < 1.63 / math.sqrt(draws)
    assert sample[0] < -3.5
    assert sample[-1] > 3.5


class _Scripted(Stream):
    """Answers with the given words instead of random ones."""

    def __init__(self, *words: int) -> None:
        left = list(words)
        self.bits = lambda k: left.pop(0)


def test_the_tails_have_no_gap_and_an_end() -> None:
    last, first, top = 0xEFFFFFFF, 0, 0xFFFFFFFF
    assert 0 <= _Scripted(top, first).exponential() - _Scripted(last).exponential() < 20
    for level in range(9):
        below, above = [top] * level + [last], [top] * (level + 1) + [1]
        assert 0 <= _Scripted(*above).normal() - _Scripted(*below).normal() < 20
    assert _Scripted(*[top] * 11).normal() / ONE == pytest.approx(7.1, abs=0.05)


@pytest.mark.parametrize("y", [-20.0, -1.5, -0.001, 0.0, 0.3, 1.0, 20.7, 43.0])
def test_exp2(y: float) -> None:
    assert exp2(10**12, int(y * ONE)) == pytest.approx(10**12 * 2 ** (int(y * ONE) / ONE), rel=1e-7, abs=1)
