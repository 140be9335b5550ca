"""Which code host a git remote belongs to."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import SecretStr

from foreman.executors.hosts.protocol import CodeHost

GITHUB_HOST = "github.com"


def host_of(remote: str, token: SecretStr | None, api: str = "") -> CodeHost | None:
    """The host of the remote's repositories; None for one that has no issues and no pull requests (a folder, a bare server).
    `api`: the address of a GitHub Enterprise's API; it goes with any remote. The token is only for the host it is about."""
    scheme, colon, _ = remote.partition("://")
    host = urlsplit(remote).hostname if colon else remote.partition("@")[2].partition(":")[0]
    if not api and (host != GITHUB_HOST or scheme == "file"):
        return None
    # Its HTTP client takes longer to load than all else a simulation needs: no simulation comes here.
    from foreman.executors.hosts.github import API, GitHub

    return GitHub(token, api or API)
