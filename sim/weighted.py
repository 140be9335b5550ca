"""Outcomes in given proportions, such as the verdict mix of a simulated executor."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import accumulate
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, ConfigDict, RootModel

from sim.kinds import refusing
from sim.stream import Stream

K = TypeVar("K")


def _weights(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError("expected weights such as {GO: 0.9, NO-GO: 0.1}")
    for key, weight in value.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= sys.float_info.max:
            raise ValueError(f"expected a finite number >= 0 as the weight of {key}, not {weight!r}")
    if not any(value.values()):
        raise ValueError("expected at least one positive weight, such as {GO: 0.9, NO-GO: 0.1}")
    return value


class Weighted(RootModel[Annotated[dict[K, float], BeforeValidator(refusing(_weights))]], Generic[K]):
    """Outcomes in proportion to their weights, which need not add up to 1: `{GO: 0.9, NO-GO: 0.1}`."""

    model_config = ConfigDict(frozen=True)

    def __reduce__(self) -> tuple[Any, ...]:
        # A parametrised model is no attribute of its module, which is where pickle looks for its class.
        return _again, (*self.__pydantic_generic_metadata__["args"], self.root)

    def sampler(self, stream: Stream) -> Callable[[], K]:
        """A closure that draws a key by comparing 53 bits with whole thresholds; a key of weight 0 never comes."""
        keys, bits = list(self.root), stream.bits
        # As in `units`, a weight is the decimal that was written: 0.1 is exactly a tenth.
        sums = list(accumulate(Fraction(repr(weight)) for weight in self.root.values()))
        thresholds = [int(each / sums[-1] * 2**53) for each in sums]
        return lambda: keys[bisect_right(thresholds, bits(53))]


def _again(key: Any, root: dict[Any, float]) -> Weighted[Any]:
    return Weighted[key].model_construct(root)
