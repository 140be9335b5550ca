"""The workspace of a task: the only files its tools reach.

A path is walked one folder at a time, each opened from the one before without following links; a symbolic link is read and
walked in its turn. What has been checked is what is opened, however fast a command of the model swaps a folder for a link:
there is no moment between a check and a use. `..` goes back to the folder that was opened before, never above the root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from foreman.executors.sandbox import Place

LINKS_MAX = 40
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Never waits for a writer (a pipe) and never makes a terminal ours.
REGULAR = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Refused(Exception):
    """A tool will not do it; the text is for the model and says what would be right."""


class Workspace:
    """Folder `root`, and beside it `scratch`: home, temporary files and caches of what runs here. Both must exist."""

    def __init__(self, root: str, scratch: str) -> None:
        self.given = os.path.abspath(root)
        self.root = os.path.realpath(root)
        self.fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.place = Place(self.root, os.path.realpath(scratch))
        for name in ("home", "tmp"):
            os.makedirs(os.path.join(self.place.scratch, name), mode=0o700, exist_ok=True)

    def close(self) -> None:
        os.close(self.fd)

    @contextmanager
    def at(self, path: str, *, writing: bool = False) -> Iterator[tuple[int, str]]:
        """Descriptor of the folder and the name in it that `path` leads to; the name is no link, '.' stands for the folder.

        `writing`: missing folders on the way are made, and git's own folder is out of bounds. Raises Refused, OSError.
        """
        opened = [os.dup(self.fd)]
        try:
            name = self._walk(path, opened, writing)
            yield opened[-1], name
        finally:
            for fd in opened:
                os.close(fd)

    def _walk(self, path: str, opened: list[int], writing: bool) -> str:
        todo = self._steps(path)
        links = 0
        while todo:
            step = todo.pop()
            if step in ("", "."):
                continue
            if step == "..":
                if len(opened) == 1:
                    raise Refused(f"{path} leads out of the workspace; give a path inside it, relative to its root")
                os.close(opened.pop())
                continue
            if writing and step.casefold() == ".git":
                raise Refused(f"{path} is git's own; what you change is committed for you")
            target = _link(opened[-1], step)
            if target is not None:
                links += 1
                if links > LINKS_MAX:
                    raise Refused(f"{path} goes in circles: too many symbolic links")
                todo += self._steps(target, path)
                if target.startswith("/"):
                    while len(opened) > 1:
                        os.close(opened.pop())
            elif all(rest in ("", ".") for rest in todo):
                return step
            else:
                opened.append(self._enter(opened[-1], step, writing))
        return "."

    def _steps(self, path: str, of: str = "") -> list[str]:
        """The steps of a path, last first. An absolute one must lie in the workspace."""
        if "\0" in path:
            raise Refused("a path has no NUL in it")
        if path.startswith("/"):
            for root in (self.root, self.given):
                if path == root or path.startswith(root + "/"):
                    path = path[len(root) :]
                    break
            else:
                where = f"{of} is a symbolic link to {path}, which" if of else path
                raise Refused(f"{where} is outside the workspace; give a path inside it, relative to its root")
        return path.split("/")[::-1]

    def _enter(self, parent: int, step: str, make: bool) -> int:
        try:
            return os.open(step, DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            if not make:
                raise
        try:
            os.mkdir(step, 0o755, dir_fd=parent)
        except FileExistsError:
            pass  # Made meanwhile; what it is shows when it is opened.
        fd = os.open(step, DIRECTORY, dir_fd=parent)
        self._own(fd)
        return fd

    def _own(self, fd: int) -> None:
        """What root makes here belongs to whom the workspace belongs."""
        if os.geteuid() == 0:
            owner = os.fstat(self.fd)
            os.fchown(fd, owner.st_uid, owner.st_gid)

    def open_file(self, path: str) -> int:
        """A descriptor to read the regular file at `path`. Raises Refused, OSError."""
        with self.at(path) as (folder, name):
            fd = os.open(name, REGULAR, dir_fd=folder)
        kind = os.fstat(fd).st_mode
        if stat.S_ISREG(kind):
            return fd
        os.close(fd)
        raise Refused(f"{path} is a folder" if stat.S_ISDIR(kind) else f"{path} is no regular file")

    def open_folder(self, path: str) -> tuple[int, str]:
        """A descriptor of the folder at `path` and '.', or of the folder that holds the file at `path` and its name."""
        with self.at(path) as (folder, name):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                return os.open(name, DIRECTORY, dir_fd=folder), "."
            return os.dup(folder), name

    def read(self, path: str, limit: int) -> bytes:
        """The whole file. Raises Refused when it has more than `limit` bytes, OSError."""
        with os.fdopen(self.open_file(path), "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Refused(
                f"{path} has more than {limit} bytes: too large for this tool; use bash (sed, head, split ...)"
            )
        return data

    def write(self, path: str, data: bytes) -> bool:
        """Replace or make the file in one stroke, its mode kept; whether it is new. Raises Refused, OSError."""
        with self.at(path, writing=True) as (folder, name):
            mode = _mode(folder, name, path)
            temporary = f".{name[:60]}.{os.urandom(4).hex()}"
            fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600, dir_fd=folder)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(data)
                    os.fchmod(fd, 0o644 if mode is None else mode)
                    self._own(fd)
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(temporary, dir_fd=folder)
                raise
            return mode is None


def _link(folder: int, name: str) -> str | None:
    """Where the symbolic link leads; None for what is none, or is not there."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _mode(folder: int, name: str, path: str) -> int | None:
    """The permissions of the file that is there; None when there is none."""
    if name == ".":
        raise Refused(f"{path or 'an empty path'} is a folder")
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(there):
        raise Refused(f"{path} is a folder" if stat.S_ISDIR(there) else f"{path} is no regular file")
    return stat.S_IMODE(there)
