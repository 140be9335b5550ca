"""run_gate_job: format, lint, build and test a branch, as the gate does; a verdict without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from foreman.executors.gate.gate import Gate
from foreman.executors.gate.request import GateRequest
from foreman.executors.tools.function import Function, schema
from foreman.executors.tools.protocol import Answer
from foreman.executors.tools.workspace import Refused


def run_gate_job(gate: Gate | None, request: GateRequest | None) -> Function:
    """`request` is the task's: a model may choose the branch, nothing else."""

    async def body(given: Mapping[str, Any]) -> Answer:
        if gate is None or request is None:
            raise Refused("this agent has no gate to run")
        if given.get("repo") not in (None, request.repo):
            raise Refused(f"only {request.repo} can be checked, not {given['repo']}")
        report = await gate.run(replace(request, branch=given.get("branch") or request.branch))
        said = {"verdict": report.verdict, "summary": report.summary, **report.extra()}
        return Answer(json.dumps(said, ensure_ascii=False))

    return Function(
        "run_gate_job",
        "Check a pushed branch of the task's repository: format, lint, build, test. Answers JSON with the verdict GATE-PASS, "
        "GATE-FAIL or GATE-ERROR and the end of the log.",
        schema((), repo={"type": "string", "description": "owner/name"}, branch={"type": "string"}),
        body,
    )
