"""What a reviewer's verdict must carry. Pure.

Facts in it are replaced by facts; a refusal has to point at the change; an approval must not refute itself.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from foreman.api import FailureReason
from foreman.executors.loop.ending import Judgement
from foreman.executors.rails.change import Change

QUOTE_MIN = 12
"""Characters from which on a quotation points to a place."""
BLOCKING = frozenset({"reject", "blocker", "blocking", "critical", "must-fix"})
_KINDS = ("severity", "level", "kind", "type", "verdict")
_TEXTS = ("message", "detail", "finding", "text", "quote", "line_text", "evidence", "suggestion")


def weighed(judged: Judgement, change: Change, asked: str) -> Judgement:
    """A reviewer's judgement held against the change it was about. `asked`: what the issue, or the prompt, really says."""
    if judged.verdict not in ("GO", "NO-GO") or judged.outcome != "MODEL-DECIDED":
        return judged
    if not change.files:
        return _error(judged, "the branch does not differ from its base: there was nothing to judge")
    if _blank_claim(judged.model_extra):
        return _error(judged, "the review's claim is empty")
    facts = {**judged.model_extra, "filesTouched": list(change.paths), "issueAsk": asked}
    judged = judged._replace(model_extra=facts)
    found = list(findings(facts))
    if judged.verdict == "GO" and (against := [each for each in found if blocking(each)]):
        return _railed(judged, "NO-GO", f"approved against its own finding: {_words(against[0])[:160]}")
    if judged.verdict == "NO-GO" and found and not any(rejecting(each) or grounded(each, change) for each in found):
        return _railed(judged, "GO", "none of its findings is about this change")
    return judged


def findings(extra: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Each as a mapping, whatever shape the model has chosen."""
    given = extra.get("findings")
    for each in given if isinstance(given, list) else [given]:
        if isinstance(each, Mapping) and each:
            yield each
        elif isinstance(each, str) and each.strip():
            yield {"message": each}


def blocking(finding: Mapping[str, Any]) -> bool:
    """A finding that by its own word forbids the merge."""
    return bool(_kinds(finding) & BLOCKING) or rejecting(finding)


def rejecting(finding: Mapping[str, Any]) -> bool:
    """A finding that refuses the change as a whole. It needs no place: what is missing has none."""
    return "reject" in _kinds(finding) or str(finding.get("message", "")).lstrip().startswith(("REJECT", "[REJECT"))


def _kinds(finding: Mapping[str, Any]) -> set[str]:
    return {str(finding.get(name, "")).strip().lower().replace("_", "-") for name in _KINDS}


def grounded(finding: Mapping[str, Any], change: Change) -> bool:
    """Whether it points at the change: names one of its files, or quotes one of its lines."""
    if not change.whole:
        return True
    named = str(finding.get("file") or finding.get("path") or "")
    words = _words(finding)
    if any(_names(named, path) or path in words for path in change.paths):
        return True
    lines = (line.strip() for each in change.files for line in each.shown)
    return any(line in words for line in lines if len(line) >= QUOTE_MIN)


def _names(text: str, path: str) -> bool:
    """Whether what a reviewer has written names the file: a/x.py, ./x.py:12, /work/src/x.py and plain x.py are its ways."""
    plain = posixpath.normpath(text.strip().split(":")[0])
    return plain == path or plain.endswith(f"/{path}") or path.endswith(f"/{plain}")


def _words(finding: Mapping[str, Any]) -> str:
    return "\n".join(str(finding[name]) for name in _TEXTS if finding.get(name))


def _blank_claim(extra: Mapping[str, Any]) -> bool:
    return "claim" in extra and not str(extra["claim"] or "").strip()


def _error(judged: Judgement, why: str) -> Judgement:
    said = {**judged.model_extra, "rail": why, "saidVerdict": judged.verdict}
    summary = f"{why} (the reviewer's own word: {judged.verdict}: {judged.summary})"
    return judged._replace(
        verdict="INCOMPLETE", summary=summary, failure_reason=FailureReason.MODEL_REPORTED_ERROR, model_extra=said
    )


def _railed(judged: Judgement, verdict: str, why: str) -> Judgement:
    said = {**judged.model_extra, "rail": why, "saidVerdict": judged.verdict}
    return judged._replace(verdict=verdict, summary=f"{judged.summary} [{verdict}: {why}]", model_extra=said)
