"""The git command, run so that nothing but its arguments steers it.

No configuration of the machine, the user or the repository is read for the network's sake, no hook runs, no filter, no
submodule. The token goes through a pipe that a credential helper reads: it is in no argument, no environment, no file, and what
git says is washed of it all the same. The helper answers for the remote's own address only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from foreman.api.task import FailureReason
from foreman.executors.git.errors import GitError, NotPrepared
from foreman.executors.git.remote import Remote
from foreman.executors.sandbox import Limits, run
from foreman.executors.sandbox.environment import PATH

ALWAYS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=true",
    "core.quotePath=false",
    "core.bare=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "rerere.enabled=false",
    "advice.detachedHead=false",
    "http.followRedirects=initial",
    "protocol.allow=never",
    "credential.helper=",
)
SAID_BYTES = 16 << 20
NO_COMMAND = 127
"""How env(1) ends when what it should run is not there."""


@dataclass(frozen=True)
class Identity:
    """Who commits say they are by. `committer` and `committer_email` '': as the author."""

    author: str = "Foreman Bot"
    author_email: str = "foreman@localhost"
    committer: str = ""
    committer_email: str = ""

    def environ(self) -> dict[str, str]:
        return {
            "GIT_AUTHOR_NAME": self.author,
            "GIT_AUTHOR_EMAIL": self.author_email,
            "GIT_COMMITTER_NAME": self.committer or self.author,
            "GIT_COMMITTER_EMAIL": self.committer_email or self.author_email,
        }


class Git:
    """`seconds`: how long one command may take. `environ`: the agent's; only PATH, and for ssh its agent and home, are used."""

    def __init__(
        self, remote: Remote, environ: Mapping[str, str], seconds: float = 900.0, identity: Identity = Identity()
    ) -> None:
        self.remote = remote
        self.identity = identity
        self.environ = environ
        self.limits = Limits(seconds=seconds, output=SAID_BYTES, processes=256, memory=0, file=1 << 40)

    async def local(self, git_dir: str, *arguments: str, tree: str = "", check: bool = True) -> str:
        """What a command prints that needs no network, on repository `git_dir` with the files in `tree`. Raises GitError."""
        return await self._run(git_dir, tree, (), (), {}, arguments, check)

    async def network(self, git_dir: str, address: str, *arguments: str) -> str:
        """The same for one that talks to `address`, and only there."""
        protocol = self.remote.protocol(address)
        config = [f"protocol.{protocol}.allow=always"]
        env = {}
        if protocol == "ssh":
            env = {name: self.environ[name] for name in ("HOME", "SSH_AUTH_SOCK") if name in self.environ}
            env["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes"
        if self.remote.token is None or protocol not in ("https", "http"):
            return await self._run(git_dir, "", config, (), env, arguments, True)
        reading, writing = os.pipe()
        try:
            os.set_blocking(writing, False)
            os.write(
                writing, f"username={self.remote.user}\npassword={self.remote.token.get_secret_value()}\n".encode()
            )
            os.close(writing)
            place = urlsplit(address)
            helper = f'!f() {{ test "$1" = get && cat /dev/fd/{reading}; }}; f'
            config.append(f"credential.{place.scheme}://{place.netloc}.helper={helper}")
            return await self._run(git_dir, "", config, (reading,), env, arguments, True)
        finally:
            os.close(reading)

    async def _run(
        self,
        git_dir: str,
        tree: str,
        config: tuple[str, ...] | list[str],
        keep: tuple[int, ...],
        more: Mapping[str, str],
        arguments: tuple[str, ...],
        check: bool,
    ) -> str:
        env = {
            "PATH": self.environ.get("PATH", PATH),
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "GIT_DIR": git_dir,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_EDITOR": "true",
            **({"GIT_WORK_TREE": tree} if tree else {}),
            **self.identity.environ(),
            **more,
        }
        settings = [part for each in (*ALWAYS, *config) for part in ("-c", each)]
        folder = os.open(tree or os.path.dirname(git_dir), os.O_RDONLY | os.O_DIRECTORY)
        try:
            outcome = await run(["/usr/bin/env", "git", *settings, *arguments], env, folder, self.limits, keep)
        finally:
            os.close(folder)
        if outcome.code == NO_COMMAND and not outcome.ok:
            raise NotPrepared("git is not in PATH: install it", FailureReason.INFRASTRUCTURE_ERROR)
        if check and not outcome.ok:
            said = self.washed(outcome.stderr or outcome.stdout)
            raise GitError(f"git {arguments[0]}: {_line(said) or outcome.ended or f'exit code {outcome.code}'}")
        return outcome.stdout

    def washed(self, text: str) -> str:
        secret = self.remote.token.get_secret_value() if self.remote.token else ""
        return text.replace(secret, "***") if secret else text


def _line(said: str) -> str:
    """What git said, in one line."""
    return " ".join(said.split())[-600:]
