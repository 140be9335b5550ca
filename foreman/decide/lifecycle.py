"""The phase table of an AgenticTask: which event leads from which phase to which. Everything else is illegal.

`ownership` says who may cause an event; the other modules of this package say when; this table says what it means. The diagram
in the README is generated from it (`diagram()`).
"""

from __future__ import annotations

from foreman.api import Phase, Word


class Event(Word):
    OBSERVED = "observed"
    ASSIGNED = "assigned"
    SKIPPED = "upstream already resolved"
    CASCADED = "upstream failed"
    REFUSED = "cannot ever run"
    CLAIMED = "claimed"
    HANDED_BACK = "handed back"
    RETRIED = "failed, will retry"
    EXPIRED = "claim expired"
    VERIFYING = "verification began"
    FINISHED = "executor finished"
    FAILED = "executor failed"
    GAVE_UP = "claim expired too often"
    TIMED_OUT = "deadline passed"


_PENDING, _SCHEDULED, _RUNNING, _VERIFYING = Phase.PENDING, Phase.SCHEDULED, Phase.RUNNING, Phase.VERIFYING
_SUCCEEDED, _FAILED = Phase.SUCCEEDED, Phase.FAILED

TABLE: dict[tuple[Phase | None, Event], Phase] = {
    (None, Event.OBSERVED): _PENDING,
    (_PENDING, Event.ASSIGNED): _SCHEDULED,
    (_PENDING, Event.SKIPPED): _SUCCEEDED,
    (_PENDING, Event.CASCADED): _FAILED,
    (_PENDING, Event.REFUSED): _FAILED,
    (_SCHEDULED, Event.CLAIMED): _RUNNING,
    (_SCHEDULED, Event.HANDED_BACK): _PENDING,
    (_SCHEDULED, Event.EXPIRED): _PENDING,
    (_SCHEDULED, Event.GAVE_UP): _FAILED,
    (_RUNNING, Event.VERIFYING): _VERIFYING,
} | {
    (phase, event): target
    for phase in (_RUNNING, _VERIFYING)
    for event, target in (
        (Event.HANDED_BACK, _PENDING),
        (Event.RETRIED, _PENDING),
        (Event.EXPIRED, _PENDING),
        (Event.FINISHED, _SUCCEEDED),
        (Event.FAILED, _FAILED),
        (Event.GAVE_UP, _FAILED),
        (Event.TIMED_OUT, _FAILED),
    )
}


class IllegalTransition(AssertionError):
    """The product tried a transition the table does not have: a bug in the product."""


def after(phase: Phase | None, event: Event) -> Phase:
    """The phase that `event` leads to. Raises IllegalTransition."""
    try:
        return TABLE[phase, event]
    except KeyError:
        raise IllegalTransition(f"a task in phase {phase or '(none)'} cannot be {event.value}") from None


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (phase, event), target in TABLE.items():
        arrows.setdefault((phase or "[*]", target), []).append(event.value)
    lines = [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in arrows.items()]
    ends = [f"    {phase} --> [*]" for phase in (_SUCCEEDED, _FAILED)]
    return "\n".join(["stateDiagram-v2", *lines, *ends])
