"""An API server as a process meets it at the door: what it serves, who may come in, what is there. Nothing behind it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from aiohttp import web
from kube_scripted import listing, status

GROUP = "/apis/foreman.llmkube.dev/v1alpha1"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
ALL = ("agentictasks", "agentictasks/status", "agents", "fleetnodes", "fleetnodes/status", "workloads")
NO_SUCH_PATH = status(404, "the server could not find the requested resource", "NotFound")


class Door:
    """`serves`: plurals known; `denies`: 'verb plural[/part]' refused by review; `answers`: path -> answer of its own."""

    def __init__(
        self,
        serves: Iterable[str] = ALL,
        denies: Iterable[str] = (),
        namespaces: Iterable[str] = ("default", "foreman-system"),
        answers: Mapping[str, web.Response] | None = None,
    ) -> None:
        self.serves = set(serves)
        self.denies = set(denies)
        self.namespaces = set(namespaces)
        self.answers = dict(answers or {})
        self.asked: list[str] = []
        self.reviewed: list[dict[str, str]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        answer = self.answers.get(request.path) or self.answers.get("*") or await self._answer(request)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.path
        if path == GROUP:
            resources = [{"name": name} for name in sorted(self.serves)]
            return web.json_response({"kind": "APIResourceList", "resources": resources}) if resources else NO_SUCH_PATH
        if path == REVIEWS:
            return self._review((await request.json())["spec"]["resourceAttributes"])
        if path.startswith("/api/v1/namespaces/"):
            return self._namespace(path.rpartition("/")[2])
        return listing() if path.rpartition("/")[2] in self.serves else NO_SUCH_PATH

    def _review(self, asked: dict[str, str]) -> web.Response:
        self.reviewed.append(asked)
        what = f"{asked['verb']} {asked['resource']}" + (f"/{asked['subresource']}" if asked["subresource"] else "")
        return web.json_response({"kind": "SelfSubjectAccessReview", "status": {"allowed": what not in self.denies}})

    def _namespace(self, name: str) -> web.Response:
        if name in self.namespaces:
            return web.json_response({"kind": "Namespace", "metadata": {"name": name}})
        body = {"kind": "Status", "reason": "NotFound", "details": {"name": name, "kind": "namespaces"}, "code": 404}
        return web.json_response({**body, "message": f'namespaces "{name}" not found'}, status=404)


class Ended(NamedTuple):
    """How a command ended: exit code and the lines of both outputs."""

    code: int
    out: list[str]
    err: list[str]

    @property
    def last(self) -> str:
        return self.err[-1] if self.err else ""


class Command:
    """`foreman ...` as a process of its own; `line(word)` waits for a line of its log that has the word."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen: list[str] = []

    @classmethod
    async def start(cls, *words: str, cwd: Path | None = None) -> Command:
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", "foreman.cli", *words]
        process = await asyncio.create_subprocess_exec(*command, stdin=None, stdout=pipe, stderr=pipe, cwd=cwd)
        return cls(process)

    async def line(self, word: str) -> str:
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            while text := (await self.process.stderr.readline()).decode():
                self.seen.append(text.rstrip("\n"))
                if word in text:
                    return self.seen[-1]
        raise AssertionError(f"no line with {word!r} before the end: {self.seen}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def end(self) -> Ended:
        async with asyncio.timeout(60):
            out, err = await self.process.communicate()
        lines = self.seen + err.decode().splitlines()
        return Ended(int(self.process.returncode or 0), out.decode().splitlines(), lines)

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()


NO_ENDPOINTS = ("--metrics-bind-address", "0", "--health-probe-bind-address", "0", "--log-format", "console")


async def foreman(*words: str) -> Ended:
    """Run the command to its end."""
    return await (await Command.start(*words)).end()


def message(line: str) -> str:
    """What a console line says, without time, level and fields."""
    return line[17:].partition("  ")[0]
