"""What a coder's GO is checked for without running anything, and what becomes of one that claims too much. Pure.

What is certain is said to the model, which has to mend it (`faults`); what is only likely is for the reviewers (`remarks`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from foreman.api import GateAdvisory, SelfGo
from foreman.executors.rails.change import Change, FileChange
from foreman.executors.rails.workclass import class_of

SHOWN = 5

_BUILT = re.compile(r"\.(pyo|o|a|obj|so|dylib|dll|exe|class|jar|test|prof|core|wasm)$|(^|/)(core|a\.out)$")
_LEFT = re.compile(r"(^|/)\.tox/|\.(swp|orig|rej)$|(^|/)nohup\.out$")
_MARKER = re.compile(r"^(<{7}|>{7}) \S")
_TEST = re.compile(
    r"(^|/)(tests?|__tests__|testdata|spec)/|(^|/)(test_[^/]+|[^/]+_test|[^/]+\.(test|spec))\.\w+$|(^|/)conftest\.py$"
)
_ASSERTION = re.compile(r"\b(assert\w*|expect|require|t\.(Error|Fatal)f?|should)\b")
_CLAIM = re.compile(
    r"\b(all |the |unit |existing |new )*(tests?|test suite|suite|build|lint|checks?)( now| all| still)? "
    r"(pass(es|ed)?|succeed(s|ed)?|(is|are) (green|passing))\b|\bverified (by|with|that|it|the)\b|\bconfirmed by running\b",
    re.IGNORECASE,
)


class Fault(NamedTuple):
    """`check` names it, and the switch that turns it off."""

    check: str
    detail: str


def faults(change: Change) -> Iterator[Fault]:
    built = [each.path for each in change.files if each.new and _artifact(each)]
    if built:
        yield Fault("artifact", f"these are products of a build or an editor, no sources: {_some(built)}. Remove them.")
    marked = [each.path for each in change.files if any(_MARKER.match(line) for line in each.added)]
    if marked:
        yield Fault("conflict", f"conflict markers were left in: {_some(marked)}")


def remarks(change: Change) -> Iterator[GateAdvisory]:
    code = [each for each in change.files if _is_code(each) and not is_test(each.path)]
    tests = [each for each in change.files if is_test(each.path)]
    if code and not tests:
        yield GateAdvisory(
            check="test-presence", detail=f"code was changed and no test: {_some([e.path for e in code])}"
        )
    gone = [each.path for each in tests if each.gone]
    if gone:
        yield GateAdvisory(check="test-dilution", detail=f"tests were deleted: {_some(gone)}")
    fewer = [each.path for each in tests if not each.gone and _assertions(each.removed) > _assertions(each.added)]
    if fewer:
        yield GateAdvisory(check="test-dilution", detail=f"more assertions were removed than added: {_some(fewer)}")
    binary = [each.path for each in change.files if each.binary and each.new]
    if binary:
        yield GateAdvisory(check="embedded-artifact", detail=f"new binary files: {_some(binary)}")


def _artifact(each: FileChange) -> bool:
    return bool(_LEFT.search(each.path)) or (each.binary and bool(_BUILT.search(each.path)))


def is_test(path: str) -> bool:
    return bool(_TEST.search(path))


def _is_code(each: FileChange) -> bool:
    return class_of(each.path) is SelfGo.CODE_FIX and not each.gone and not each.binary


def _assertions(lines: Collection[str]) -> int:
    return sum(bool(_ASSERTION.search(line)) for line in lines)


def unverified(summary: str, extra: Mapping[str, Any], evidence: bool) -> str:
    """What a GO claims, or owns up to, that nobody has seen; '' when nothing. `evidence`: a command of the model's, or a test
    command of the gate's, has run and succeeded."""
    admitted = extra.get("unverified")
    if isinstance(admitted, list):
        admitted = "; ".join(str(each) for each in admitted)
    if isinstance(admitted, str) and admitted.strip():
        return admitted.strip()
    claimed = _CLAIM.search(summary)
    if claimed and not evidence:
        return f'"{claimed[0]}" is claimed, and no command was run that could show it'
    return ""


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(paths[:SHOWN]) + more
