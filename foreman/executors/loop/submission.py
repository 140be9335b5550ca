"""submit_result: the one tool that is the loop's own, because it ends the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NAME = "submit_result"
VERDICTS = ("GO", "NO-GO", "ERROR")
SUMMARY_BYTES = 280

DESCRIPTION = (
    "End the task and report. Verdict GO: the work is done (a reviewer: the change is good). NO-GO: it cannot or should not be "
    "done (a reviewer: the change is not good). ERROR: something outside the work stopped you."
)
PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "enum": list(VERDICTS)},
        "summary": {"type": "string", "description": f"What was done or found, at most {SUMMARY_BYTES} bytes."},
        "commit_message": {"type": "string", "description": "With GO on changed files: the message of the commit."},
        "extra": {
            "type": "object",
            "description": "More, if the task asks for it. outcome ALREADY-RESOLVED (with resolvedBy) when nothing is left "
            "to do, NEEDS-VERIFICATION (with unverified) when the fix cannot be confirmed here; findings of a review.",
        },
    },
    "required": ["verdict", "summary"],
}


class BadSubmission(ValueError):
    """The model is told this text and may try again."""


@dataclass(frozen=True)
class Submission:
    verdict: str
    summary: str
    commit_message: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def parse(arguments: Mapping[str, Any]) -> Submission:
    """Raises BadSubmission. A long summary is cut, not refused (#999); a missing commit message is made up later (#1529)."""
    verdict = arguments.get("verdict")
    if isinstance(verdict, str):
        verdict = verdict.strip().upper().replace("_", "-").replace(" ", "-")
        verdict = "NO-GO" if verdict == "NOGO" else verdict
    if verdict not in VERDICTS:
        raise BadSubmission(f"submit_result: verdict must be one of {', '.join(VERDICTS)}, got {verdict!r}")
    summary = arguments.get("summary")
    if not isinstance(summary, str) or not summary.strip():
        raise BadSubmission("submit_result: summary must be a sentence or two of text")
    message = arguments.get("commit_message") or ""
    extra = arguments.get("extra") or {}
    if not isinstance(message, str):
        raise BadSubmission(f"submit_result: commit_message must be text, got {type(message).__name__}")
    if not isinstance(extra, Mapping):
        raise BadSubmission(f"submit_result: extra must be an object, got {type(extra).__name__}")
    return Submission(verdict, cut(summary.strip(), SUMMARY_BYTES), message.strip(), extra)


def cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8: up to the end of the last whole sentence if that keeps at least half, else a whole
    character and an ellipsis."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    head = data[:limit].decode("utf-8", "ignore")
    end = max(head.rfind(mark) for mark in (". ", "! ", "? ", ".\n"))
    if end + 1 >= limit // 2:
        return head[: end + 1]
    return data[: limit - 3].decode("utf-8", "ignore").rstrip() + "…"


def schema(name: str, description: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as the chat-completions API takes it."""
    return {"type": "function", "function": {"name": name, "description": description, "parameters": dict(parameters)}}


SCHEMA = schema(NAME, DESCRIPTION, PARAMETERS)
