"""Distributions as scenarios write them: pinned draws, right means, clear refusals."""

from __future__ import annotations

from collections import Counter
from statistics import fmean, median
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from foreman.durations import LONGEST
from sim.draw import Distribution, Fixed, Stream, Weighted, distribution

PINNED = [
    ("5s", [5000000] * 5, "5s", 5000000),
    (0.25, [250000] * 5, "250ms", 250000),
    ({"uniform": ["1ms", "9ms"]}, [4134, 4448, 5664, 5402, 2273], "uniform 1ms..9ms", 5000),
    ({"choices": ["1ms", "1ms", "2ms", "9ms"]}, [1000, 1000, 2000, 2000, 1000], "choices 1ms 1ms 2ms 9ms", 3250),
    ({"choices": ["1ms", "2ms", "9ms"]}, [2000, 2000, 9000, 9000, 1000], "choices 1ms 2ms 9ms", 4000),
    ({"choices": {"1ms": 2, "9ms": 1}}, [1000, 1000, 9000, 9000, 1000], "choices 1ms x2 9ms x1", 3667),
    ({"exponential": "10s"}, [4823656, 5464716, 8424711, 7710361, 1689453], "exponential 10s", 10000000),
    ({"erlang": {"k": 3, "mean": "10s"}}, [6237694, 4376433, 14829435, 4854860, 16594597], "erlang-3 10s", 10000000),
    (
        {"lognormal": {"median": "10s", "p95": "60s"}},
        [17233598, 18301823, 4238089, 22261923, 8076873],
        "lognormal 10s (p95 1m)",
        18099528,
    ),
    (
        {"exponential": "10s", "min": "5s", "max": "8s"},
        [5000000, 5464716, 8000000, 7710361, 5000000],
        "exponential 10s, min 5s, max 8s",
        10000000,
    ),
]
WRITTEN = [written for written, *_ in PINNED]


class _Field(BaseModel):
    wait: Distribution = Fixed(5)


@pytest.mark.parametrize(("written", "first", "text", "mean"), PINNED)
def test_first_values_of_seed_0(written: Any, first: list[int], text: str, mean: int) -> None:
    read = distribution(written)
    draw = read.sampler(Stream(0, "pin"))
    assert [draw() for _ in range(5)] == first
    assert str(read) == text
    assert read.mean() == mean


@pytest.mark.parametrize("written", WRITTEN[:-1])
def test_the_sample_mean_is_the_mean(written: Any) -> None:
    read = distribution(written)
    draw = read.sampler(Stream(1, "mean"))
    assert fmean(draw() for _ in range(50_000)) == pytest.approx(read.mean(), rel=0.02)


def test_lognormal_has_its_quantiles() -> None:
    draw = distribution({"lognormal": {"median": "10s", "p95": "60s"}}).sampler(Stream(1, "quantiles"))
    sample = [draw() for _ in range(50_000)]
    assert median(sample) == pytest.approx(10_000_000, rel=0.02)
    assert sum(us > 60_000_000 for us in sample) / len(sample) == pytest.approx(0.05, abs=0.004)


def test_degenerate_parameters() -> None:
    def few(written: Any) -> set[int]:
        draw = distribution(written).sampler(Stream(0, "few"))
        return {draw() for _ in range(100)}

    assert few({"uniform": ["3ms", "3ms"]}) == {3000}
    assert few({"choices": ["3ms"]}) == {3000}
    assert few({"choices": {"3ms": 0, "4ms": 7}}) == {4000}
    assert few({"lognormal": {"median": "3ms", "p95": "3ms"}}) == {3000}
    assert few({"exponential": "1us", "max": 0}) == {0}
    assert max(few({"lognormal": {"median": "300d", "p95": "100000d"}})) <= LONGEST


@pytest.mark.parametrize("written", WRITTEN)
def test_a_field_survives_a_round_trip(written: Any) -> None:
    field = _Field.model_validate({"wait": written})
    assert _Field.model_validate(field.model_dump()) == field
    assert _Field.model_validate_json(field.model_dump_json()) == field
    assert _Field.model_validate({"wait": field.wait}).wait is field.wait


def test_models_are_frozen() -> None:
    with pytest.raises(ValidationError):
        distribution({"exponential": "5s"}).exponential = 1  # type: ignore[union-attr]
    with pytest.raises(ValidationError):
        distribution("5s").root = 1  # type: ignore[union-attr]


REFUSED = [
    ("5x", "wait", "'5x' is not a duration: write a number"),
    (-1, "wait", "a duration cannot be negative"),
    (float("nan"), "wait", "nan is not a duration"),
    (True, "wait", "not a duration"),
    (None, "wait", "expected a duration such as 5s or a mapping such as .* not nothing"),
    ([5], "wait", "not a list"),
    ({}, "wait", "not a mapping"),
    ({"exponentail": 5}, "wait", "unknown distribution 'exponentail': .* did you mean 'exponential'?"),
    ({"min": "5s", "unifrom": [1, 2]}, "wait", "unknown distribution 'unifrom': .* did you mean 'uniform'?"),
    ({"exponential": 5, "uniform": [1, 2]}, "wait", "expected one distribution, not both 'exponential' and 'uniform'"),
    ({"exponential": 5, "mx": 1}, "wait", "unknown key 'mx': expected min, max or exponential, did you mean 'max'"),
    ({"exponential": 5, "min": 2, "max": 1}, "wait", "expected min <= max, not min 2s and max 1s"),
    ({"exponential": "5x"}, "wait.exponential", "'5x' is not a duration"),
    ({"exponential": 0}, "wait.exponential", "expected a duration longer than 0s"),
    ({"exponential": 5, "max": "x"}, "wait.max", "'x' is not a duration"),
    ({"uniform": [2, 1]}, "wait.uniform", r"expected \[shortest, longest\], not \[2s, 1s\]"),
    ({"uniform": [2]}, "wait.uniform", r"expected \[shortest, longest\], e.g"),
    ({"uniform": "2s"}, "wait.uniform", r"expected \[shortest, longest\], e.g"),
    ({"choices": []}, "wait.choices", "at least one"),
    ({"choices": "5s"}, "wait.choices", "expected durations"),
    ({"choices": ["1ms", "x"]}, "wait.choices", "'x' is not a duration"),
    ({"choices": {"1ms": -1}}, "wait.choices", "expected a whole number >= 0 as the weight of 1ms, not -1"),
    ({"choices": {"1ms": 0.5}}, "wait.choices", "expected a whole number"),
    ({"choices": {"1ms": 0}}, "wait.choices", "at least one positive weight"),
    ({"erlang": 5}, "wait.erlang", "expected k or mean in a mapping, not 5"),
    ({"erlang": {"mean": 5}}, "wait.erlang", "key 'k' is missing"),
    ({"erlang": {"k": 0, "mean": 5}}, "wait.erlang.k", "expected a whole number from 1 to 100, not 0"),
    ({"erlang": {"k": True, "mean": 5}}, "wait.erlang.k", "expected a whole number from 1 to 100, not true"),
    ({"erlang": {"k": 2.0, "mean": 5}}, "wait.erlang.k", "expected a whole number from 1 to 100, not 2.0"),
    ({"lognormal": {"median": 5, "p95": 4}}, "wait.lognormal", "expected p95 from median to 1000 x median"),
    ({"lognormal": {"median": 1, "p95": 1001}}, "wait.lognormal", "expected p95 from median to 1000 x median"),
    ({"lognormal": {"median": 0, "p95": 1}}, "wait.lognormal.median", "expected a duration longer than 0s"),
]


@pytest.mark.parametrize(("written", "path", "sentence"), REFUSED)
def test_refused_in_one_sentence_at_its_path(written: Any, path: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _Field.model_validate({"wait": written})
    (error,) = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == path
    assert "\n" not in error["msg"]
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(error["msg"])


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 2**32))
def test_uniform_stays_inside(low: int, width: int, seed: int) -> None:
    draw = distribution({"uniform": [f"{low}us", f"{low + width}us"]}).sampler(Stream(seed, "x"))
    assert all(low <= draw() <= low + width for _ in range(10))


def test_weighted_pins_and_proportions() -> None:
    mix = Weighted[str].model_validate({"GO": 0.9, "NO-GO": 0.1, "never": 0})
    draw = mix.sampler(Stream(0, "pin"))
    assert [draw() for _ in range(5)] == ["GO", "GO", "GO", "NO-GO", "GO"]
    counts = Counter(draw() for _ in range(50_000))
    assert counts["NO-GO"] / 50_000 == pytest.approx(0.1, abs=0.005)
    assert counts["never"] == 0


@pytest.mark.parametrize(
    "weights", [{"a": 0, "b": 3, "c": 0}, {"b": 1e-300}, {"b": 1.7e308, "c": 0}, {"a": 5e-324, "b": 1e308}]
)
def test_weighted_extremes(weights: dict[str, float]) -> None:
    draw = Weighted[str].model_validate(weights).sampler(Stream(0, "x"))
    assert {draw() for _ in range(200)} == {"b"}


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({}, "expected at least one positive weight"),
        ({"GO": 0}, "expected at least one positive weight"),
        ({"GO": float("nan")}, "expected a finite number >= 0 as the weight of GO, not nan"),
        ({"GO": float("inf")}, "expected a finite number >= 0 as the weight of GO, not inf"),
        ({"GO": -1}, "expected a finite number >= 0 as the weight of GO, not -1"),
        ({"GO": True}, "expected a finite number >= 0 as the weight of GO, not True"),
        ({"GO": "1"}, "expected a finite number >= 0 as the weight of GO, not '1'"),
        ("GO", "expected weights such as"),
        ({"MAYBE": 1}, "Input should be 'GO' or 'NO-GO'"),
    ],
)
def test_weighted_refusals(written: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Weighted[Literal["GO", "NO-GO"]].model_validate(written)
    (error,) = caught.value.errors()
    assert error["msg"].startswith(sentence)


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_json_schema_lists_every_kind(mode: Literal["validation", "serialization"]) -> None:
    schema = _Field.model_json_schema(mode=mode)
    kinds = {each["$ref"].rpartition("/")[2] for each in schema["properties"]["wait"]["anyOf"]}
    assert kinds == {"Fixed", "Uniform", "Choices", "Exponential", "Erlang", "Lognormal"}
    assert Weighted[str].model_json_schema(mode=mode)["additionalProperties"]["type"] == "number"
