"""What coders are told beyond the issue: the operator's intent, a predecessor's summary, reviewers' findings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from foreman.api import LABEL_STEP, AgenticTask
from foreman.decide.pipeline.outcome import model_extra, summary

FINDINGS_LONGEST = 4096
"""Characters of findings in a shape nobody knows; and of one message."""


def intent_prefix(intent: str) -> str:
    """The operator's intent as the coder reads it before the issue (#1201); '' for a blank one."""
    intent = intent.strip()
    if not intent:
        return ""
    return (
        "Operator intent for this run. It scopes the work: where it is narrower than what the issue proposes, "
        f"the intent wins.\n{intent}"
    )


def joined(*sections: str) -> str:
    """The sections that say something, a blank line between them."""
    return "\n\n".join(text for section in sections if (text := section.strip()))


def escalation_hint(prior: str) -> str:
    """What the stronger coder hears of the attempt before it: a hint at what was hard, not a finding."""
    told = f' Its own summary was:\n\n"{prior.strip()}"\n' if prior.strip() else "\n"
    return (
        f"An earlier attempt at this issue by a smaller model did not succeed.{told}\n"
        "Start afresh. The earlier attempt's conclusions may be wrong: take its summary only as a hint at what is difficult."
    )


def review_feedback(rejections: Sequence[AgenticTask]) -> str:
    """The coder's prompt for a revision: what each reviewer that said NO-GO objects to."""
    head = (
        "The review of your previous attempt at this issue ended in NO-GO. That attempt is on this task's branch:\n"
        "correct it so that every point below is met, and push to the same branch.\n"
    )
    sections = "\n".join("".join(f"{line}\n" for line in _section(task)) for task in rejections)
    return f"{head}\n{sections}\nAddress this feedback.\n"


def _section(task: AgenticTask) -> Iterator[str]:
    who = task.metadata.labels.get(LABEL_STEP) or task.metadata.name
    said = summary(task)
    yield f"Reviewer {who}: {said}" if said else f"Reviewer {who}"
    findings = model_extra(task).get("findings")
    known = [each for each in findings if _is_finding(each)] if isinstance(findings, list) else []
    if known:
        yield from map(_finding, known)
    elif findings:
        # A shape nobody agreed on still says more than nothing.
        yield f"- findings: {json.dumps(findings, sort_keys=True)[:FINDINGS_LONGEST]}"


def _is_finding(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("message"), str)


def _finding(finding: Mapping[str, Any]) -> str:
    kind = "/".join(str(finding[key]) for key in ("severity", "area") if finding.get(key))
    line = f"- [{kind}] " if kind else "- "
    line += str(finding["message"])[:FINDINGS_LONGEST]
    if finding.get("file"):
        line += f" ({finding['file']}:{finding['line']})" if finding.get("line") else f" ({finding['file']})"
    return line + (f"; suggested fix: {finding['suggestion']}" if finding.get("suggestion") else "")
