"""GitHub over HTTP, against a scripted one on loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from pydantic import SecretStr

from foreman.api.task import FailureReason
from foreman.executors.hosts import HostError, Issue, PullRequest
from foreman.executors.hosts.github import GitHub

TOKEN = "tok-" + "7" * 20


@asynccontextmanager
async def hub(handler):
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


def ask(handler, call, token=TOKEN, seconds=10.0):
    async def go():
        async with hub(handler) as api:
            return await call(GitHub(SecretStr(token) if token else None, api, seconds))

    return asyncio.run(go())


def test_an_issue():
    async def handler(request):
        assert (request.method, request.path) == ("GET", "/repos/octo/app/issues/7")
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        return web.json_response(
            {"number": 7, "title": "T", "body": None, "state": "open", "labels": [{"name": "bug"}]}
        )

    assert ask(handler, lambda host: host.issue("octo/app", 7)) == Issue(7, "T", "", "open", ("bug",))


@pytest.mark.parametrize(
    ("status", "headers", "reason", "said"),
    [
        (401, {}, FailureReason.AUTH_UNAVAILABLE, "does not accept our token"),
        (403, {}, FailureReason.AUTH_UNAVAILABLE, "does not accept our token"),
        (403, {"X-RateLimit-Remaining": "0"}, FailureReason.INFRASTRUCTURE_ERROR, "rate limit"),
        (429, {}, FailureReason.INFRASTRUCTURE_ERROR, "rate limit"),
        (404, {}, FailureReason.INFRASTRUCTURE_ERROR, "not found"),
        (500, {}, FailureReason.INFRASTRUCTURE_ERROR, "answered 500"),
    ],
)
def test_refusals_are_one_line_without_the_token(status, headers, reason, said):
    async def handler(request):
        return web.json_response({"message": f"bad {TOKEN}"}, status=status, headers=headers)

    with pytest.raises(HostError, match=said) as refused:
        ask(handler, lambda host: host.issue("octo/app", 7))
    assert refused.value.reason is reason
    assert TOKEN not in str(refused.value)


def test_no_answer_and_no_github():
    async def page(request):
        return web.Response(text="<html>")

    with pytest.raises(HostError, match="is no GitHub"):
        ask(page, lambda host: host.issue("octo/app", 7))

    async def hang(request):
        await asyncio.sleep(60)

    with pytest.raises(HostError, match="does not answer"):
        ask(hang, lambda host: host.issue("octo/app", 7), seconds=0.2)


class Pulls:
    """A GitHub that knows pull requests."""

    def __init__(self, lose=False):
        self.open, self.lose = [], lose

    async def __call__(self, request):
        if request.method == "GET":
            assert request.query["head"] == "octo:foreman/issue-7"
            return web.json_response(self.open)
        body = await request.json()
        if request.method == "PATCH":
            self.open[0] |= body
            return web.json_response(self.open[0])
        self.open.append({"number": 9, "html_url": "https://x/9", **body})
        if self.lose:
            self.lose = False
            return web.json_response({"message": "oh"}, status=502)
        return web.json_response(self.open[0], status=201)


def opened(host, title="T"):
    return host.pull_request("octo/app", "foreman/issue-7", "main", title, "B")


def test_a_pull_request_is_opened_once_and_then_updated():
    pulls = Pulls()
    assert ask(pulls, opened) == PullRequest(9, "https://x/9", True)
    assert ask(pulls, lambda host: opened(host, "U")) == PullRequest(9, "https://x/9", False)
    assert [each["title"] for each in pulls.open] == ["U"]


def test_a_lost_answer_does_not_open_a_second_one():
    pulls = Pulls(lose=True)
    assert ask(pulls, opened) == PullRequest(9, "https://x/9", False)
    assert len(pulls.open) == 1


def test_a_redirect_elsewhere_does_not_get_the_token():
    async def go():
        seen = []

        async def thief(request):
            seen.append(request.headers.get("Authorization"))
            return web.json_response({"number": 1})

        async with hub(thief) as elsewhere:

            async def handler(request):
                raise web.HTTPFound(elsewhere.replace("127.0.0.1", "localhost") + request.path)

            async with hub(handler) as api:
                await GitHub(SecretStr(TOKEN), api).issue("octo/app", 1)
        assert seen == [None]

    asyncio.run(go())
