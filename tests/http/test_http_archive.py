"""A store that outlives its process."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from http_kit import EPOCH, TASKS, Site

from sim.apiserver import ApiServer
from sim.http.archive import Archive, BadArchive


class KeptSite(Site):
    """A site whose store comes from a file and goes there."""

    def __init__(self, path: Path) -> None:
        super().__init__(store=ApiServer(lambda: EPOCH))
        self.archive = Archive(path)
        docs = self.server.handlers.docs
        self.archive.restore(self.store, docs)
        self.archive.keep(self.store, docs)

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self.archive.close()


def everything(site: Site) -> Any:
    return site.ask("GET", TASKS).body


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    with KeptSite(tmp_path / "data") as site:
        first = site.create("a", spec={"kind": "freeform", "payload": {"prompt": ""}, "dependsOn": []})
        site.create("b")
        site.patch("a", {"status": {"phase": "Running", "assignedNode": "n1"}}, "/status")
        site.ask("DELETE", f"{TASKS}/b")
        before = everything(site)
    with KeptSite(tmp_path / "data") as site:
        assert everything(site) == before
        assert site.names("fieldSelector=status.assignedNode%3Dn1") == ["a"]
        after = site.create("c")
    assert int(after["metadata"]["resourceVersion"]) == int(before["metadata"]["resourceVersion"]) + 1
    assert after["metadata"]["uid"] != first["metadata"]["uid"]


def test_nothing_is_lost_with_the_process(tmp_path: Path) -> None:
    """Whoever has an answer finds it again, however the process ended."""
    with KeptSite(tmp_path / "data") as site:
        site.create("a")
        for name in ("data", "data-wal"):
            (tmp_path / f"{name.replace('data', 'copy')}").write_bytes((tmp_path / name).read_bytes())
        before = everything(site)
    with KeptSite(tmp_path / "copy") as site:
        assert everything(site) == before


def test_watchers_of_before_resume_or_learn_that_they_cannot(tmp_path: Path) -> None:
    with KeptSite(tmp_path / "data") as site:
        older = site.create("a")["metadata"]["resourceVersion"]
        newest = site.create("b")["metadata"]["resourceVersion"]
    with KeptSite(tmp_path / "data") as site:
        site.create("c")
        ((sort, status),) = site.watch(f"resourceVersion={older}")
        assert (sort, status["code"]) == ("ERROR", 410)
        assert [obj["metadata"]["name"] for _, obj in site.watch(f"resourceVersion={newest}")] == ["c"]


def test_owners_are_known_again(tmp_path: Path) -> None:
    with KeptSite(tmp_path / "data") as site:
        made = site.create("a")
        owner = {"apiVersion": made["apiVersion"], "kind": "AgenticTask", "name": "a", "uid": made["metadata"]["uid"]}
        site.create("b", ownerReferences=[owner])
    with KeptSite(tmp_path / "data") as site:
        assert site.store.dependents(made["metadata"]["uid"]) == (("AgenticTask", "default/b"),)


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE other (x)")
    db.close()


def newer(path: Path) -> None:
    Archive(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def broken(path: Path) -> None:
    Archive(path).close()
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO objects VALUES ('AgenticTask', 'default/a', '{}')")
    db.close()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.write_text("hello"), "is not a database"),
        (foreign, "is an SQLite database, but not one of foreman dev"),
        (newer, "was written by another version of foreman"),
        (broken, "AgenticTask default/a cannot be read"),
        (lambda path: path.mkdir(), "unable to open database file"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, make: Any, why: str) -> None:
    make(tmp_path / "data")
    with pytest.raises(BadArchive) as refusal:
        Archive(tmp_path / "data").restore(ApiServer(lambda: 0), Site().server.handlers.docs)
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_in_use_is_refused(tmp_path: Path) -> None:
    held = Archive(tmp_path / "data")
    with pytest.raises(BadArchive, match="is in use by another foreman dev"):
        Archive(tmp_path / "data")
    held.close()


def test_what_a_full_disk_did_not_take_is_written_when_it_can_be(tmp_path: Path) -> None:
    with KeptSite(tmp_path / "data") as site:
        site.create("gone")
        pages = site.archive._db.execute("PRAGMA page_count").fetchone()[0]
        site.archive._db.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(20):
            site.create(f"a{number}", spec={"kind": "freeform", "payload": {"prompt": "x" * 1000}})
        site.ask("DELETE", f"{TASKS}/gone")
        site.archive._db.execute("PRAGMA max_page_count = 100000")
        site.create("last")
        before = everything(site)
    with KeptSite(tmp_path / "data") as site:
        assert everything(site) == before
        assert len(before["items"]) == 21
