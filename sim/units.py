"""Durations, rates and sizes as scenario files write them: whole microseconds and bytes in memory, exact both ways."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from sim.kinds import refusing

LONGEST = 2**53 - 1
"""The longest duration in microseconds, 285 years: every JSON reader still holds it exactly."""

_UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
# Largest unit first and each at most once, so that a slip such as 30m1h is refused.
_PARTS = "".join(rf"(?:({_NUMBER}){unit})?" for unit in _UNITS)
_DURATION = re.compile(rf"(?=[0-9]){_PARTS}")
_PATTERN = f"^(?:{_NUMBER}|(?=[0-9]){_PARTS})$"
_RATE = re.compile(rf"({_NUMBER})/(.+)")
_SIZE = re.compile(rf"({_NUMBER})([kMGT]|[KMGT]i)?B?")

_FORMS = "write a number of seconds or 250us, 1ms, 1.5s, 90s, 5m, 2h, 1d, 1h30m"
_RATE_FORMS = "write 5/s, 300/m, 10/h or 1/250ms"
_SIZE_FORMS = "write a number of bytes or 64k, 512Mi, 16Gi, 1.5T"


def duration(value: str | int | float) -> int:
    """Microseconds, rounded to the nearest, of '1.5s', '1h30m' or a plain number of seconds.

    Raises ValueError, in one line that names the accepted forms, for anything else: NaN, infinite, negative, empty,
    an unknown unit, more than LONGEST, or more than nothing and yet nearest to 0us.
    """
    seconds = _plain(value)
    exact = _compound(value) if seconds is None else seconds * 1_000_000
    if exact is None:
        raise ValueError(f"{_quoted(value)} is not a duration: {_FORMS}")
    if exact < 0:
        raise ValueError(f"a duration cannot be negative: {_FORMS}")
    if exact > LONGEST:
        raise ValueError(f"a duration cannot exceed 285 years: {_FORMS}")
    us = round(exact)
    if exact and not us:
        raise ValueError(f"a duration cannot be finer than 1us: {_FORMS}")
    return us


def show(us: int) -> str:
    """The short human form, which `duration` reads back exactly: '250us', '1.5s', '2m30s', '3h', '0s'."""
    if us < 0:
        return "-" + show(-us)
    if us < 1_000:
        return f"{us}us" if us else "0s"
    if us < 1_000_000:
        return _decimal(us, 3) + "ms"
    text = ""
    for unit in ("d", "h", "m"):
        count, us = divmod(us, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text + (_decimal(us, 6) + "s" if us else "")


def rate(value: str | int | float) -> int:
    """The mean interval in whole microseconds of '5/s', '300/m', '10/h' or '1/250ms'.

    Raises ValueError for anything else, and where whole microseconds would miss the rate by more than 1 %.
    """
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 40 else None
    period = match and (_UNITS.get(match[2]) or _compound(match[2]))
    if not match or not period:
        raise ValueError(f"{_quoted(value)} is not a rate: {_RATE_FORMS}")
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
        count = round(Fraction(_UNITS[unit], us))
        if count and round(Fraction(_UNITS[unit], count)) == us:
            return f"{count}/{unit}"
    return f"1/{show(us)}"


def size(value: str | int | float) -> int:
    """Bytes, rounded to the nearest, of '512Mi', '16Gi', '64k' or a plain number; ValueError for anything else."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 40 else None
    exact = Fraction(match[1]) * _BYTES[match[2] or ""] if match else _plain(value)
    if exact is None or not 0 <= exact <= LONGEST:
        raise ValueError(f"{_quoted(value)} is not a size: {_SIZE_FORMS}")
    return round(exact)


def show_size(count: int) -> str:
    """`count` bytes in the largest fitting binary unit, to one decimal: '512', '1.5Ki', '16Gi'."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if abs(count) >= _BYTES[unit]:
            return f"{_decimal(round(Fraction(count * 10, _BYTES[unit])), 1)}{unit}"
    return str(count)


def _plain(value: object) -> Fraction | None:
    if isinstance(value, str) and len(value) <= 40 and re.fullmatch(_NUMBER, value.strip()):
        return Fraction(value.strip())
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    # The shortest decimal that names the float is what the author wrote: 0.1 is a tenth, not 2**-55 more.
    return Fraction(repr(value)) if isinstance(value, float) and math.isfinite(value) else None


def _compound(value: object) -> Fraction | None:
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 40 else None
    if match is None:
        return None
    parts = zip(match.groups(), _UNITS.values(), strict=True)
    return sum((Fraction(number) * unit for number, unit in parts if number), Fraction(0))


def _decimal(count: int, places: int) -> str:
    sign, (head, tail) = "-" if count < 0 else "", divmod(abs(count), 10**places)
    return f"{sign}{head}.{tail:0{places}}".rstrip("0").rstrip(".")


def _quoted(value: object) -> str:
    return repr(value[:40]) if isinstance(value, str | bytes) else repr(value)[:40]


def _interval(value: Any) -> int:
    us = duration(value)
    if not us:
        raise ValueError(f"expected a duration longer than 0s: {_FORMS}")
    return us


_DURATION_SCHEMA = {
    "type": ["string", "number"],
    "pattern": _PATTERN,
    "minimum": 0,
    "examples": ["250us", "1ms", "1.5s", "5m", "1h30m", 90],
}
_RATE_SCHEMA = {"type": "string", "pattern": f"^{_NUMBER}/", "examples": ["5/s", "300/m", "10/h", "1/250ms"]}
_SIZE_SCHEMA = {
    "type": ["string", "integer"],
    "pattern": f"^{_NUMBER}([kMGT]|[KMGT]i)?B?$",
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
