"""What the steps of an issue batch are called, and what the names say.

For issue N: `code-N`, `verify-N`, `review-N-<i>`; the k-th revision after a reviewer's NO-GO ends in `-r<k>`; a second try by
the escalation coder is `code-N-esc`, `verify-N-esc`, `review-N-esc-<i>`; the second opinion on a NO-GO is `escalate-N-<j>`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

CODE: Final = "code"
VERIFY: Final = "verify"
REVIEW: Final = "review"
ESCALATE: Final = "escalate"

ESCALATED: Final = -1
"""The round of the escalation coder's attempt."""

LABEL_LONGEST: Final = 63

_NAME = re.compile(
    r"(?P<stage>code|verify)-(?P<issue>\d+)(?:-r(?P<round>[1-9]\d*)|-(?P<esc>esc))?"
    r"|review-(?P<reviewed>\d+)-(?:(?P<second>esc)-(?P<i>\d+)|(?P<index>\d+)(?:-r(?P<again>[1-9]\d*))?)"
    r"|escalate-(?P<doubted>\d+)-(?P<j>\d+)"
)


class StepId(NamedTuple):
    """`reviewer` counts from 0; `round` 0 is the first attempt, k its k-th revision, ESCALATED the escalation coder's."""

    stage: str
    issue: int
    reviewer: int = 0
    round: int = 0

    def __str__(self) -> str:
        stage, issue, reviewer, number = self
        if stage == ESCALATE:
            return f"{stage}-{issue}-{reviewer}"
        if number == ESCALATED:
            return f"{stage}-{issue}-esc" + (f"-{reviewer}" if stage == REVIEW else "")
        name = f"{stage}-{issue}-{reviewer}" if stage == REVIEW else f"{stage}-{issue}"
        return f"{name}-r{number}" if number else name


@lru_cache(maxsize=65536)
def parse(step: str) -> StepId | None:
    """What the name of a step says, None when it is none of an issue batch's."""
    found = _NAME.fullmatch(step)
    if found is None:
        return None
    part = found.groupdict()
    if part["stage"]:
        number = ESCALATED if part["esc"] else int(part["round"] or 0)
        return StepId(part["stage"], int(part["issue"]), 0, number)
    if part["doubted"]:
        return StepId(ESCALATE, int(part["doubted"]), int(part["j"]))
    if part["second"]:
        return StepId(REVIEW, int(part["reviewed"]), int(part["i"]), ESCALATED)
    return StepId(REVIEW, int(part["reviewed"]), int(part["index"]), int(part["again"] or 0))


def task_name(workload: str, step: str) -> str:
    """The name of the task of an explicit step: prefixed by the Workload's, unless it is already."""
    prefix = f"{workload}-"
    return step if step.startswith(prefix) else prefix + step


def label_value(text: str) -> str:
    """`text` as a label's value: what is longer than 63 characters is cut and told apart by a hash."""
    if len(text) <= LABEL_LONGEST:
        return text
    return f"{text[:54].rstrip('-._')}-{sha256(text.encode()).hexdigest()[:8]}"
