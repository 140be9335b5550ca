"""`--vary path.to.field=10:100:10` or `=first-fit,best-fit`: a field of the scenario and the values it takes in turn."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

MOST = 10_000
"""Values of one axis; more is a slip of the pen."""
_EXAMPLE = "e.g. --vary fleet.gpu.count=10:100:10, or --vary policy=first-fit,best-fit"
_RANGE = re.compile(r"(?P<first>[^:,\[{]+):(?P<last>[^:]+)(?::(?P<step>[^:]+))?")
_NUMBER = re.compile(r"(?P<number>-?[0-9]+(\.[0-9]+)?)(?P<unit>[a-zµ]*)")
_COMMA = re.compile(r",(?![^\[{]*[\]}])")


class BadAxis(ValueError):
    """What is wrong with a `--vary`, and how to mend it."""


class Axis(NamedTuple):
    """`path` as in `--set`; `values` as they would be written after it."""

    path: str
    values: tuple[str, ...]

    def sets(self, value: str) -> str:
        """The `--set` that gives the field this value."""
        return f"{self.path}={value}"


def axis(item: str) -> Axis:
    """Read what stands after `--vary`. Raises BadAxis."""
    path, equals, text = item.partition("=")
    path, text = path.strip(), text.strip()
    if not equals or not path or not text:
        raise BadAxis(f"--vary {item}: expected path.to.field=VALUES, {_EXAMPLE}")
    span = _RANGE.fullmatch(text)
    values = _counted(item, **span.groupdict()) if span else [each.strip() for each in _COMMA.split(text)]
    if not all(values):
        raise BadAxis(f"--vary {item}: a value is missing between the commas")
    twice = next((each for each in values if values.count(each) > 1), None) if len(values) < MOST else None
    if twice is not None:
        raise BadAxis(f"--vary {item}: {twice} is there twice")
    return Axis(path, tuple(values))


def _counted(item: str, first: str, last: str, step: str | None) -> list[str]:
    """first, first + step ... up to last, that included; a step of x2 multiplies."""
    times = step is not None and step.startswith("x")
    low, unit = _number(item, first)
    high, other = _number(item, last)
    by, third = _number(item, step.removeprefix("x")) if step is not None else (Decimal(1), unit)
    if other != unit or (third != unit and not times):
        raise BadAxis(f"--vary {item}: the parts of a range have one unit, as in 10s:60s:10s")
    if high < low or by <= (1 if times else 0) or (times and low <= 0):
        raise BadAxis(f"--vary {item}: expected FIRST:LAST:STEP that rises, e.g. 10:100:10 or 1:1000:x10")
    values = []
    while low <= high:
        values.append(f"{low.normalize():f}{unit}")
        low = low * by if times else low + by
        if len(values) > MOST:
            raise BadAxis(f"--vary {item}: more than {MOST:,} values: take a larger step")
    return values


def _number(item: str, text: str) -> tuple[Decimal, str]:
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise BadAxis(f"--vary {item}: {text!r} is not a number: a range is FIRST:LAST:STEP, a list a,b,c")
    return Decimal(found["number"]), found["unit"]
