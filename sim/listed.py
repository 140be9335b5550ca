"""A list of arrivals as a block of text in a scenario, a line a task: `90s 10m train`, or `90s 1200+300 chat` in tokens.

A list in YAML would take a hundred times as long to read. The order is that of time.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from foreman.durations import duration, quoted, show
from sim.kinds import in_words, refusing


class Work(NamedTuple):
    """One task: when it comes and how long it takes, in microseconds, and its class; `tokens` (read, written) instead of a
    duration where it is 0."""

    at: int
    duration: int
    of: str
    tokens: tuple[int, int] | None = None

    def written(self) -> str:
        length = show(self.duration) if self.tokens is None else f"{self.tokens[0]}+{self.tokens[1]}"
        return f"{show(self.at)} {length} {self.of}"


def _read(value: Any) -> Any:
    if isinstance(value, tuple):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a line for each task such as '90s 10m train', not {in_words(value)}")
    found, latest = [], 0
    for number, line in enumerate(value.splitlines(), 1):
        if words := line.split():
            work = _work(words, number)
            if work.at < latest:
                raise ValueError(f"its line {number} comes before the one above: expected the order of time")
            latest = work.at
            found.append(work)
    return tuple(found)


def _work(words: list[str], number: int) -> Work:
    if len(words) != 3:
        raise ValueError(
            f"its line {number} has {len(words)} words: expected when, how long and which class: 90s 10m train"
        )
    at, length, of = words
    read, plus, written = length.partition("+")
    try:
        if not plus:
            return Work(duration(at), duration(length), of)
        if not (read.isdecimal() and written.isdecimal() and max(len(read), len(written)) <= 8):
            raise ValueError(f"expected tokens read and written such as 1200+300, not {quoted(length)}")
        return Work(duration(at), 0, of, (int(read), int(written)))
    except ValueError as error:
        raise ValueError(f"its line {number}: {error}") from None


def lines(value: Any) -> int:
    """How many tasks the text lists."""
    return sum(bool(line.strip()) for line in value.splitlines()) if isinstance(value, str) else len(value or ())


Listing = Annotated[
    tuple[Work, ...],
    BeforeValidator(refusing(_read)),
    PlainSerializer(lambda works: "".join(f"{work.written()}\n" for work in works), return_type=str),
    WithJsonSchema({"type": "string", "examples": ["90s 10m train\n95s 1200+300 chat\n"]}),
]
"""A field of a scenario model: tasks in the order in which they come."""
