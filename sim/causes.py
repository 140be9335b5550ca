"""What led to what in a story: how a writer knew the version it wrote on, what overtook a refused write, what was stale."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from sim.trace import Row

READS = ("get", "list", "event")
WRITES = ("create", "patch", "patch_status", "delete")
_AT = re.compile(r"is at version (\d+)")


def explained(rows: Iterable[Row]) -> list[Row]:
    """The rows of one object with, where they apply, `basis` {what, t}: the last read of the version the writer wrote
    on; `overtaken` {version, actor, t, detail}: the write that made it refused; `stale` {version, t}: what a read missed."""
    past = Past()
    return [past.explain(row) for row in rows]


class Past:
    """What is known of one object so far; its rows are explained in order."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], Row] = {}
        self.writes: dict[str, Row] = {}
        self.newest = 0

    def explain(self, row: Row) -> Row:
        if row["what"] in READS and "version" in row:
            return self._read(row)
        return self._write(row) if row["what"] in WRITES else row

    def _read(self, row: Row) -> Row:
        version = row["version"]
        self.seen[row["actor"], version] = {"what": row["what"], "t": row["t"]}
        if int(version) < self.newest:
            return {**row, "stale": {"version": str(self.newest), "t": self.writes[str(self.newest)]["t"]}}
        return row

    def _write(self, row: Row) -> Row:
        actor, version = row["actor"], row.get("version", "")
        basis = self.seen.get((actor, row.get("read", "")))
        if basis is not None:
            row = {**row, "basis": basis}
        if version and int(version) > self.newest:
            self.newest = int(version)
            self.writes[version] = row
            self.seen[actor, version] = {"what": "own write", "t": row["t"]}
        at = _AT.search(row.get("detail", "")) if row.get("outcome") == "Conflict" else None
        by = self.writes.get(at[1]) if at else None
        if by is None:
            return row
        told = {"version": by["version"], "actor": by["actor"], "t": by["t"], "detail": by.get("detail") or by["what"]}
        return {**row, "overtaken": told}


def at_a_glance(rows: list[Row]) -> list[Row]:
    """Without what bystanders read, what everybody's caches were told in time, and faults that hit somebody else."""
    involved = involved_in(rows)
    hosts = {actor.partition("/")[0] for actor in involved}
    return [row for row in rows if _struck(row, hosts) or telling(row, involved)]


def involved_in(rows: Iterable[Row]) -> set[str]:
    """Who had to do with the object: all who wrote to it, or tried, or ran it."""
    return {row["actor"] for row in rows if row["what"] in (*WRITES, "execute")}


def telling(row: Row, involved: set[str]) -> bool:
    """Whether what is no fault belongs into a story."""
    what, actor = row["what"], row["actor"]
    if what in ("list", "event"):
        return what == "list" and "stale" in row and actor in involved
    return what != "fault" and (what != "get" or actor in involved)


def _struck(row: Row, hosts: set[str]) -> bool:
    struck = row["actor"]
    return row["what"] == "fault" and (concerns_all(struck) or any(fnmatchcase(host, struck) for host in hosts))


def concerns_all(struck: str) -> bool:
    """Whether a fault of those it struck, a name or a pattern of hosts, is one of the API server."""
    return struck.startswith("api")
