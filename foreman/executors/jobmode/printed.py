"""The transcript of a run inside a Job: printed as it goes, for whoever looks after the Job to store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from foreman.executors.jobmode.contract import note
from foreman.executors.transcripts import Attempt


class PrintedTranscripts:
    """Implements `Transcripts` for one run. `write` takes a line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.printed = 0

    def note(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]]) -> None:
        for each in entries:
            self.write(note(each))
        self.printed += len(entries)

    async def save(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> str:
        self.note(attempt, entries[self.printed :])
        return ""
