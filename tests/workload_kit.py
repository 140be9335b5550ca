"""Workloads and their children for tests of decisions: by step, phase and verdict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from foreman.api import AgenticTask, ObjectReference, Workload, from_wire
from foreman.decide.pipeline.book import View
from foreman.decide.pipeline.plan import Decision, decide
from foreman.decide.pipeline.steps import StepId, parse

GROUP = "foreman.llmkube.dev/v1alpha1"
UID = "uid-of-wl"
WALL = 1_000


def workload(name: str = "wl", **spec: Any) -> Workload:
    """A Workload of one issue (641) with coder, gate and one reviewer, but for what `spec` (wire names, None: not) says."""
    usual = {
        "intent": "unit test",
        "repo": "defilantech/LLMKube",
        "issues": [641],
        "coderAgentRef": {"name": "coder"},
        "verifierAgentRef": {"name": "gate"},
        "reviewerAgentRefs": [{"name": "reviewer"}],
    }
    said = {key: value for key, value in (usual | spec).items() if value is not None}
    meta = {"name": name, "namespace": "default", "uid": UID, "generation": 1, "resourceVersion": "1"}
    made = from_wire({"apiVersion": GROUP, "kind": "Workload", "metadata": meta, "spec": said})
    assert isinstance(made, Workload)
    return made


def refs(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def child(
    step: str,
    phase: str = "",
    verdict: str = "",
    result: dict[str, Any] | None = None,
    issue: int | None = None,
    owner: str = UID,
) -> AgenticTask:
    """The task of a step as rendered for Workload `wl`, in this state."""
    known = parse(step)
    number = issue or (known.issue if known is not None else None)
    made = from_wire(
        {
            "apiVersion": GROUP,
            "kind": "AgenticTask",
            "metadata": {
                "name": f"wl-{step}",
                "namespace": "default",
                "uid": f"uid-{step}",
                "resourceVersion": "1",
                "labels": {"foreman.llmkube.dev/workload": "wl", "foreman.llmkube.dev/step": step},
                "ownerReferences": [
                    {"apiVersion": GROUP, "kind": "Workload", "name": "wl", "uid": owner, "controller": True}
                ],
            },
            "spec": {"kind": "issue-fix", "payload": {"issue": number} if number else {}},
            "status": {key: value for key, value in _status(phase, verdict, result).items() if value},
        }
    )
    assert isinstance(made, AgenticTask)
    return made


def _status(phase: str, verdict: str, result: dict[str, Any] | None) -> dict[str, Any]:
    return {"phase": phase, "verdict": verdict, "result": result}


def envelope(outcome: str, model: str = "", summary: str = "", **extra: Any) -> dict[str, Any]:
    """A result with `extra.outcome`, and with `extra.modelExtra.outcome` when `model` is given."""
    nested = {"modelExtra": {"outcome": model}} if model else {}
    return {"schemaVersion": "foreman.v1", "summary": summary, "extra": {"outcome": outcome, **nested, **extra}}


def sorted_in(children: Iterable[AgenticTask], issue: int = 641) -> dict[StepId, AgenticTask]:
    """The children of one issue, by step."""
    found = {parse(task.metadata.name.removeprefix("wl-")): task for task in children}
    return {step: task for step, task in found.items() if step is not None and step.issue == issue}


def planned(wl: Workload, children: Iterable[AgenticTask], *more: str) -> Workload:
    """The Workload once it is Planned, with these children (and steps named in `more`, which are gone) on record."""
    recorded = [ObjectReference(name=task.metadata.name, uid=task.metadata.uid) for task in children]
    recorded += [ObjectReference(name=f"wl-{step}", uid=f"uid-{step}") for step in more]
    told = {"type": "Planned", "status": "True", "reason": "PlannerSucceeded", "message": ""}
    status = wl.status.model_validate({"phase": "Planned", "conditions": [told], "tasks": recorded})
    return wl.evolve(status=status)


def view(wl: Workload, children: Iterable[AgenticTask] = (), **more: Any) -> View:
    return View(wl, {task.metadata.name: task for task in children}, WALL, **more)


def decided(wl: Workload, children: Iterable[AgenticTask] = (), **more: Any) -> Decision:
    return decide(view(wl, children, **more))


def follow_up(children: list[AgenticTask], **spec: Any) -> list[str]:
    """The steps that a planned Workload with these children has created next."""
    wl = workload(**spec)
    return [task.metadata.name.removeprefix("wl-") for task in decided(planned(wl, children), children).create]
