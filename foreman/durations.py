"""Durations as people write them: whole microseconds in memory, exact both ways."""

from __future__ import annotations

import math
import re
from fractions import Fraction

LONGEST = 2**53 - 1
"""The longest duration in microseconds, 285 years: every JSON reader still holds it exactly."""

UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
NUMBER = r"[0-9]+(?:\.[0-9]+)?"
# Largest unit first and each at most once, so that a slip such as 30m1h is refused.
_PARTS = "".join(rf"(?:({NUMBER}){unit})?" for unit in UNITS)
_DURATION = re.compile(rf"(?=[0-9]){_PARTS}")
PATTERN = f"^(?:{NUMBER}|(?=[0-9]){_PARTS})$"
FORMS = "write a number of seconds or 250us, 1ms, 1.5s, 90s, 5m, 2h, 1d, 1h30m"


def duration(value: str | int | float) -> int:
    """Microseconds, rounded to the nearest, of '1.5s', '1h30m' or a plain number of seconds.

    Raises ValueError, in one line that names the accepted forms, for anything else: NaN, infinite, negative, empty,
    an unknown unit, more than LONGEST, or more than nothing and yet nearest to 0us.
    """
    seconds = exact_number(value)
    exact = compound(value) if seconds is None else seconds * 1_000_000
    if exact is None:
        raise ValueError(f"{quoted(value)} is not a duration: {FORMS}")
    if exact < 0:
        raise ValueError(f"a duration cannot be negative: {FORMS}")
    if exact > LONGEST:
        raise ValueError(f"a duration cannot exceed 285 years: {FORMS}")
    us = round(exact)
    if exact and not us:
        raise ValueError(f"a duration cannot be finer than 1us: {FORMS}")
    return us


def show(us: int) -> str:
    """The short human form, which `duration` reads back exactly: '250us', '1.5s', '2m30s', '3h', '0s'."""
    if us < 0:
        return "-" + show(-us)
    if us < 1_000:
        return f"{us}us" if us else "0s"
    if us < 1_000_000:
        return decimal(us, 3) + "ms"
    text = ""
    for unit in ("d", "h", "m"):
        count, us = divmod(us, UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text + (decimal(us, 6) + "s" if us else "")


def exact_number(value: object) -> Fraction | None:
    """A plain number, also as text; None for anything else."""
    if isinstance(value, str) and len(value) <= 40 and re.fullmatch(NUMBER, value.strip()):
        return Fraction(value.strip())
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    # The shortest decimal that names the float is what the author wrote: 0.1 is a tenth, not 2**-55 more.
    return Fraction(repr(value)) if isinstance(value, float) and math.isfinite(value) else None


def compound(value: object) -> Fraction | None:
    """Microseconds of '1h30m' and the like; None for anything else."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 40 else None
    if match is None:
        return None
    parts = zip(match.groups(), UNITS.values(), strict=True)
    return sum((Fraction(number) * unit for number, unit in parts if number), Fraction(0))


def decimal(count: int, places: int) -> str:
    """`count` / 10**`places` without trailing zeros."""
    sign, (head, tail) = "-" if count < 0 else "", divmod(abs(count), 10**places)
    return f"{sign}{head}.{tail:0{places}}".rstrip("0").rstrip(".")


def quoted(value: object) -> str:
    """`value` as an error message cites it: bounded."""
    return repr(value[:40]) if isinstance(value, str | bytes) else repr(value)[:40]
