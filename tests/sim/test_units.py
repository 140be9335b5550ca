"""Durations, rates and sizes: exact in both directions, and every refusal is one line that names what is accepted."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from foreman.durations import LONGEST, duration, show
from sim.units import Duration, Interval, Rate, Size, rate, show_rate, show_size, size

DURATIONS = [
    ("250us", 250, "250us"),
    ("1ms", 1_000, "1ms"),
    ("1.5ms", 1_500, "1.5ms"),
    ("1.5s", 1_500_000, "1.5s"),
    ("90s", 90_000_000, "1m30s"),
    ("2m30s", 150_000_000, "2m30s"),
    ("5m", 300_000_000, "5m"),
    ("2h", 7_200_000_000, "2h"),
    ("1d", 86_400_000_000, "1d"),
    ("1h30m", 5_400_000_000, "1h30m"),
    ("1d2h3m4s5ms6us", 93_784_005_006, "1d2h3m4.005006s"),
    (" 3s ", 3_000_000, "3s"),
    ("90", 90_000_000, "1m30s"),
    (90, 90_000_000, "1m30s"),
    (0, 0, "0s"),
    ("0s", 0, "0s"),
    (0.1, 100_000, "100ms"),
    (0.1 + 0.2, 300_000, "300ms"),
    (1e-06, 1, "1us"),
    ("0.0000014s", 1, "1us"),
]
BAD_DURATIONS: list[Any] = [
    *("", " ", "5x", "s", "-5s", "+5s", "1e3", ".5s", "5.s", "30m1h", "1s1s", "1 s", "1h 30m", "inf", "nan", "1:30"),
    *("0.1us", "1_000", "\u0665s", "9" * 41, "300000000h", "5s\n6s", b"5s"),
    *(-1, -0.5, float("nan"), float("inf"), float("-inf"), 1e300, 10**5000, True, None, [], {}, [5]),
]


@pytest.mark.parametrize(("written", "us", "shown"), DURATIONS)
def test_duration_is_exact(written: str | float, us: int, shown: str) -> None:
    assert duration(written) == us
    assert show(us) == shown
    assert duration(shown) == us


@pytest.mark.parametrize("written", BAD_DURATIONS, ids=lambda value: repr(value)[:20] if value != 10**5000 else "huge")
def test_a_bad_duration_is_refused_in_one_line(written: Any) -> None:
    with pytest.raises(ValueError, match="write a number of seconds or 250us, 1ms") as caught:
        duration(written)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 160


@given(st.integers(0, LONGEST))
def test_duration_reads_what_show_writes(us: int) -> None:
    assert duration(show(us)) == us
    assert show(-us) == ("-" if us else "") + show(us)


@pytest.mark.parametrize(
    ("written", "us"),
    [
        ("5/s", 200_000),
        ("300/m", 200_000),
        ("10/h", 360_000_000),
        ("0.5/s", 2_000_000),
        ("1/250ms", 250_000),
        ("3/s", 333_333),
    ],
)
def test_rate_is_the_mean_interval(written: str, us: int) -> None:
    assert rate(written) == us
    assert rate(show_rate(us)) == us


@given(st.integers(1, LONGEST))
def test_rate_reads_what_show_rate_writes(us: int) -> None:
    assert rate(show_rate(us)) == us


def test_a_rate_is_shown_in_the_shortest_unit_that_is_exact() -> None:
    assert [show_rate(us) for us in (1, 200_000, 2_000_000, 700_000)] == ["1000000/s", "5/s", "30/m", "1/700ms"]


@pytest.mark.parametrize(
    "written", ["", "5", "5/", "/s", "0/s", "-5/s", "5/x", "5/0s", "700000/s", "nan/s", 5, 5.0, None, []]
)
def test_a_bad_rate_is_refused_in_one_line(written: str) -> None:
    with pytest.raises(ValueError, match="write 5/s, 300/m, 10/h or 1/250ms") as caught:
        rate(written)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "count", "shown"),
    [
        ("16Gi", 2**34, "16Gi"),
        ("512MiB", 2**29, "512Mi"),
        ("64k", 64_000, "62.5Ki"),
        ("1.5T", 15 * 10**11, "1.4Ti"),
        (512, 512, "512"),
    ],
)
def test_size(written: str | int, count: int, shown: str) -> None:
    assert size(written) == count
    assert show_size(count) == shown


@pytest.mark.parametrize("written", ["", "5Q", "-1", -1, float("nan"), True, None, "16 Gi", 10**40])
def test_a_bad_size_is_refused_in_one_line(written: str) -> None:
    with pytest.raises(ValueError, match="write a number of bytes or 64k, 512Mi"):
        size(written)


class _Fields(BaseModel):
    wait: Duration = 0
    every: Interval = 1
    pace: Rate = 1
    room: Size = 0


def test_fields_survive_a_round_trip() -> None:
    fields = _Fields.model_validate({"wait": "1m30s", "every": 5, "pace": "5/s", "room": "1Gi"})
    assert fields.model_dump() == {"wait": "1m30s", "every": "5s", "pace": "5/s", "room": 2**30}
    assert _Fields.model_validate_json(fields.model_dump_json()) == fields


def test_a_field_error_is_the_sentence_alone() -> None:
    with pytest.raises(ValidationError) as caught:
        _Fields.model_validate({"every": 0})
    assert caught.value.errors()[0]["msg"].startswith("expected a duration longer than 0s: write")


def test_the_json_schema_offers_string_or_number() -> None:
    wait = _Fields.model_json_schema()["properties"]["wait"]
    assert wait["type"] == ["string", "number"]
    assert "1.5s" in wait["examples"]


@pytest.mark.parametrize(
    ("written", "valid"), [("1h30m", True), ("1.5s", True), ("90", True), ("30m1h", False), ("", False)]
)
def test_the_json_schema_pattern_agrees_with_the_parser(written: str, valid: bool) -> None:
    pattern = _Fields.model_json_schema()["properties"]["wait"]["pattern"]
    assert bool(re.search(pattern, written)) is valid
