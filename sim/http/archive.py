"""A store that outlives its process: every commit also goes into one SQLite file, before anybody hears of it.

The file holds what the store holds now, no history: after a restart it goes on from the same version, and whoever watches from
an earlier one is told that it has expired.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path

from sim.apiserver import ApiServer
from sim.http.documents import Documents, encode
from sim.http.served import served_kind
from sim.http.writes import model_of
from sim.selection import Change

log = logging.getLogger("sim.http")

APPLICATION = 0x464F5245  # "FORE"
SCHEMA = 1
_TABLES = """
CREATE TABLE objects (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


class BadArchive(Exception):
    """The file cannot be used; the message is one line that says why."""


class Archive:
    """Open one, `restore` the store from it, then `keep` it. Another process cannot open it meanwhile."""

    def __init__(self, path: Path) -> None:
        """Raises BadArchive."""
        self.path = path
        self._owed: dict[tuple[str, str], bytes | None] = {}
        self._full = False
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
            self._open()
        except (sqlite3.Error, OSError) as error:
            raise BadArchive(_why(path, error)) from error

    def _open(self) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        fresh = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
        application, schema = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if fresh:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; {_TABLES}")
        elif application != APPLICATION:
            raise BadArchive(f"{self.path} is an SQLite database, but not one of foreman dev")
        elif schema != SCHEMA:
            raise BadArchive(
                f"{self.path} was written by another version of foreman (its schema is {schema}, ours {SCHEMA})"
            )
        # Survives the death of this process, not that of the machine: no write waits for the disk.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("COMMIT")

    def restore(self, store: ApiServer, docs: Documents) -> int:
        """Make the store what the file says; how many objects there are. Raises BadArchive."""
        meta = dict(self._db.execute("SELECT name, value FROM meta"))
        objects = []
        for kind, key, body in self._db.execute("SELECT kind, key, body FROM objects ORDER BY kind, key"):
            try:
                doc = json.loads(body)
                objects.append(model_of(served_kind(kind), doc))
                docs.keep(doc)
            except Exception as error:
                raise BadArchive(f"{self.path}: {kind} {key} cannot be read: {error}") from error
        if meta:
            store.restore(objects, meta["version"], meta["uids"])
        return len(objects)

    def keep(self, store: ApiServer, docs: Documents) -> None:
        """Write every commit of the store from now on. What cannot be written (a full disk) goes with a later commit."""

        def committed(change: Change) -> None:
            self._owed[change.kind, change.key] = encode(docs.of(change.new)) if change.new is not None else None
            try:
                self._write({"version": change.version, "uids": store.uids})
            except sqlite3.Error as error:
                if not self._full:
                    log.error("cannot write %s: %s; until it can, the state is in memory only", self.path, error)
                self._full = True
                return
            if self._full:
                log.warning("%s is written again and complete", self.path)
            self._full = False

        store.observers.insert(0, committed)

    def _write(self, counters: dict[str, int]) -> None:
        """All that is owed, or nothing. Raises sqlite3.Error."""
        with self._db as db:
            db.execute("BEGIN")
            for (kind, key), body in self._owed.items():
                if body is None:
                    db.execute("DELETE FROM objects WHERE kind = ? AND key = ?", (kind, key))
                else:
                    db.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (kind, key, body))
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", counters.items())
        self._owed.clear()

    def close(self) -> None:
        self._db.close()


def _why(path: Path, error: Exception) -> str:
    text = str(error)
    if "locked" in text:
        return f"{path} is in use by another foreman dev"
    if "not a database" in text:
        return f"{path} is not a database: name another file, or remove it"
    return f"cannot use {path}: {text}"
