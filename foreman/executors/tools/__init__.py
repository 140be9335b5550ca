"""The tools a model may be given, behind a whitelist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from foreman.executors.gate.gate import Gate
from foreman.executors.gate.request import GateRequest
from foreman.executors.hosts import CodeHost
from foreman.executors.sandbox import Confinement, Limits
from foreman.executors.tools.files import read_file, str_replace, write_file
from foreman.executors.tools.gatejob import run_gate_job
from foreman.executors.tools.issue import fetch_issue
from foreman.executors.tools.protocol import Answer, Tool
from foreman.executors.tools.search import grep
from foreman.executors.tools.shell import bash
from foreman.executors.tools.workspace import Refused, Workspace

__all__ = ["TOOLS", "Answer", "Refused", "Tool", "UnknownTool", "Workspace", "toolbox"]

TOOLS = ("read_file", "write_file", "str_replace", "grep", "bash", "fetch_issue", "run_gate_job")
OF_THE_LOOP = ("submit_result",)


class UnknownTool(ValueError):
    """The whitelist names a tool that does not exist; the message says which and what there is."""


def toolbox(
    workspace: Workspace,
    names: Sequence[str],
    *,
    confinement: Confinement,
    environ: Mapping[str, str],
    limits: Limits = Limits(),  # noqa: B008 - frozen
    repo: str = "",
    host: CodeHost | None = None,
    gate: Gate | None = None,
    request: GateRequest | None = None,
) -> dict[str, Tool]:
    """The tools of the whitelist `names`, in its order. `environ`: the agent's environment, of which next to nothing is passed
    on; `limits`: of each bash command; `repo`: the task's, the only one that can be asked about. Raises UnknownTool."""
    makers: dict[str, Callable[[], Tool]] = {
        "read_file": lambda: read_file(workspace),
        "write_file": lambda: write_file(workspace),
        "str_replace": lambda: str_replace(workspace),
        "grep": lambda: grep(workspace),
        "bash": lambda: bash(workspace, confinement, limits, environ),
        "fetch_issue": lambda: fetch_issue(host, repo),
        "run_gate_job": lambda: run_gate_job(gate, request),
    }
    for name in names:
        if name not in makers and name not in OF_THE_LOOP and not name.startswith("mcp__"):
            raise UnknownTool(f"no tool {name!r}; there are {', '.join((*TOOLS, *OF_THE_LOOP))}")
    return {name: makers[name]() for name in names if name in makers}
