"""Durations, rates and sizes as scenario files write them: whole microseconds and bytes in memory, exact both ways."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from foreman.durations import (
    FORMS,
    LONGEST,
    NUMBER,
    PATTERN,
    UNITS,
    compound,
    decimal,
    duration,
    exact_number,
    quoted,
    show,
)
from sim.kinds import refusing

_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_RATE = re.compile(rf"({NUMBER})/(.+)")
_SIZE = re.compile(rf"({NUMBER})([kMGT]|[KMGT]i)?B?")

_RATE_FORMS = "write 5/s, 300/m, 10/h or 1/250ms"
_SIZE_FORMS = "write a number of bytes or 64k, 512Mi, 16Gi, 1.5T"


def rate(value: str | int | float) -> int:
    """The mean interval in whole microseconds of '5/s', '300/m', '10/h' or '1/250ms'.

    Raises ValueError for anything else, and where whole microseconds would miss the rate by more than 1 %.
    """
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 40 else None
    period = match and (UNITS.get(match[2]) or compound(match[2]))
    if not match or not period:
        raise ValueError(f"{quoted(value)} is not a rate: {_RATE_FORMS}")
    number = Fraction(match[1])
    if not number or period / number > LONGEST:
        raise ValueError(f"a rate cannot be zero or slower than once in 285 years: {_RATE_FORMS}")
    us = round(period / number)
    if abs(us * number - period) * 100 > period:
        raise ValueError(f"the rate {value} is not near a whole number of microseconds apart: {_RATE_FORMS}")
    return us


def show_rate(us: int) -> str:
    """The rate with mean interval `us`, which `rate` reads back exactly: 200000 -> '5/s'."""
    for unit in ("s", "m", "h", "d"):
        count = round(Fraction(UNITS[unit], us))
        if count and round(Fraction(UNITS[unit], count)) == us:
            return f"{count}/{unit}"
    return f"1/{show(us)}"


def size(value: str | int | float) -> int:
    """Bytes, rounded to the nearest, of '512Mi', '16Gi', '64k' or a plain number; ValueError for anything else."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 40 else None
    exact = Fraction(match[1]) * _BYTES[match[2] or ""] if match else exact_number(value)
    if exact is None or not 0 <= exact <= LONGEST:
        raise ValueError(f"{quoted(value)} is not a size: {_SIZE_FORMS}")
    return round(exact)


def show_size(count: int) -> str:
    """`count` bytes in the largest fitting binary unit, to one decimal: '512', '1.5Ki', '16Gi'."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if abs(count) >= _BYTES[unit]:
            return f"{decimal(round(Fraction(count * 10, _BYTES[unit])), 1)}{unit}"
    return str(count)


def _interval(value: Any) -> int:
    us = duration(value)
    if not us:
        raise ValueError(f"expected a duration longer than 0s: {FORMS}")
    return us


_DURATION_SCHEMA = {
    "type": ["string", "number"],
    "pattern": PATTERN,
    "minimum": 0,
    "examples": ["250us", "1ms", "1.5s", "5m", "1h30m", 90],
}
_RATE_SCHEMA = {"type": "string", "pattern": f"^{NUMBER}/", "examples": ["5/s", "300/m", "10/h", "1/250ms"]}
_SIZE_SCHEMA = {
    "type": ["string", "integer"],
    "pattern": f"^{NUMBER}([kMGT]|[KMGT]i)?B?$",
    "minimum": 0,
    "examples": ["512Mi", "16Gi", 4096],
}

Duration = Annotated[
    int,
    BeforeValidator(refusing(duration)),
    PlainSerializer(show, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""Microseconds in memory, '1.5s' or a number of seconds in files. A default is written in microseconds."""

Interval = Annotated[
    int,
    BeforeValidator(refusing(_interval)),
    PlainSerializer(show, return_type=str),
    WithJsonSchema({**_DURATION_SCHEMA, "minimum": 0.000001}),
]
"""A Duration longer than nothing."""

Rate = Annotated[
    int,
    BeforeValidator(refusing(rate)),
    PlainSerializer(show_rate, return_type=str),
    WithJsonSchema(_RATE_SCHEMA),
]
"""Mean interval in microseconds in memory, '5/s' in files."""

Size = Annotated[int, BeforeValidator(refusing(size)), WithJsonSchema(_SIZE_SCHEMA)]
"""Bytes in memory, '16Gi' or a number of bytes in files."""

Chance = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
"""A probability."""


def _signed(value: Any) -> int:
    if isinstance(value, str) and value.startswith("-"):
        return -duration(value[1:])
    if isinstance(value, int | float) and value < 0:
        return -duration(-value)
    return duration(value)


Signed = Annotated[
    int,
    BeforeValidator(refusing(_signed)),
    PlainSerializer(show, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "examples": ["-2m", "90s"]}),
]
"""A Duration that may be negative: '-2m'."""
