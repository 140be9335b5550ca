"""What has been so without a break for longer than it may be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_TOLD = 1 << 62


class Overdue:
    """Of what is looked at again and again; `bound` in microseconds."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.since: dict[str, int] = {}

    def told(self, now: int, present: Iterable[str]) -> Iterator[str]:
        """Those present that have been so at every look for longer than the bound, each once."""
        before = self.since
        self.since = {key: before.get(key, now) for key in present}
        for key, since in self.since.items():
            if now - since > self.bound:
                self.since[key] = _TOLD
                yield key
