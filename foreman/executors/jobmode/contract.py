"""What a Job prints and its supervisor reads: notes of the conversation, the result, the verdict. Pure.

    FOREMAN-NOTE: {json}       a message, as soon as it was said: a Job that is killed leaves what it has come to
    FOREMAN-RESULT: {json}     the foreman.v1 envelope
    FOREMAN GO                 the sentinel: GO, NO-GO, INCOMPLETE or ERROR
What a model says is in these lines as JSON only, where it cannot begin a line of its own; the last result counts, and only of a
Job that ended well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from foreman.api import FailureReason, Result, to_wire
from foreman.api.result import BadEnvelope
from foreman.executors.outcome import KIND

NOTE, RESULT, SENTINEL = "FOREMAN-NOTE: ", "FOREMAN-RESULT: ", "FOREMAN "
WORDS = ("GO", "NO-GO", "INCOMPLETE", "ERROR")
JOB_ERROR, MODEL_NO_GO = "JOB-ERROR", "MODEL-NO-GO"


def note(entry: Mapping[str, Any]) -> str:
    return f"{NOTE}{json.dumps(entry)}"


def ending(result: Result | None) -> str:
    """The last lines of a Job; None: the executor failed."""
    if result is None:
        return f"{SENTINEL}ERROR"
    word = {"GATE-PASS": "GO", "GATE-FAIL": "NO-GO"}.get(result.verdict, result.verdict)
    return f"{RESULT}{json.dumps(to_wire(result))}\n{SENTINEL}{word if word in WORDS else 'INCOMPLETE'}"


class Heard(NamedTuple):
    """`word`: the sentinel, '' without; `broken`: what is wrong with the result line, if there was one that is none."""

    result: Result | None
    word: str
    notes: Sequence[Mapping[str, Any]]
    broken: str = ""


def heard(log: str) -> Heard:
    result, word, broken = None, "", ""
    notes: list[Mapping[str, Any]] = []
    for line in log.splitlines():
        if line.startswith(NOTE):
            notes += _objects(line.removeprefix(NOTE))
        elif line.startswith(RESULT):
            try:
                result, broken = Result.parse(json.loads(line.removeprefix(RESULT))), ""
            except (ValueError, RecursionError, BadEnvelope) as error:
                result, broken = None, str(error)[:200]
        elif line.startswith(SENTINEL) and line.removeprefix(SENTINEL).strip() in WORDS:
            word = line.removeprefix(SENTINEL).strip()
    return Heard(result, word, notes, broken)


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield value


def concluded(said: Heard, ended_well: bool, why: str) -> Result:
    """The result of a Job. `why`: how it ended, in words, where it did not end well."""
    if ended_well and said.result is not None:
        return said.result
    if ended_well and said.word == "NO-GO":
        return _without(MODEL_NO_GO, "the Job said NO-GO and nothing more", None)
    if ended_well and said.word == "INCOMPLETE":
        lost = "the Job said INCOMPLETE and nothing more"
        return _without("INCOMPLETE", lost, FailureReason.INFRASTRUCTURE_ERROR, "INCOMPLETE")
    told = why or said.broken or "it printed no result"
    return _without(JOB_ERROR, f"the Job came to nothing: {told}", FailureReason.INFRASTRUCTURE_ERROR)


def _without(outcome: str, summary: str, reason: FailureReason | None, verdict: str = "NO-GO") -> Result:
    extra = {"outcome": outcome}
    return Result(
        kind=KIND, verdict=verdict, summary=summary[:280], extra=extra, failure_reason=reason.value if reason else None
    )
