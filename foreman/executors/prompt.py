"""What the model is told at the start: the Agent's prompt as it is, and the task in our words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from foreman.api import AgenticTask, AgentRole, AgentSpec, ModelProfileSpec, TaskKind

CLOSING = {
    AgentRole.CODER: "Change the files, check what you can, then call submit_result with a commit message. Commit and push "
    "are done for you: never run git commit or git push.",
    AgentRole.REVIEWER: "Judge the change, do not edit it. Call submit_result: GO if it should be merged, NO-GO with findings "
    "that name file and line if not.",
    AgentRole.VERIFIER: "Find out whether the change does what it should, do not edit it. Call submit_result with GO or NO-GO.",
    AgentRole.PLANNER: "Make the plan and call submit_result with it in extra.",
}


def system_prompt(agent: AgentSpec, profile: ModelProfileSpec | None) -> str:
    addendum = profile.system_prompt_addendum.strip() if profile is not None else ""
    return "\n\n".join(part for part in (agent.system_prompt.strip(), addendum) if part)


def task_prompt(task: AgenticTask, agent: AgentSpec) -> str:
    """Facts first, then what is asked, then how to end."""
    return "\n\n".join(_parts(task, agent))


def _parts(task: AgenticTask, agent: AgentSpec) -> Iterator[str]:
    payload = task.spec.payload
    yield "\n".join(_facts(task))
    if payload.prompt_prefix.strip():
        yield payload.prompt_prefix.strip()
    if payload.prompt.strip():
        yield payload.prompt.strip()
    elif payload.issue is not None:
        how = " Read it with fetch_issue first." if "fetch_issue" in agent.tools else ""
        asked = "Mend" if task.spec.kind is TaskKind.ISSUE_FIX else "It is about"
        yield f"{asked} issue #{payload.issue} of {payload.repo or 'this repository'}.{how}"
    if payload.images and not (agent.vision and agent.vision.enabled):
        yield "The task has images that you cannot see: " + ", ".join(payload.images)
    if payload.gate_advisories:
        yield "The gate remarked:\n" + "\n".join(f"- {each.check}: {each.detail}" for each in payload.gate_advisories)
    yield CLOSING[agent.role]


def _facts(task: AgenticTask) -> Iterator[str]:
    payload = task.spec.payload
    yield f"Task {task.key} ({task.spec.kind})"
    if payload.repo:
        yield f"Repository: {payload.repo}, checked out in the working directory"
    if payload.issue is not None:
        yield f"Issue: #{payload.issue}"
    if payload.branch:
        yield f"Branch: {payload.branch}"
    if payload.base_branch:
        yield f"Base branch: {payload.base_branch}"
    if payload.revise_from_branch:
        yield f"It goes on from an earlier attempt: branch {payload.revise_from_branch}"
