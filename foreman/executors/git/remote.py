"""Where repositories are, and the secret that opens them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import SecretStr

from foreman.api.task import FailureReason
from foreman.executors.git.errors import NotPrepared

GITHUB = "https://github.com/{repo}.git"
_PROTOCOLS = {"https": "https", "http": "http", "ssh": "ssh", "file": "file"}


@dataclass(frozen=True)
class Remote:
    """`template`: an address with {repo} in it, or one without for a single repository. `token` opens https addresses."""

    template: str = GITHUB
    token: SecretStr | None = None
    user: str = "x-access-token"

    def address(self, repo: str) -> str:
        """Raises NotPrepared: none is configured, or it has a password in it."""
        if not self.template or ("{repo}" in self.template and not repo):
            raise NotPrepared("no git remote is configured for this task", FailureReason.GIT_REMOTE_NOT_CONFIGURED)
        address = self.template.replace("{repo}", repo)
        if re.match(r"https?://[^/]*@", address) or address.startswith("-"):
            raise NotPrepared(
                "the git remote must not have a user or password in its address; give the token by itself",
                FailureReason.GIT_REMOTE_NOT_CONFIGURED,
            )
        return address

    def protocol(self, address: str) -> str:
        """What git calls the transport of an address; the only one it may use."""
        scheme, colon, _ = address.partition("://")
        if colon:
            return _PROTOCOLS.get(scheme, "none")
        return "ssh" if re.match(r"[\w.-]+@[\w.-]+:", address) else "file"
