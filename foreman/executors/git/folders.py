"""The folders of one task on one machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple


class Folders(NamedTuple):
    """`workspace` is the model's, `scratch` its home and temporary files, `vault` and `state` are the agent's alone."""

    workspace: str
    scratch: str
    vault: str
    state: str

    @classmethod
    def under(cls, root: str, namespace: str, task: str) -> Folders:
        """<root>/<namespace>/<task>, as the original has it, and its companions beside it: no task's name begins with a dot."""
        inside = os.path.join(os.path.abspath(os.path.expanduser(root)), namespace)
        beside = [os.path.join(inside, f".{task}.{kind}") for kind in ("scratch", "vault", "state")]
        return cls(os.path.join(inside, task), beside[0], beside[1], beside[2])

    def make(self) -> None:
        for path in self:
            os.makedirs(path, mode=0o700)


def wipe(path: str) -> None:
    """Remove a folder with all in it, links not followed, what an earlier run made read-only included. Raises OSError."""
    if os.path.islink(path):
        os.unlink(path)
        return
    shutil.rmtree(path, onerror=_made_writable)


def _made_writable(remove: Callable[[str], Any], path: str, error: Any) -> None:
    if isinstance(error[1], FileNotFoundError):
        return
    for folder in (os.path.dirname(path), path):
        if not os.path.islink(folder):
            os.chmod(folder, 0o700)
    if remove in (os.open, os.scandir, os.listdir):
        shutil.rmtree(path)
    else:
        remove(path)
