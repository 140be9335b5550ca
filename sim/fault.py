"""The schema of one planned fault: what goes wrong, and when: at a time, at random, or when something happens.

Three sorts of faults. Some change a state until they are mended (crash, partition ...). Some only happen (compact,
delete-task). Some strike single messages: a request, an event of a watch, or an execution; those lie in wait for a while.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from foreman.api import KINDS, NodeAccelerator, Phase
from sim.kinds import Strict, Whole, one_of, refusal, refusing
from sim.units import Chance, Duration, Signed, rate, show_rate

VERDICTS = ("GO", "NO-GO", "INCOMPLETE", "GATE-PASS", "GATE-FAIL", "GATE-ERROR")
UNKNOWN_VERDICT = "ERROR"
"""One that executors have been seen to say and that the API server refuses."""
WRITES = ("create", "patch", "patch_status", "delete")
VERBS = ("get", "list", "watch", *WRITES)

ON_REQUESTS = ("lose-request", "lose-reply", "delay-request", "error-after-commit")
ON_EVENTS = ("drop-event", "delay-event", "duplicate-event")
ON_EXECUTIONS = ("executor-hang", "executor-crash", "wrong-verdict")
ON_MESSAGES = (*ON_REQUESTS, *ON_EVENTS, *ON_EXECUTIONS)
FAULTS = (
    "crash",
    "freeze",
    "partition",
    "flap",
    "drain",
    "slow",
    "loss",
    "watch-lag",
    "skew",
    "capability",
    "api-outage",
    "replica-lag",
    "compact",
    "delete-task",
    "delete-node",
    "delete-workload",
    *ON_MESSAGES,
)
DELAYING = frozenset({"slow", "watch-lag", "replica-lag", "skew", "delay-request", "delay-event"})
HOSTLESS = frozenset({"api-outage", "compact", *ON_MESSAGES})
ON_HOSTS = frozenset(FAULTS) - HOSTLESS - {"delete-task", "delete-node", "delete-workload", "replica-lag"}
"""Faults of a machine: one that is triggered strikes, without `host`, the machine that triggered it."""

_ALWAYS = 1.0
_Count = Annotated[int, Whole(1, 10**6)]


def _frequency(value: Any) -> Any:
    """A share of messages as a float, or a mean interval in microseconds as an int."""
    if isinstance(value, str):
        return rate(value.removesuffix("/min") + "/m" if value.endswith("/min") else value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"expected a rate such as 0.2/min (or, of loss, a share from 0 to 1), not {value!r:.40}")


Frequency = Annotated[
    float | int,
    BeforeValidator(refusing(_frequency)),
    PlainSerializer(lambda each: show_rate(each) if isinstance(each, int) else each, return_type=str | float),
    WithJsonSchema({"type": ["string", "number"], "minimum": 0, "maximum": 1, "examples": ["0.2/min", 0.1]}),
]


class Occasion(Strict):
    """Which messages, by glob: writes that have landed, or what a fault on messages strikes. `actor` is a host or one life
    of its process ('operator-0', 'operator-0/2'), of an event its receiver; `key` is 'namespace/name', or 'name'. From the
    `nth` match on."""

    verb: one_of(VERBS, "verb") | None = None  # type: ignore[valid-type]
    type: Literal["ADDED", "MODIFIED", "DELETED"] | None = None
    kind: one_of(tuple(KINDS), "kind") | None = None  # type: ignore[valid-type]
    actor: str = "*"
    key: str = "*"
    nth: _Count | None = None


class Moment(Strict):
    """The moment a task ('name' or 'namespace/name', by glob) enters a phase, for the `nth` time."""

    task: str
    phase: one_of(tuple(str(each) for each in Phase if each), "phase")  # type: ignore[valid-type]
    nth: _Count = 1


class Capability(Strict):
    """What a machine's probe finds different from what its group says."""

    accelerator: NodeAccelerator | None = None
    ram_gb: Annotated[int, Whole(0, 10**9)] | None = Field(default=None, alias="ramGB")
    context_tokens: Annotated[int, Whole(0, 10**9)] | None = Field(default=None, alias="contextTokens")
    models: tuple[str, ...] | None = None


class Fault(Strict):
    """Something goes wrong and is mended after `for` (never, if 0). When: `at` a time, `every` so long, `times` times; or at
    random, with a `rate` from `at` on; or `on` the nth matching write, or `after` a task has entered a phase, `then` so long
    later. A fault on messages strikes those that match `on`, each with a `probability`, at most `times` of them, for as long
    as it lasts (with a rate: one message each time).

    `host` names a host, or several with '*': operator-0, gpu-3, gpu-*; for the delete faults an object, for faults on messages
    whose they are. `by` is the delay, the error of the clock (skew) or the beat (flap); the share of messages lost (loss) is
    `rate` or `probability`; `verdict` what an executor says wrongly; `to` the new capability. `name` is what results call it.
    """

    at: Duration | None = None
    fault: one_of(FAULTS, "fault")  # type: ignore[valid-type]
    name: str = ""
    host: str = ""
    for_: Duration = Field(default=0, alias="for")
    every: Duration = 0
    times: Annotated[int, Whole(1, 100_000)] | None = None
    rate: Frequency = 0.0
    probability: Chance = _ALWAYS
    on: Occasion | None = None
    after: Moment | None = None
    then: Duration = 0
    direction: Literal["both", "out", "in"] = "both"
    by: Signed = 0
    verdict: one_of((*VERDICTS, UNKNOWN_VERDICT), "verdict") = "NO-GO"  # type: ignore[valid-type]
    to: Capability | None = None

    @property
    def on_messages(self) -> bool:
        return self.fault in ON_MESSAGES

    @property
    def interval(self) -> int:
        """Mean microseconds between two random strikes, 0 for a fault that is not random."""
        return self.rate if isinstance(self.rate, int) else 0

    @property
    def share(self) -> float:
        """Of `loss`: how many of the messages."""
        return self.probability if isinstance(self.rate, int) or not self.rate else self.rate

    @property
    def strikes(self) -> int | None:
        """How often it strikes at most: once when timed or triggered, without limit at random, if nothing else is said."""
        return self.times or (None if self.interval or (self.on and self.probability < _ALWAYS) else 1)

    @model_validator(mode="after")
    def _complete(self) -> Fault:
        for wrong in (self._untimed(), self._untriggered(), self._unsaid()):
            if wrong:
                raise refusal(wrong)
        return self

    def _untimed(self) -> str:
        given = [name for name in ("on", "after") if getattr(self, name)]
        given += ["rate"] if self.interval else []
        if self.on_messages:
            given = [name for name in given if name != "on"]
        elif self.at is None and not given:
            return "key 'at' is missing: expected at: 30s, rate: 0.2/min, on: {...} or after: {...}"
        timed = ["at"] if self.at is not None and not self.interval else []
        if len(given + timed) > 1:
            return f"expected one of at, rate, on and after, not both {(given + timed)[0]} and {(given + timed)[1]}"
        if self.times and self.times > 1 and not self.every and not given and not self.on_messages:
            return "times without every: say how far apart, e.g. every: 2m"
        if self.every and self.at is None:
            return "every without at: say from when on, e.g. at: 1m"
        return ""

    def _untriggered(self) -> str:
        if self.then and not self.after and (self.on_messages or not self.on):
            return "then is the delay after a trigger: expected on: {...} or after: {...} beside it"
        if self.probability < _ALWAYS and not self.on and not self.on_messages and self.fault != "loss":
            return "probability is per matching message: expected on: {...} beside it, or rate: 0.2/min"
        if not self.on:
            return ""
        if self.on.type and self.fault not in ON_EVENTS:
            return f"on.type is of watch events: expected it with {', '.join(ON_EVENTS)}"
        if self.on.verb and self.fault in (*ON_EVENTS, *ON_EXECUTIONS):
            return f"on.verb is of requests: expected it with {', '.join(ON_REQUESTS)}"
        if self.on.verb and self.on.verb not in WRITES and (not self.on_messages or self.fault == "error-after-commit"):
            return f"on.verb {self.on.verb} writes nothing: expected {', '.join(WRITES)}"
        return ""

    def _unsaid(self) -> str:
        hosted = self.fault in HOSTLESS or (self.fault in ON_HOSTS and (self.on or self.after))
        if not self.host and not hosted:
            return f"fault {self.fault} needs a host (or object) to strike: host: NAME"
        if not self.by and self.fault in DELAYING:
            return f"fault {self.fault} does nothing without by: say how much, e.g. by: 2s"
        if self.fault == "loss" and (not self.share or (not self.rate and self.probability == _ALWAYS)):
            return "fault loss does nothing without rate: say which share, e.g. rate: 0.1"
        if self.rate and not self.interval and self.fault != "loss":
            return f"the rate of fault {self.fault} says how often: write 0.2/min, or probability: {self.rate:g}"
        if self.by < 0 and self.fault != "skew":
            return f"fault {self.fault} cannot have a negative delay"
        if self.fault == "flap" and not (self.by and self.for_):
            return "fault flap needs by, the time between coming and going, and for: e.g. by: 20s, for: 5m"
        if self.fault == "capability" and self.to is None:
            return "fault capability needs to: say what has changed, e.g. to: {ramGB: 8}"
        return ""


def fault_names(faults: tuple[Fault, ...]) -> list[str]:
    """What each fault is called in results and random streams: its name, or 'crash gpu-0', with '#2' for a second such."""
    seen: dict[str, int] = {}
    names = []
    for each in faults:
        name = each.name or f"{each.fault} {each.host}".strip()
        seen[name] = number = seen.get(name, 0) + 1
        names.append(name if number == 1 else f"{name} #{number}")
    return names
