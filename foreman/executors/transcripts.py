"""Where transcripts are kept: a ConfigMap beside the task on Kubernetes, a file otherwise. One for each attempt (#1745).

A run's conversation goes into a journal, turn by turn, so that it outlives the process; at the end the whole is stored under a
cap. What cannot be stored in the cluster stays in the file: a transcript is never lost to an API that is away.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from foreman.api import PREFIX, AgenticTask, ConfigMap, ObjectMeta, OwnerReference
from foreman.cluster import AlreadyExists, Cluster, ClusterError, Unavailable
from foreman.executors.loop.transcript import document
from foreman.runtime import Runtime

LABEL = f"{PREFIX}transcript-of"
FILE_CAP = 16 * 1024 * 1024
NAME_MAX, LABEL_MAX = 253, 63
TRIES = 4
PAUSE_SECONDS = 1.0


class Attempt(NamedTuple):
    """Whose transcript it is."""

    task: AgenticTask
    number: int


class Transcripts(Protocol):
    def note(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]]) -> None:
        """Journal what was said since the last note. Never raises: a full disk must not end a run."""
        ...

    async def save(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> str:
        """Store the whole; how `status.transcriptRef` names it, '' when it could not be stored."""
        ...


class FileTranscripts:
    """Under `folder`: NAMESPACE/TASK/attempt-N/transcript.json and meta.json; while it runs, journal.jsonl."""

    def __init__(self, folder: Path, cap: int = FILE_CAP) -> None:
        self.folder = folder
        self.cap = cap

    def place(self, attempt: Attempt) -> Path:
        meta = attempt.task.metadata
        return self.folder / (meta.namespace or "default") / meta.name / f"attempt-{attempt.number}"

    def put_aside(self, attempt: Attempt) -> None:
        """Keep the journal that a killed run of the same attempt has left, as journal-1.jsonl, -2 ... Raises OSError."""
        left = self.place(attempt) / "journal.jsonl"
        if left.exists():
            free = next(path for n in itertools.count(1) if not (path := left.with_name(f"journal-{n}.jsonl")).exists())
            os.replace(left, free)

    def note(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]]) -> None:
        lines = "".join(f"{json.dumps(each)}\n" for each in entries)
        try:
            place = self.place(attempt)
            place.mkdir(parents=True, exist_ok=True)
            with (place / "journal.jsonl").open("a", encoding="utf-8") as journal:
                if journal.tell() + len(lines) <= self.cap:
                    journal.write(lines)
        except OSError:
            return

    async def save(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> str:
        place = self.place(attempt)
        try:
            place.mkdir(parents=True, exist_ok=True)
            _replace(place / "transcript.json", document(entries, self.cap))
            _replace(place / "meta.json", json.dumps(meta, indent=2, sort_keys=True))
            (place / "journal.jsonl").unlink(missing_ok=True)
        except OSError:
            return ""
        return str(place / "transcript.json")


def _replace(path: Path, text: str) -> None:
    """Write it whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


class ClusterTranscripts:
    """ConfigMaps; `files` keeps the journal, and the whole when the cluster does not take it."""

    def __init__(self, cluster: Cluster, runtime: Runtime, files: FileTranscripts | None = None) -> None:
        self.cluster = cluster
        self.runtime = runtime
        self.files = files

    def note(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]]) -> None:
        if self.files is not None:
            self.files.note(attempt, entries)

    async def save(self, attempt: Attempt, entries: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> str:
        stored = await self._store(config_map(attempt, document(entries), meta))
        if self.files is not None:
            kept = await self.files.save(attempt, entries, meta)
            return stored or kept
        return stored

    async def _store(self, record: ConfigMap) -> str:
        for number in range(TRIES):
            try:
                await self._put(record)
            except Unavailable:
                if number + 1 < TRIES:
                    await self.runtime.sleep(PAUSE_SECONDS * 2**number)
            except ClusterError:
                return ""
            else:
                return record.metadata.name
        return ""

    async def _put(self, record: ConfigMap) -> None:
        try:
            await self.cluster.create(record)
        except AlreadyExists:
            # Unconditional: the name holds task and attempt, and an attempt has one holder; what is there is our own, of a
            # create whose answer was lost, or of a deleted namesake.
            await self.cluster.patch(record, {"data": record.data}, if_version=None)


def config_map(attempt: Attempt, text: str, meta: Mapping[str, Any]) -> ConfigMap:
    task = attempt.task
    owner = OwnerReference(api_version=task.api_version, kind=task.kind, name=task.metadata.name, uid=task.metadata.uid)
    about = ObjectMeta(
        name=name_of(attempt),
        namespace=task.metadata.namespace,
        labels={LABEL: _fitting(task.metadata.name, LABEL_MAX)},
        owner_references=(owner,) if task.metadata.uid else (),
    )
    return ConfigMap(metadata=about, data={"transcript.json": text, "meta.json": json.dumps(meta, sort_keys=True)})


def name_of(attempt: Attempt) -> str:
    """The original's name for the first attempt; the number is added to those of later ones."""
    suffix = f"-{attempt.number}" if attempt.number > 1 else ""
    return _fitting(f"foreman-transcript-{attempt.task.metadata.name}{suffix}", NAME_MAX)


def _fitting(name: str, longest: int) -> str:
    """The name, its end replaced by a hash of the whole when it is too long."""
    if len(name) <= longest:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=5).hexdigest()
    return f"{name[: longest - len(digest) - 1].rstrip('-.')}-{digest}"
