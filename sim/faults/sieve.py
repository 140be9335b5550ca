"""Which of many messages or writes a fault strikes."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from sim.draw import Stream
from sim.fault import Occasion


class Message(NamedTuple):
    """What `on` is compared with. `verb` and `type` are '' where there is none; `actor` is 'host/life'."""

    verb: str
    type: str
    kind: str
    key: str
    actor: str


_ANY = Occasion()


def matches(message: Message, on: Occasion | None, host: str = "") -> bool:
    on = on or _ANY
    return (
        (on.verb is None or on.verb == message.verb)
        and (on.type is None or on.type == message.type)
        and (on.kind is None or on.kind == message.kind)
        and _called(message.actor, on.actor)
        and _called(message.actor, host or "*")
        and named(message.key, on.key)
    )


def named(key: str, pattern: str) -> bool:
    """Whether the object 'namespace/name' is meant by a pattern for all of it or for its name."""
    return fnmatchcase(key, pattern) or fnmatchcase(key.rpartition("/")[2], pattern)


def _called(actor: str, pattern: str) -> bool:
    return fnmatchcase(actor, pattern) or fnmatchcase(actor.partition("/")[0], pattern)


class Sieve:
    """Lets through, of all that match: from the `first` on, each with a `probability`, at most `most` (None: any number)."""

    def __init__(self, luck: Stream, first: int = 1, most: int | None = None, probability: float = 1.0) -> None:
        self._luck = luck
        self._wait = first - 1
        self._left = most
        self._probability = probability

    @property
    def spent(self) -> bool:
        return self._left == 0

    def takes(self) -> bool:
        """Whether the next match is to be struck."""
        if self._wait:
            self._wait -= 1
            return False
        if self.spent or (self._probability < 1 and not self._luck.chance(self._probability)):
            return False
        if self._left is not None:
            self._left -= 1
        return True
