"""How far a long job is, on stderr: a bar and a line of figures on a terminal, elsewhere a line every ten seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

REFRESH_SECONDS = 0.1
LINE_SECONDS = 10.0
BAR_MOST = 60
"""Columns."""


class Reading(NamedTuple):
    """`done` of `total`, written out as `amount`; `figures`: what else there is to say, most telling first."""

    done: float
    total: float
    amount: str
    figures: tuple[str, ...]


class Meter:
    """Use as a context manager; `show` it a reading as often as you like, it is taken only when one is due."""

    def __init__(
        self, console: Console, title: str, clock: Callable[[], float] = time.monotonic, every: float | None = None
    ) -> None:
        """`console`: of stderr; one that is quiet gets nothing. `every`: seconds from one reading to the next."""
        from rich.live import Live

        self.console = console
        self.title = title
        self._clock = clock
        usually = REFRESH_SECONDS if console.is_terminal else LINE_SECONDS
        self._every = usually if every is None else every
        self._due = clock() + self._every
        # It redraws itself on no thread of its own: processes are forked while it stands there.
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Meter:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, read: Callable[[], Reading]) -> None:
        now = self._clock()
        if now < self._due or self.console.quiet:
            return
        self._due = now + self._every
        reading = read()
        if self._live is not None:
            self._live.update(drawn(self.title, reading, self.console.width), refresh=True)
        else:
            told = ", ".join([reading.amount, *reading.figures])
            self.console.print(f"{self.title}: {told}", soft_wrap=True, highlight=False, markup=False)


def drawn(title: str, reading: Reading, width: int) -> Text:
    """The bar in a line of its own, so that it is as readable in 40 columns as in 200."""
    from rich.text import Text

    across = min(width, BAR_MOST)
    full = round(across * min(reading.done / reading.total, 1.0)) if reading.total else 0
    bar = Text.assemble(("█" * full, "green"), ("·" * (across - full), "dim"))
    return Text("\n").join(
        (Text.assemble((title, "bold"), "  ", reading.amount), bar, Text(" · ".join(reading.figures), style="cyan"))
    )
