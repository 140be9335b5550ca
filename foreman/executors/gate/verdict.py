"""The verdict table. What was seen of a run in, verdict and failure reason out."""

from __future__ import annotations

from foreman.api.meta import Word
from foreman.api.task import FailureReason, Verdict


class Seen(Word):
    """How a run of the gate ended, as far as it could be observed."""

    COMPLETE = "complete"
    FAILED = "failed"
    DISAPPEARED = "disappeared"
    API_ERROR = "API error"
    POLL_TIMEOUT = "poll timeout"
    CANCELLED = "cancelled"
    CREATE_ERROR = "create error"
    RENDER_ERROR = "render error"
    DUPLICATE_NAME = "duplicate name"
    DISPATCH_ERROR = "dispatch error"


_ERROR = (Verdict.GATE_ERROR, FailureReason.GATE_ERROR)
TABLE: dict[Seen, tuple[Verdict, FailureReason | None]] = {
    Seen.COMPLETE: (Verdict.GATE_PASS, None),
    Seen.FAILED: (Verdict.GATE_FAIL, FailureReason.GATE_FAILED),
    Seen.DISAPPEARED: _ERROR,
    Seen.API_ERROR: _ERROR,
    Seen.POLL_TIMEOUT: _ERROR,
    Seen.CANCELLED: _ERROR,
    Seen.CREATE_ERROR: _ERROR,
    Seen.RENDER_ERROR: _ERROR,
    Seen.DUPLICATE_NAME: _ERROR,
    Seen.DISPATCH_ERROR: (Verdict.INCOMPLETE, FailureReason.TOOL_FAILED),
}


def verdict_of(seen: Seen) -> tuple[Verdict, FailureReason | None]:
    return TABLE[seen]
