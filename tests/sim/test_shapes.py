"""Every shape points backwards and every arrival process runs forwards; the small ones are written out."""

from __future__ import annotations

from itertools import islice, pairwise
from statistics import fmean
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from sim.draw import Stream
from sim.shapes import Arrivals, Batch, Independent, Shape, arrivals, shape

EDGES = [
    ("independent", [(), (), ()]),
    ({"independent": {}}, [(), ()]),
    ({"chain": {"length": 3}}, [(), (0,), (1,), (), (3,), (4,), ()]),
    ({"chain": {"length": 1}}, [(), ()]),
    ({"fan-out": {"width": 2}}, [(), (0,), (0,), (), (3,)]),
    ({"fan-in": {"width": 2}}, [(), (), (0, 1), (), (), (3, 4), ()]),
    ({"diamond": {"width": 2}}, [(), (0,), (0,), (1, 2), (), (4,), (4,), (5, 6)]),
    ({"tree": {"branching": 2, "depth": 2}}, [(), (0,), (0,), (1,), (1,), (2,), (2,), (), (7,)]),
    ({"tree": {"branching": 1, "depth": 2}}, [(), (0,), (1,), (), (3,)]),
    ({"random-dag": {"max_parents": 3, "window": 4}}, [(), (0,), (0,), (1, 2), (0, 1), (), (), (4,)]),
    ({"random-dag": {"max_parents": 0, "window": 4}}, [(), (), ()]),
]
TIMES = [
    ("batch", [0, 0, 0]),
    ({"batch": {"at": "5s"}}, [5_000_000] * 3),
    ({"batch": {}}, [0]),
    ({"every": "100ms"}, [0, 100_000, 200_000]),
    ({"bursts": {"size": 2, "every": "1m"}}, [0, 0, 60_000_000, 60_000_000, 120_000_000]),
    ({"poisson": "5/s"}, [96473, 205767, 374261, 528468, 562257]),
]
WIDE = st.integers(1, 30)
SHAPES = st.one_of(
    st.just("independent"),
    st.builds(lambda n: {"chain": {"length": n}}, WIDE),
    st.builds(lambda kind, n: {kind: {"width": n}}, st.sampled_from(["fan-out", "fan-in", "diamond"]), WIDE),
    st.builds(lambda k, n: {"random-dag": {"max_parents": k, "window": n}}, st.integers(0, 10), WIDE),
    st.builds(lambda b, d: {"tree": {"branching": b, "depth": d}}, WIDE, WIDE),
)
PROCESSES = st.one_of(
    st.just("batch"),
    st.builds(lambda us: {"every": f"{us}us"}, st.integers(1, 10**9)),
    st.builds(lambda n: {"poisson": f"{n}/h"}, st.integers(1, 10**6)),
    st.builds(lambda n, us: {"bursts": {"size": n, "every": f"{us}us"}}, WIDE, st.integers(1, 10**9)),
)


class _Fields(BaseModel):
    shape: Shape = Independent()
    arrivals: Arrivals = Batch()


@pytest.mark.parametrize(("written", "expected"), EDGES)
def test_edges(written: Any, expected: list[tuple[int, ...]]) -> None:
    assert list(shape(written).edges(len(expected), Stream(0, "pin"))) == list(enumerate(expected))


@pytest.mark.parametrize(("written", "expected"), TIMES)
def test_times(written: Any, expected: list[int]) -> None:
    assert list(arrivals(written).times(len(expected), Stream(0, "pin"))) == expected


@given(SHAPES, st.integers(0, 200), st.integers(0, 2**32))
def test_edges_point_backwards_and_are_repeatable(written: Any, count: int, seed: int) -> None:
    edges = list(shape(written).edges(count, Stream(seed, "x")))
    assert [task for task, _ in edges] == list(range(count))
    for task, parents in edges:
        assert all(0 <= parent < task for parent in parents)
        assert list(parents) == sorted(set(parents))
    assert list(shape(written).edges(count, Stream(seed, "x"))) == edges


@given(PROCESSES, st.integers(0, 200), st.integers(0, 2**32))
def test_times_never_decrease_and_are_repeatable(written: Any, count: int, seed: int) -> None:
    times = list(arrivals(written).times(count, Stream(seed, "x")))
    assert len(times) == count
    assert all(each >= 0 for each in times)
    assert times == sorted(times)
    assert list(arrivals(written).times(count, Stream(seed, "x"))) == times


@given(st.integers(1, 6), st.integers(1, 4))
def test_a_tree_repeats_at_its_size(branching: int, depth: int) -> None:
    size = sum(branching**level for level in range(depth + 1))
    edges = list(shape({"tree": {"branching": branching, "depth": depth}}).edges(2 * size, Stream(0, "x")))
    assert [task for task, parents in edges if not parents] == [0, size]


@pytest.mark.parametrize(
    "written", [written for written, _ in EDGES] + [{"tree": {"branching": 100_000, "depth": 100_000}}]
)
def test_edges_are_lazy(written: Any) -> None:
    assert len(list(islice(shape(written).edges(10**12, Stream(0, "x")), 5))) == 5


@pytest.mark.parametrize("written", [written for written, _ in TIMES])
def test_times_are_lazy(written: Any) -> None:
    assert len(list(islice(arrivals(written).times(10**12, Stream(0, "x")), 5))) == 5


def test_random_dag_stays_in_its_window() -> None:
    edges = shape({"random-dag": {"max_parents": 3, "window": 5}}).edges(20_000, Stream(0, "dag"))
    numbers = []
    for task, parents in edges:
        assert all(task - 5 <= parent < task for parent in parents)
        numbers.append(len(parents))
    assert set(numbers) == {0, 1, 2, 3}


def test_poisson_keeps_its_rate_even_when_fast() -> None:
    *_, last = arrivals({"poisson": "1000000/s"}).times(100_000, Stream(0, "poisson"))
    assert last == pytest.approx(100_000, rel=0.01)
    times = list(arrivals({"poisson": "5/s"}).times(50_000, Stream(0, "poisson")))
    gaps = [b - a for a, b in pairwise(times)]
    assert fmean(gaps) == pytest.approx(200_000, rel=0.02)


REFUSED = [
    ("shape", "chian", "shape", "unknown shape 'chian': expected independent, .* did you mean 'chain'"),
    ("shape", "chain", "shape", "expected independent or a mapping such as {chain: {length: 5}} .* not 'chain'"),
    ("shape", {"fan_out": {"width": 1}}, "shape", "unknown shape 'fan_out': .* did you mean 'fan-out'"),
    ("shape", {"zzz": 1}, "shape", "unknown shape 'zzz': expected independent, chain, .* or tree$"),
    ("shape", {1: 1}, "shape", "unknown shape '1'"),
    ("shape", {"chain": {"length": 1}, "tree": {}}, "shape", "expected one shape, not both 'chain' and 'tree'"),
    ("shape", {"chain": {"length": 1}, "width": 2}, "shape", "unknown key 'width': expected chain"),
    ("shape", 5, "shape", "expected independent or .* not 5"),
    ("shape", None, "shape", "not nothing"),
    ("shape", {"chain": 5}, "shape.chain", "expected length in a mapping, not 5"),
    ("shape", {"chain": {}}, "shape.chain", "key 'length' is missing: expected length"),
    ("shape", {"chain": {"lenght": 5}}, "shape.chain", "unknown key 'lenght': .* did you mean 'length'"),
    ("shape", {"chain": {"length": 0}}, "shape.chain.length", "expected a whole number from 1 to 100000, not 0"),
    ("shape", {"fan-in": {"width": -1}}, "shape.fan-in.width", "expected a whole number from 1 to 100000, not -1"),
    ("shape", {"fan-in": {"width": "3"}}, "shape.fan-in.width", "expected a whole number .* not '3'"),
    ("shape", {"independent": {"x": 1}}, "shape.independent", "unknown key 'x': expected nothing"),
    ("arrivals", {"poison": "5/s"}, "arrivals", "unknown arrival process 'poison': .* did you mean 'poisson'"),
    ("arrivals", {"poisson": 5}, "arrivals.poisson", "5 is not a rate: write 5/s"),
    ("arrivals", {"poisson": "0/s"}, "arrivals.poisson", "a rate cannot be zero"),
    ("arrivals", {"every": 0}, "arrivals.every", "expected a duration longer than 0s"),
    ("arrivals", {"every": float("nan")}, "arrivals.every", "nan is not a duration"),
    ("arrivals", {"batch": "5s"}, "arrivals.batch", "expected at in a mapping, not '5s'"),
    ("arrivals", {"bursts": {"size": 0, "every": 1}}, "arrivals.bursts.size", "expected a whole number from 1"),
    ("arrivals", "every", "arrivals", "expected batch or a mapping such as .* not 'every'"),
]


@pytest.mark.parametrize(("field", "written", "path", "sentence"), REFUSED)
def test_refused_in_one_sentence_at_its_path(field: str, written: Any, path: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _Fields.model_validate({field: written})
    (error,) = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == path
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(error["msg"])


@pytest.mark.parametrize(("field", "written"), [("shape", w) for w, _ in EDGES] + [("arrivals", w) for w, _ in TIMES])
def test_fields_survive_a_round_trip(field: str, written: Any) -> None:
    fields = _Fields.model_validate({field: written})
    assert _Fields.model_validate(fields.model_dump()) == fields
    assert _Fields.model_validate_json(fields.model_dump_json()) == fields


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_json_schema_lists_every_kind_and_bare_word(mode: Literal["validation", "serialization"]) -> None:
    properties = _Fields.model_json_schema(mode=mode)["properties"]
    assert properties["shape"]["anyOf"][0] == {"enum": ["independent"]}
    assert properties["arrivals"]["anyOf"][0] == {"enum": ["batch"]}
    assert len(properties["shape"]["anyOf"]) == 8
    assert len(properties["arrivals"]["anyOf"]) == 5
