"""Records as columns, texts as numbers, times as differences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Table = dict[str, list[Any]]
"""Column -> its values."""


class Texts:
    """Each text once."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {"": 0}

    def __call__(self, text: Any) -> int:
        return self.known.setdefault("" if text is None else str(text), len(self.known))

    def all(self, texts: Iterable[Any]) -> list[int]:
        return [*map(self, texts)]


def columns(names: str, records: Sequence[tuple[Any, ...]]) -> Table:
    """The records column by column; `names` with blanks between them."""
    if not records:
        return {name: [] for name in names.split()}
    return dict(zip(names.split(), map(list, zip(*records, strict=True)), strict=True))


def us(seconds: float | None) -> int:
    """Microseconds, -1 for None."""
    return -1 if seconds is None else round(seconds * 1e6)


def steps(values: Sequence[int]) -> list[int]:
    """The first, then what each adds to the one before."""
    return [value - before for before, value in zip((0, *values), values, strict=False)]
