"""What stands after --vary."""

from __future__ import annotations

import pytest

from sim.sweep.axis import Axis, BadAxis, axis


@pytest.mark.parametrize(
    ("item", "values"),
    [
        ("a=1,2", ("1", "2")),
        ("a=10:40:10", ("10", "20", "30", "40")),
        ("a=1:4", ("1", "2", "3", "4")),
        ("a=1:10:4", ("1", "5", "9")),
        ("a=0.1:0.3:0.1", ("0.1", "0.2", "0.3")),
        ("a=1s:3s:1s", ("1s", "2s", "3s")),
        ("a=1:1000:x10", ("1", "10", "100", "1000")),
        ("a=1ms:100ms:x10", ("1ms", "10ms", "100ms")),
        ("a=[x,y],[z]", ("[x,y]", "[z]")),
        ("a={uniform: [1s, 2s]},5s", ("{uniform: [1s, 2s]}", "5s")),
        (" a.b = first-fit , best-fit ", ("first-fit", "best-fit")),
    ],
)
def test_lists_and_ranges(item: str, values: tuple[str, ...]) -> None:
    assert axis(item).values == values


def test_the_path_is_what_set_takes() -> None:
    assert axis("fleet.gpu.count=1,2") == Axis("fleet.gpu.count", ("1", "2"))
    assert axis("fleet.gpu.count=1,2").sets("2") == "fleet.gpu.count=2"


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("a", "expected path.to.field=VALUES"),
        ("=1", "expected path.to.field=VALUES"),
        ("a=", "expected path.to.field=VALUES"),
        ("a=1,,2", "a value is missing"),
        ("a=1,2,1", "1 is there twice"),
        ("a=5:1:1", "that rises"),
        ("a=1:5:0", "that rises"),
        ("a=1:5:x1", "that rises"),
        ("a=0:5:x2", "that rises"),
        ("a=1s:5m:1s", "one unit"),
        ("a=a:b", "'a' is not a number"),
        ("a=1:1000000", "more than 10,000 values"),
    ],
)
def test_what_is_wrong_is_said(item: str, why: str) -> None:
    with pytest.raises(BadAxis, match=why):
        axis(item)
