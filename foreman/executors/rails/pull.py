"""The words of a pull request. Pure."""

from __future__ import annotations

from foreman.api import Agent, AgenticTask, AgentRole
from foreman.executors.loop import Submission

TITLE_CHARACTERS = 120


def title_of(task: AgenticTask, submitted: Submission | None, subject: str, role: AgentRole) -> str:
    """A coder's own commit message, or that of the head a reviewer has judged (`subject`): its first line."""
    first = subject
    if role is AgentRole.CODER and submitted is not None:
        first = (submitted.commit_message or submitted.summary).strip().split("\n")[0].strip()
    first = first or f"Work of {task.key}"
    return first if len(first) <= TITLE_CHARACTERS else first[: TITLE_CHARACTERS - 1].rstrip() + "…"


def body_of(task: AgenticTask, summary: str, agent: Agent, attempt: int) -> str:
    issue = task.spec.payload.issue
    closes = [f"Closes #{issue}."] if issue is not None else []
    role = "Reviewed" if agent.spec.role is AgentRole.REVIEWER else "Made"
    told = f"{role} by the agent {agent.metadata.name} in task {task.key}, attempt {attempt}."
    return "\n\n".join([*closes, summary.strip(), told])
