"""GitHub, and GitHub Enterprise (another `api`)."""

from __future__ import annotations

from typing import Any

import aiohttp
from pydantic import SecretStr
from pydantic_core import from_json

from foreman import __version__
from foreman.api.task import FailureReason
from foreman.executors.hosts.protocol import HostError, Issue, PullRequest

API = "https://api.github.com"
SECONDS = 30.0
ANSWER_BYTES = 8 << 20


class GitHub:
    def __init__(self, token: SecretStr | None = None, api: str = API, seconds: float = SECONDS) -> None:
        self.api = api.rstrip("/")
        self._token = token
        self._limit = aiohttp.ClientTimeout(total=seconds)

    async def issue(self, repo: str, number: int) -> Issue:
        data = await self._ask("GET", f"/repos/{repo}/issues/{number}", f"issue {repo}#{number}")
        labels = tuple(
            str(each.get("name", "")) if isinstance(each, dict) else str(each) for each in data.get("labels", ())
        )
        body = str(data.get("body") or "")
        return Issue(
            int(data.get("number", number)), str(data.get("title", "")), body, str(data.get("state", "")), labels
        )

    async def pull_request(self, repo: str, branch: str, base: str, title: str, body: str) -> PullRequest:
        about = f"pull request for {branch} in {repo}"
        if there := await self._open(repo, branch, base, about):
            return await self._updated(repo, there, title, body, about)
        new = {"title": title, "body": body, "head": branch, "base": base}
        try:
            data = await self._ask("POST", f"/repos/{repo}/pulls", about, new)
        except HostError:
            # Somebody may have opened it meanwhile, or our own request was carried out and its answer lost.
            if there := await self._open(repo, branch, base, about):
                return await self._updated(repo, there, title, body, about)
            raise
        return PullRequest(int(data["number"]), str(data.get("html_url", "")), made=True)

    async def _open(self, repo: str, branch: str, base: str, about: str) -> dict[str, Any] | None:
        owner = repo.partition("/")[0]
        query = {"head": f"{owner}:{branch}", "base": base, "state": "open"}
        found = await self._ask("GET", f"/repos/{repo}/pulls", about, query=query)
        return found[0] if isinstance(found, list) and found else None

    async def _updated(self, repo: str, there: dict[str, Any], title: str, body: str, about: str) -> PullRequest:
        data = await self._ask("PATCH", f"/repos/{repo}/pulls/{there['number']}", about, {"title": title, "body": body})
        return PullRequest(int(data["number"]), str(data.get("html_url", "")), made=False)

    async def _ask(
        self, method: str, path: str, about: str, body: Any = None, query: dict[str, str] | None = None
    ) -> Any:
        headers = {"Accept": "application/vnd.github+json", "User-Agent": f"foreman/{__version__}"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        try:
            async with (
                aiohttp.ClientSession(timeout=self._limit) as session,
                session.request(method, self.api + path, json=body, params=query, headers=headers) as answer,
            ):
                text = await answer.content.read(ANSWER_BYTES)
                status, left = answer.status, answer.headers.get("X-RateLimit-Remaining", "")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise HostError(f"{about}: {self.api} does not answer ({type(error).__name__})") from None
        data = _decoded(text)
        if status >= 300:
            raise self._refusal(status, left, data, about)
        if data is None:
            raise HostError(f"{about}: what answered at {self.api} is no GitHub")
        return data

    def _refusal(self, status: int, left: str, data: Any, about: str) -> HostError:
        said = str(data.get("message", "")) if isinstance(data, dict) else ""
        if self._token is not None:
            said = said.replace(self._token.get_secret_value(), "***")
        if status in (403, 429) and (left == "0" or status == 429):
            return HostError(f"{about}: the rate limit of GitHub is used up; try again later")
        if status in (401, 403):
            lacking = "does not accept our token" if self._token else "wants a token, and none is configured"
            return HostError(f"{about}: GitHub {lacking} ({status}: {said[:200]})", FailureReason.AUTH_UNAVAILABLE)
        if status == 404:
            return HostError(f"{about}: not found, or not visible with our token")
        return HostError(f"{about}: GitHub answered {status}: {said[:300]}")


def _decoded(text: bytes) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return None
