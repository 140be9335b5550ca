"""Paths: whatever leads out is refused, whatever stays inside works, and there is no moment in between."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools_kit import workspace

from foreman.executors.tools import Refused, Workspace


@pytest.fixture
def space(tmp_path):
    (tmp_path / "secret").write_text("SECRET")
    made = workspace(tmp_path)
    (tmp_path / "work" / "sub").mkdir()
    (tmp_path / "work" / "sub" / "a").write_text("inside")
    yield made
    made.close()


def read(space, path):
    return space.read(path, 1000).decode()


@pytest.mark.parametrize("path", ["sub/a", "./sub//a", "sub/../sub/a", "link", "up", "absolute", "chain"])
def test_inside(space, path):
    root = space.root
    os.symlink("sub/a", f"{root}/link")
    os.symlink("../sub/a", f"{root}/sub/back")
    os.symlink("sub/back", f"{root}/up")
    os.symlink(f"{root}/sub/a", f"{root}/absolute")
    os.symlink("link", f"{root}/chain")
    assert read(space, path) == "inside"


def test_an_absolute_path_inside_is_inside(space):
    assert read(space, f"{space.root}/sub/a") == "inside"


OUT = [
    "..",
    "../secret",
    "sub/../../secret",
    "/etc/passwd",
    "/proc/self/environ",
    "link/secret",
    "file",
    "loop",
    "sneaky",
    "~/x/../../..",
    "sub\0a",
    "{root}x/secret",
    "{root}/../secret",
]


@pytest.mark.parametrize("path", OUT)
@pytest.mark.parametrize("act", ["read", "write"])
def test_outside_is_refused(space, tmp_path, path, act):
    root = space.root
    os.symlink(str(tmp_path), f"{root}/link")
    os.symlink("../secret", f"{root}/file")
    os.symlink("loop", f"{root}/loop")
    os.symlink("sub/../../secret", f"{root}/sneaky")
    path = path.replace("{root}", root)
    with pytest.raises((Refused, OSError)):
        space.read(path, 1000) if act == "read" else space.write(path, b"x")
    assert (tmp_path / "secret").read_text() == "SECRET"
    assert sorted(os.listdir(tmp_path)) == ["scratch", "secret", "work"]


@given(st.lists(st.sampled_from(["..", ".", "", "sub", "a", "out", "in", "/", "new"]), max_size=8))
def test_no_path_leads_out(tmp_path_factory, steps):
    """Universal: whatever the path, what is read is never the secret, and nothing outside is written."""
    folder = tmp_path_factory.mktemp("w")
    (folder / "secret").write_text("SECRET")
    space = workspace(folder)
    try:
        os.mkdir(f"{space.root}/sub")
        (folder / "work" / "a").write_text("inside")
        os.symlink("..", f"{space.root}/out")
        os.symlink("sub/..", f"{space.root}/in")
        for path in ("/".join(steps), "/".join([*steps, "secret"])):
            try:
                assert space.read(path, 100) == b"inside"
            except (Refused, OSError):
                pass
            try:
                space.write(path + ".new", b"x")
            except (Refused, OSError):
                pass
        assert sorted(os.listdir(folder)) == ["scratch", "secret", "work"]
    finally:
        space.close()


def test_a_folder_that_becomes_a_link_between_check_and_use(space, tmp_path):
    """A command swaps a folder for a link to the outside as fast as it can; no read ever sees the outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_text("SECRET")
    root, stop = space.root, threading.Event()
    os.mkdir(f"{root}/x")
    with open(f"{root}/x/a", "w") as file:
        file.write("inside")

    def swap():
        while not stop.is_set():
            os.rename(f"{root}/x", f"{root}/y")
            with suppress(FileExistsError):  # A write has made the folder that it missed.
                os.symlink(str(outside), f"{root}/x")
                os.unlink(f"{root}/x")
            shutil.rmtree(f"{root}/x", ignore_errors=True)
            with suppress(OSError):
                os.rename(f"{root}/y", f"{root}/x")
            if os.path.exists(f"{root}/y"):
                shutil.rmtree(f"{root}/y")

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(space.read("x/a", 100))
                space.write("x/a", b"inside")
            except (Refused, OSError):
                pass
    finally:
        stop.set()
        swapper.join()
    assert seen <= {b"inside"}
    assert os.listdir(outside) == ["a"]
    assert (outside / "a").read_text() == "SECRET"


def test_what_is_no_file_is_said_and_never_waited_for(space):
    os.mkfifo(f"{space.root}/pipe")
    with pytest.raises(Refused, match="no regular file"):
        space.read("pipe", 10)
    with pytest.raises(Refused, match="folder"):
        space.read("sub", 10)
    with pytest.raises(Refused, match="no regular file"):
        space.write("pipe", b"")
    with pytest.raises(Refused, match="folder"):
        space.write("sub", b"")


def test_writing_keeps_the_mode_and_makes_folders(space):
    os.chmod(f"{space.root}/sub/a", 0o755)
    assert not space.write("sub/a", b"new")
    assert os.stat(f"{space.root}/sub/a").st_mode & 0o777 == 0o755
    assert space.write("deep/er/b", b"x")
    assert os.listdir(f"{space.root}/deep/er") == ["b"]


@pytest.mark.parametrize("path", [".git/config", "sub/.git/hooks/pre-commit", ".GIT/config", "g/config"])
def test_gits_own_folder_is_not_written(space, path):
    os.mkdir(f"{space.root}/.git")
    os.symlink(".git", f"{space.root}/g")
    with pytest.raises(Refused, match="git's own"):
        space.write(path, b"x")
    assert os.listdir(f"{space.root}/.git") == []


def test_too_large_is_refused_before_it_is_read(space):
    with open(f"{space.root}/big", "wb") as file:
        file.truncate(10_000_001)
    with pytest.raises(Refused, match="too large"):
        space.read("big", 10_000_000)


def test_a_workspace_must_exist(tmp_path):
    with pytest.raises(OSError):
        Workspace(str(tmp_path / "none"), str(tmp_path))
