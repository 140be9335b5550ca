"""Which MCP servers a run may use: those of its Agent, over HTTP; those of this machine, as its owner wrote them down. Pure.

A machine's servers are programs that run beside the agent, with its rights. An Agent cannot bring one along: it can only ask
for one by name, in its list of tools (`mcp__<server>__<tool>`, or `mcp__<server>__*`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from foreman.api.agent import MCP_PREFIX, Agent, Mcp

SECONDS, RESULT_BYTES = 30, 32_768
ALL = "*"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class BadServers(ValueError):
    """One line: what in the file is wrong, and what belongs there."""


@dataclass(frozen=True)
class Server:
    """`url` or `command`. `tools`: the only ones that are offered, empty for all; `strict`: each of them has to be there."""

    name: str
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    tools: tuple[str, ...] = ()
    strict: bool = False


@dataclass(frozen=True)
class Bounds:
    """Of one call: seconds until it is given up, bytes of its answer that are kept."""

    seconds: float = SECONDS
    result: int = RESULT_BYTES


def bounds_of(config: Mcp | None) -> Bounds:
    given = config or Mcp()
    return Bounds(given.call_timeout or SECONDS, given.max_result_bytes or RESULT_BYTES)


def parse(text: str, environ: Mapping[str, str]) -> tuple[Server, ...]:
    """The servers of a machine, from JSON as other clients of MCP have it: {"mcpServers": {NAME: {"command": "x", "args": [],
    "env": {}} or {"url": "http://...", "headers": {}}}}; ${VARIABLE} is one of the agent's environment. Raises BadServers."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadServers(f"is no JSON ({error})") from None
    given = data.get("mcpServers") if isinstance(data, dict) else None
    if not isinstance(given, dict):
        raise BadServers('has no object "mcpServers"')
    return tuple(_server(name, about, environ) for name, about in given.items())


def _server(name: str, about: Any, environ: Mapping[str, str]) -> Server:
    where = f"mcpServers.{name}"
    if not _NAME.fullmatch(name) or "__" in name:
        raise BadServers(f"{where}: a name has letters, digits, - and single _, at most 32 of them")
    if not isinstance(about, dict) or bool(about.get("url")) == bool(about.get("command")):
        raise BadServers(f'{where}: give either "command" (with "args", "env") or "url" (with "headers")')
    if unknown := sorted(set(about) - {"url", "command", "args", "env", "headers", "type"}):
        raise BadServers(f"{where}.{unknown[0]}: there is no such field")
    args = about.get("args", [])
    if not isinstance(args, list) or not all(isinstance(each, str) for each in args):
        raise BadServers(f"{where}.args: must be a list of texts")
    for one in ("url", "command"):
        if not isinstance(about.get(one, ""), str):
            raise BadServers(f"{where}.{one}: must be text")
    if about.get("url") and not about["url"].startswith(("http://", "https://")):
        raise BadServers(f"{where}.url: {about['url']!r} is no address: expected http(s)://...")
    texts = {field: _texts(f"{where}.{field}", about.get(field, {}), environ) for field in ("env", "headers")}
    return Server(name, about.get("url", ""), texts["headers"], about.get("command", ""), tuple(args), texts["env"])


def _texts(where: str, given: Any, environ: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise BadServers(f"{where}: must be an object of texts")
    for value in given.values():
        for name in _VARIABLE.findall(value):
            if name not in environ:
                raise BadServers(f"{where}: the environment has no {name}")
    return {name: _VARIABLE.sub(lambda found: environ[found[1]], value) for name, value in given.items()}


def wanted(agent: Agent, machine: Sequence[Server], allowed: bool | None) -> list[Server]:
    """The servers of a run. `allowed`: the task's mcpEnabled; only False forbids. The Agent's still lack secret headers.
    Raises BadServers: the Agent asks for a server that is not on this machine."""
    if allowed is False:
        return []
    known = {each.name: each for each in machine}
    asked = asked_for(agent.spec.tools)
    missing = sorted(set(asked) - set(known) - _own(agent))
    if missing:
        there = ", ".join(sorted(known)) or "none"
        raise BadServers(f"the MCP server {missing[0]} is not on this machine (--mcp-config has: {there})")
    of_machine = [_narrowed(known[name], tools) for name, tools in asked.items() if name in known]
    return [*_of_agent(agent), *of_machine]


def asked_for(tools: Sequence[str]) -> dict[str, list[str]]:
    """Tools by server, out of an Agent's list."""
    found: dict[str, list[str]] = {}
    for each in tools:
        if each.startswith(MCP_PREFIX):
            server, _, tool = each.removeprefix(MCP_PREFIX).partition("__")
            found.setdefault(server, []).append(tool or ALL)
    return found


def _own(agent: Agent) -> set[str]:
    config = agent.spec.mcp
    return {each.name for each in config.servers} if config is not None and config.enabled else set()


def _of_agent(agent: Agent) -> list[Server]:
    """They go round the whitelist, as in the original: `allowedTools` is theirs."""
    config = agent.spec.mcp
    if config is None or not config.enabled:
        return []
    return [Server(each.name, each.url, tools=each.allowed_tools) for each in config.servers]


def _narrowed(server: Server, tools: list[str]) -> Server:
    chosen = () if ALL in tools else tuple(tools)
    return Server(server.name, server.url, server.headers, server.command, server.args, server.env, chosen, strict=True)
