"""What is asked of a fleet: 'wait p95 < 10m', 'failed == 0', 'utilisation > 0.6'."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from foreman.durations import duration
from sim.sweep.estimate import Estimate

_STATISTICS = ("mean", "p50", "p95", "p99", "max")
_SHORT = {
    "failed": "tasks.failed",
    "unended": "tasks.unended",
    "makespan": "makespan_seconds",
    "utilisation": "utilisation",
    "conflicts": "conflicts",
}
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
}  # fmt: skip
_WRITTEN = re.compile(r"\s*(?P<what>[A-Za-z_.]+(\s+[a-z0-9]+)?)\s*(?P<sign><=|>=|==|<|>)\s*(?P<value>\S+)\s*")
_EXPECTED = "expected METRIC [STATISTIC] SIGN VALUE, as in 'wait p95 < 10m' or 'failed == 0'"


class BadSlo(ValueError):
    """What is wrong with it, and how to write it."""


class Slo(NamedTuple):
    """`metric`: a column of a sweep's rows; times in seconds."""

    text: str
    metric: str
    sign: str
    value: float

    def met(self, value: float) -> bool:
        return _OPERATORS[self.sign](value, self.value)

    def sure(self, found: Estimate) -> bool:
        """Met by the whole interval, not by the mean only."""
        return self.met(found.low) and self.met(found.high)


def asked(texts: Sequence[str]) -> list[Slo]:
    """All of them, and that every task comes to an end, unless they say otherwise: waits that never ended are in no statistic.
    Raises BadSlo."""
    given = [slo(text) for text in texts]
    return given if any(each.metric == "tasks.unended" for each in given) else [*given, slo("unended == 0")]


def slo(text: str) -> Slo:
    """Read one. Raises BadSlo."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise BadSlo(f"--slo {text!r}: {_EXPECTED}")
    metric = _column(text, found["what"].split())
    return Slo(text, metric, found["sign"], _value(text, metric, found["value"]))


def _column(text: str, words: list[str]) -> str:
    name, *statistic = words
    if name == "wait":
        stat = statistic[0] if statistic else "mean"
        if stat not in _STATISTICS:
            raise BadSlo(f"--slo {text!r}: {stat!r} is none of {', '.join(_STATISTICS)}")
        return f"wait_seconds.{stat}"
    if statistic:
        raise BadSlo(f"--slo {text!r}: only wait has statistics ({', '.join(_STATISTICS)})")
    if name in _SHORT:
        return _SHORT[name]
    if "." in name or "_" in name:
        return name
    raise BadSlo(f"--slo {text!r}: {name!r} is none of wait, {', '.join(_SHORT)}, or a column such as tasks.succeeded")


def _value(text: str, metric: str, written: str) -> float:
    try:
        if "seconds" in metric:
            return duration(written) / 1e6
        return float(written.removesuffix("%")) / (100 if written.endswith("%") else 1)
    except ValueError:
        kind = "a duration such as 10m" if "seconds" in metric else "a number"
        raise BadSlo(f"--slo {text!r}: expected {kind}, not {written!r}") from None
