"""The fence of a branch: a reference on the remote beside it that says which attempt of which task holds it.

`refs/foreman/fence/<branch>` points to a commit of nothing, whose message is a record and whose parent is the record before.
An attempt takes the fence before it begins, and moves it on when it publishes, in one atomic push with the branch, each
conditional (--force-with-lease) on the very value it took. The remote compares: a zombie's value is no longer there, so both of
its updates are refused, whether its successor has published, is still at work, or ended without a push.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PREFIX = "refs/foreman/fence/"
_FIELD = re.compile(r"^Foreman-(Task|Uid|Attempt|Published): ?(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Record:
    """`published`: the commit that the attempt has put on the branch, '' while it is at work."""

    task: str
    uid: str
    attempt: int
    published: str = ""

    def message(self) -> str:
        done = "published" if self.published else "taken"
        return f"Fence {done} by {self.task}, attempt {self.attempt}\n\n{self.trailers()}\n"

    def trailers(self) -> str:
        published = f"\nForeman-Published: {self.published}" if self.published else ""
        return f"Foreman-Task: {self.task}\nForeman-Uid: {self.uid}\nForeman-Attempt: {self.attempt}{published}"


def parse(message: str) -> Record | None:
    """The record in a fence's message; None for what is none."""
    fields = {found[1]: found[2].strip() for found in _FIELD.finditer(message)}
    attempt = fields.get("Attempt", "")
    if not attempt.isdecimal():
        return None
    return Record(fields.get("Task", ""), fields.get("Uid", ""), int(attempt), fields.get("Published", ""))


def may_take(mine: Record, held: Record | None) -> bool:
    """Whether an attempt may take a fence: not from a later attempt at the same task."""
    return held is None or held.uid != mine.uid or held.attempt <= mine.attempt


def may_force(mine: Record, held: Record | None, there: str, allow_overwrite: bool) -> bool:
    """Whether what is on the branch (`there`) may be replaced by work that does not build on it: when asked for, or when an
    earlier attempt at this very task put it there and nobody has added to it."""
    return allow_overwrite or (held is not None and held.uid == mine.uid and bool(there) and held.published == there)
